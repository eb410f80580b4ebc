"""Read a finished or unfinished run folder for the report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, ValidationError, model_validator

from adarts.config.loading import read_config_file
from adarts.config.values import names_code
from adarts.engine import FRONT_FILE, GENOTYPE_FILE, Kind, Metrics
from adarts.engine.run_dirs import ANSWERS_FILE, IMAGES_FILE
from adarts.errors import CheckpointError, ConfigError, DataError
from adarts.report.numbers import Spread
from adarts.spaces import Genotype, Space, get_space


class _Checked(BaseModel):
    """Values of a file that the report computes with. All are optional; other values may have any type and are shown as text."""

    model_config = ConfigDict(strict=True)


class _Loop(_Checked):
    epochs: int = 0
    warmup_epochs: int = 0


class _Truth(_Checked):
    cifar10: FiniteFloat
    rank: int | None = None  # none for an estimate
    estimated: bool = False
    error: FiniteFloat = 0
    beyond: str | None = None

    @model_validator(mode="after")
    def _has_rank(self) -> _Truth:
        if self.rank is None and not self.estimated:
            raise ValueError("the rank is missing")
        return self


class _Level(_Checked):
    mean: FiniteFloat
    sd: FiniteFloat | None
    n: int


class _Floor(_Checked):
    name: str
    cifar10: _Level


class _Verdict(_Checked):
    word: str
    text: str


class _InFront(_Checked):
    accuracy: FiniteFloat
    parameters: int
    truth: _Truth | None = None


class _Front(_Checked):
    cells: list[_InFront] = []


class _Config(_Checked):
    space: str = "darts"
    search: _Loop = _Loop()
    training: _Loop = _Loop()


class _Summary(_Checked):
    kind: Kind = "search"
    seconds: FiniteFloat = 0
    epochs: int = 0
    planned_epochs: int = 0
    stopped: str | None = None
    test_accuracy: FiniteFloat = 0
    test_loss: float = 0
    test_images: int = 0
    balanced_accuracy: FiniteFloat = 0
    largest_class: _Largest | None = None
    test_classes: list[_ClassFigures] = []
    training_accuracy: FiniteFloat = 0
    parameters: int = 0
    auxiliary_parameters: int = 0
    supernet_parameters: int = 0
    macs: int = 0
    truth: _Truth | None = None
    floors: list[_Floor] = []
    verdict: _Verdict | None = None
    data_fingerprint: str = ""
    data_facts: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = []


class _ClassFigures(_Checked):
    name: str
    images: int
    accuracy: FiniteFloat | None
    precision: FiniteFloat | None = None


class _Largest(_Checked):
    name: str
    share: FiniteFloat


class _Class(_Checked):
    name: str
    train: int
    test: int


class _LeftOut(_Checked):
    file: str
    reason: str


class _Images(_Checked):
    classes: list[_Class] = []
    left_out: list[_LeftOut] = []
    duplicates: list[list[str]] = []


class _Mistake(_Checked):
    true: int
    predicted: int
    confidence: FiniteFloat
    file: str
    png: str = Field(pattern="^[A-Za-z0-9+/=]*$")


class _Answers(_Checked):
    classes: list[str] = []
    confused: list[Annotated[list[NonNegativeInt], Field(min_length=3, max_length=3)]] = []
    mistakes: list[_Mistake] = []

    @model_validator(mode="after")
    def _of_these_classes(self) -> _Answers:
        used = [(*pair, 1) for pair in ((one.true, one.predicted) for one in self.mistakes)]
        for true, predicted, count in (*used, *self.confused):
            if not (0 <= true < len(self.classes) and 0 <= predicted < len(self.classes) and count > 0):
                raise ValueError(f"there is no class {max(true, predicted)}")
        return self


class _Epoch(_Checked):
    epoch: int = 0
    train_accuracy: FiniteFloat = 0
    operation_weights: dict[str, list[list[FiniteFloat]]] = {}
    edge_weights: dict[str, list[FiniteFloat]] = {}
    truth: _Truth | None = None


@dataclass(frozen=True)
class RunRecord:
    """The content of a run folder.

    Attributes:
        path: the folder.
        kind: `search` or `train`.
        config: the configuration as plain data.
        config_text: the text of the configuration file.
        environment: the machine and software of the run; empty if unknown.
        metrics: one record for each finished epoch.
        summary: summary of a finished run; empty for an unfinished one.
        images: what the run knows about its images; empty if the run knows nothing.
        answers: what a trained network confuses; empty if unknown.
        genotype: the cells found or trained; in an unfinished search, the cells of its last epoch.
        front: the cells found by a search for several goals, smallest first.
    """

    path: Path
    kind: str
    config: dict[str, Any]
    config_text: str
    environment: dict[str, Any]
    metrics: list[dict[str, Any]]
    summary: dict[str, Any]
    images: dict[str, Any]
    answers: dict[str, Any]
    genotype: Genotype | None
    front: list[dict[str, Any]]

    @property
    def num_epochs(self) -> int:
        """Number of epochs: the actual one of a finished run, the planned one otherwise."""
        if "epochs" in self.summary:
            return int(self.summary["epochs"])
        return int(_section(self.config, "search" if self.kind == "search" else "training").get("epochs", 0))

    @property
    def progress(self) -> str:
        """How many epochs of an unfinished run are done, formatted; of how many, is known for runs of one phase alone."""
        done = str(len(self.metrics))
        return done if any("phase" in record for record in self.metrics) else f"{done} of {self.num_epochs}"

    @property
    def space(self) -> Space | None:
        """The space of the cells; None for a training without cells, or if its cells are not known yet."""
        if self.genotype is not None:
            return get_space(self.genotype.space)
        name = self.config.get("space", "darts")
        # A report executes no files. A space from a file is known once the first epoch has recorded its cells.
        return get_space(name) if self.kind == "search" and not names_code(name) else None

    @property
    def rounds(self) -> list[list[dict[str, Any]]]:
        """The cells that a search tried one by one, each with what it measured, for every epoch in which it tried some."""
        records = [record.get("method") for record in self.metrics]
        finished = [record.get("finished") for record in records if isinstance(record, dict)]
        return [
            [trial for trial in trials if isinstance(trial, dict)] for trials in finished if isinstance(trials, list)
        ]

    @property
    def data_facts(self) -> list[tuple[str, str]]:
        """Facts about the images as pairs of name and value; empty for an unfinished run."""
        return [(what, value) for what, value in self.summary.get("data_facts", [])]

    @property
    def is_estimated(self) -> bool:
        """Whether the accuracies of a search's cells are estimates, and not known."""
        return any((record.get("truth") or {}).get("estimated", False) for record in (*self.metrics, self.summary))

    @property
    def floors(self) -> list[tuple[str, Spread]]:
        """What the search is held against: names of cells that need no search, with their CIFAR-10 accuracies in percent."""
        levels = [(floor["name"], floor["cifar10"]) for floor in self.summary.get("floors", [])]
        return [(name, Spread(level["n"], level["mean"], level["sd"])) for name, level in levels]

    def setting(self, section: str, name: str) -> Any:
        """A setting of the run; None if the configuration does not contain it."""
        return _section(self.config, section).get(name)


def read_run(path: Path) -> RunRecord:
    """Read a run folder.

    Raises:
        CheckpointError: it is not a run folder, or a file in it is damaged.
    """
    names = ("config.yaml", "metrics.jsonl", "summary.json", IMAGES_FILE)
    config_path, metrics_path, summary_path, images_path = (path / name for name in names)
    if not config_path.is_file():
        raise CheckpointError(f"{path} is not a run folder: it has no config.yaml")
    try:
        config = read_config_file(config_path, of_a_run=True)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
    _check(_Config, config, config_path)
    metrics = Metrics(metrics_path).read()
    for record in metrics:
        _check(_Epoch, record, metrics_path)
    summary, images = _read_json(summary_path), _read_json(images_path)
    _check(_Summary, summary, summary_path)
    _check(_Images, images, images_path)
    answers = _read_json(path / ANSWERS_FILE)
    _check(_Answers, answers, path / ANSWERS_FILE)
    front = _read_json(path / FRONT_FILE)
    _check(_Front, front, path / FRONT_FILE)
    return RunRecord(
        path=path,
        kind=summary.get("kind", "train" if "training" in config else "search"),
        config=config,
        config_text=config_path.read_text(encoding="utf-8"),
        environment=_read_json(path / "environment.json"),
        metrics=metrics,
        summary=summary,
        images=images,
        answers=answers,
        genotype=_genotype(path, metrics),
        front=front.get("cells", []),
    )


def _check(model: type[_Checked], content: Any, path: Path) -> None:
    try:
        model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where, problem = ".".join(map(str, first["loc"])), first["msg"].split(" or instance of")[0]
        raise CheckpointError(f"{path} is damaged: {where or 'content'}: {problem}") from error


def _genotype(path: Path, metrics: list[dict[str, Any]]) -> Genotype | None:
    candidates = [_read_json(path / GENOTYPE_FILE), *(record.get("genotype") for record in metrics[-1:])]
    for candidate in candidates:
        if candidate:
            try:
                return Genotype.from_dict(candidate)
            except DataError as error:
                raise CheckpointError(f"{path}: {error}") from error
    return None


def _read_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file; an empty one if the file does not exist yet."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is damaged: it contains no JSON object")
    return content


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    section = config.get(name)
    return section if isinstance(section, dict) else {}
