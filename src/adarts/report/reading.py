"""A run folder as it lies on the disk, finished or not, read for the report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from adarts.errors import CheckpointError, DataError
from adarts.runs import Metrics
from adarts.space import Genotype


@dataclass(frozen=True)
class RunRecord:
    """What a run left.

    Attributes:
        path: the folder.
        kind: `search` or `train`.
        config: the configuration as plain data, and its text as it was written.
        environment: on what it was carried out; empty if unknown.
        metrics: one record for each finished epoch.
        summary: of a finished run; empty before.
        genotype: the cells found or trained; in an unfinished search, those of its last epoch.
    """

    path: Path
    kind: str
    config: dict[str, Any]
    config_text: str
    environment: dict[str, Any]
    metrics: list[dict[str, Any]]
    summary: dict[str, Any]
    genotype: Genotype | None

    @property
    def num_epochs(self) -> int:
        """How many epochs the run was to have."""
        return int(_section(self.config, "search" if self.kind == "search" else "training").get("epochs", 0))

    def setting(self, section: str, name: str) -> Any:
        """A setting of the run, or None where the configuration does not say."""
        return _section(self.config, section).get(name)


def read_run(path: Path) -> RunRecord:
    """Read a run folder.

    Raises:
        CheckpointError: it is not a run folder, or a file in it is damaged.
    """
    config_path = path / "config.yaml"
    try:
        config_text = config_path.read_text(encoding="utf-8")
        config = yaml.safe_load(config_text)
    except OSError as error:
        raise CheckpointError(f"{path} is not a run folder: cannot read config.yaml ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{config_path} is damaged: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{config_path} is damaged: it holds no settings")
    metrics = Metrics(path / "metrics.jsonl").read()
    if not all(isinstance(record, dict) for record in metrics):
        raise CheckpointError(f"{path / 'metrics.jsonl'} is damaged: a record is no JSON object")
    summary = _read_json(path / "summary.json")
    return RunRecord(
        path=path,
        kind=summary.get("kind", "train" if "training" in config else "search"),
        config=config,
        config_text=config_text,
        environment=_read_json(path / "environment.json"),
        metrics=metrics,
        summary=summary,
        genotype=_genotype(path, summary, metrics),
    )


def _genotype(path: Path, summary: dict[str, Any], metrics: list[dict[str, Any]]) -> Genotype | None:
    candidates = [
        summary.get("genotype"),
        _read_json(path / "genotype.json"),
        *(r.get("genotype") for r in metrics[-1:]),
    ]
    for candidate in candidates:
        if candidate:
            try:
                return Genotype.from_dict(candidate)
            except DataError as error:
                raise CheckpointError(f"{path}: {error}") from error
    return None


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if the run has not written the file yet."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is damaged: it holds no JSON object")
    return content


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    section = config.get(name)
    return section if isinstance(section, dict) else {}
