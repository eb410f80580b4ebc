"""Read a finished or unfinished run folder for the report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from adarts.config.loading import read_config_file
from adarts.config.values import names_code
from adarts.engine import FRONT_FILE, GENOTYPE_FILE, Kind, Metrics
from adarts.engine.run_dirs import ANSWERS_FILE, IMAGES_FILE
from adarts.errors import CheckpointError, ConfigError, DataError, refusing
from adarts.report.numbers import Spread
from adarts.spaces import Genotype, Space, get_space

Count = Annotated[int, Field(ge=0, le=2**53)]
"""A whole number of a file; larger ones are no numbers of anything, and cannot be computed with as floats."""
LARGEST = 1e15
"""Largest number, without its sign, that is drawn; matplotlib fails near the end of what a float can hold."""
Figure = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
"""Any other number of a file."""
_BASE64 = "^[A-Za-z0-9+/=]*$"


class Checked(BaseModel):
    """Values of a file that are computed with. Other values may have any type and are shown as text."""

    model_config = ConfigDict(strict=True)


class _Loop(Checked):
    epochs: Count = 0
    warmup_epochs: Count = 0


class _Truth(Checked):
    cifar10: Figure
    rank: Count | None = None  # none for an estimate
    estimated: bool = False
    error: Figure = 0
    beyond: str | None = None

    @model_validator(mode="after")
    def _has_rank(self) -> _Truth:
        if self.rank is None and not self.estimated:
            raise ValueError("the rank is missing")
        return self


class _Level(Checked):
    mean: Figure
    sd: Figure | None
    n: Count


class _Floor(Checked):
    name: str
    cifar10: _Level


class _Verdict(Checked):
    word: str
    text: str


class _InFront(Checked):
    accuracy: Figure
    parameters: Count
    truth: _Truth | None = None


class _Front(Checked):
    cells: list[_InFront] = []


class _Config(Checked):
    space: str = "darts"
    search: _Loop = _Loop()
    training: _Loop = _Loop()


class _Summary(Checked):
    kind: Kind = "search"
    seconds: Figure = 0
    epochs: Count = 0
    planned_epochs: Count = 0
    stopped: str | None = None
    test_accuracy: Figure = 0
    test_loss: float = 0
    test_images: Count = 0
    balanced_accuracy: Figure = 0
    largest_class: _Largest | None = None
    test_classes: list[_ClassFigures] = []
    training_accuracy: Figure = 0
    parameters: Count = 0
    auxiliary_parameters: Count = 0
    supernet_parameters: Count = 0
    macs: Count = 0
    truth: _Truth | None = None
    floors: list[_Floor] = []
    verdict: _Verdict | None = None
    data_fingerprint: str = ""
    data_facts: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = []


class _ClassFigures(Checked):
    name: str
    images: Count
    accuracy: Figure | None
    precision: Figure | None = None


class _Largest(Checked):
    name: str
    share: Figure


class _Class(Checked):
    name: str
    train: Count
    test: Count


class _LeftOut(Checked):
    file: str
    reason: str


class _Images(Checked):
    classes: list[_Class] = []
    left_out: list[_LeftOut] = []
    duplicates: list[list[str]] = []


class _Heat(Checked):
    png: str = Field(pattern=_BASE64)
    where: str


class _Mistake(Checked):
    true: Count
    predicted: Count
    confidence: Figure
    file: str
    png: str = Field(pattern=_BASE64)
    heat: _Heat | None = None


class _Answers(Checked):
    classes: list[str]
    confused: list[Annotated[list[Count], Field(min_length=3, max_length=3)]]
    mistakes: list[_Mistake]
    no_heat: str = ""

    @model_validator(mode="after")
    def _of_these_classes(self) -> _Answers:
        used = [(*pair, 1) for pair in ((one.true, one.predicted) for one in self.mistakes)]
        for true, predicted, count in (*used, *self.confused):
            if not (0 <= true < len(self.classes) and 0 <= predicted < len(self.classes) and count > 0):
                raise ValueError(f"there is no class {max(true, predicted)}")
        return self


class _Epoch(Checked):
    epoch: Count = 0
    train_accuracy: Figure = 0
    operation_weights: dict[str, list[list[Figure]]] = {}
    edge_weights: dict[str, list[Figure]] = {}
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
    check(_Config, config, config_path)
    metrics = Metrics(metrics_path).read()
    for record in metrics:
        check(_Epoch, record, metrics_path)
    summary, images = _read_json(summary_path), _read_json(images_path)
    check(_Summary, summary, summary_path)
    check(_Images, images, images_path)
    answers = _read_json(path / ANSWERS_FILE)
    if answers:
        check(_Answers, answers, path / ANSWERS_FILE)
    front = _read_json(path / FRONT_FILE)
    check(_Front, front, path / FRONT_FILE)
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


def check(model: type[Checked], content: Any, path: Path) -> None:
    """Raise a CheckpointError that names the first value of a file that is not as the model says."""
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
    with refusing(f"{path} is damaged", CheckpointError):
        content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is damaged: it contains no JSON object")
    return content


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    section = config.get(name)
    return section if isinstance(section, dict) else {}
