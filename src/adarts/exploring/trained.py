"""What is explored if every proposal is really trained: by a search of one cell, with a run folder of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from adarts.config.loading import AUTO, fields, merged, nested
from adarts.config.settings import RunSettings, SearchConfig
from adarts.engine import Metrics
from adarts.engine.config_file import compared_settings
from adarts.errors import CheckpointError, ConfigError, refusing
from adarts.exploring.measures import Trace
from adarts.exploring.setup import Record, Setup
from adarts.searchers import Score, Trial
from adarts.searching import search_config
from adarts.spaces import Genotype
from adarts.sweeping.points import Point
from adarts.sweeping.results import PointResult
from adarts.truth.judge import find_judge

_OWN = ("data", "space", "scale", "method", "seed", "run", "options.cells", "options.start", "options.known")
"""Settings of the trainings that the exploration itself sets."""


@dataclass(frozen=True)
class TrainedExploration(Setup):
    """What is explored if every proposal is trained.

    A training is a search of the method ``random`` with one cell: it learns on the half of the images for the weights, and the
    score is the accuracy on images of the other half. The test images have no part in it. All trainings of a run have its seed,
    and their number decides weights and batches, so they are those of one search that trains them one after the other, such as
    ``adarts search --method amoebanet``.

    Attributes:
        space: name of the search space.
        scale: budget of a training.
        batch: proposals that a searcher makes at once where each one depends on the scores of all others.
        training: further settings of the trainings, by dotted name.
        run_settings: device and threads of the trainings.

    Raises:
        ConfigError: as for :class:`Setup`, or a setting of the trainings is invalid.
    """

    runs: int = 1
    space: str = "darts"
    scale: str = AUTO
    batch: int = 1
    training: Mapping[str, Any] = field(default_factory=dict)
    run_settings: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        if self.budget.in_seconds:
            raise ConfigError("trainings are counted, so the budget must be a number of them, such as --budget 200")
        if self.batch < 1:
            raise ConfigError(f"a batch of {self.batch} proposals is too small; give at least 1")
        for name in self.training:
            if name in _OWN or name.partition(".")[0] in _OWN:
                raise ConfigError(f"--train-options {name[:60]}: the exploration itself sets it")
            if not name.startswith("options.") and name not in fields(SearchConfig):
                raise ConfigError(f"--train-options {name[:60]}: there is no such setting of a search")
        self.config(0, 0)
        super().__post_init__()

    @property
    def space_name(self) -> str:
        return self.space

    @property
    def title(self) -> str:
        return f"Searchers and trainings on {self.data}, {self.budget}"

    @property
    def figure(self) -> str:
        return (
            f"accuracy on held-out training images of {self.data} in percent, of the cell for which it is highest, after "
            f"{self.budget}; the highest of many scores is flattering, so train what was found, and test it"
        )

    @property
    def axis(self) -> str:
        return f"Held-out accuracy on {self.data} (%)"

    def settings(self) -> dict[str, Any]:
        """What must be equal to continue: neither the budget, which may grow, nor where and how the trainings run."""
        without = ("budget", "run_settings", "training", "data", "space", "scale")
        kept = {name: value for name, value in super().settings().items() if name not in without}
        written = json.dumps(compared_settings(self.config(0, 0)))
        return {**kept, "config": json.loads(written, parse_constant=str)}  # JSON has no infinity

    def config(self, run: int, number: int, genotype: Genotype | None = None) -> SearchConfig:
        """The search that trains a proposal; without its cells, one that trains a random cell at the same cost."""
        known = {} if genotype is None else {"known": json.dumps(genotype.to_dict(), separators=(",", ":"))}
        own = {
            "data": self.data,
            "space": self.space,
            "scale": self.scale,
            "method": "random",
            "seed": self.seed_of(run),
            "options": {"cells": 1, "start": number, **known},
            "run": self.run_settings,
        }
        return search_config(**merged(*(nested(name, value) for name, value in self.training.items()), own))

    @staticmethod
    def name(run: int, number: int, genotype: Genotype) -> str:
        """The name of a training, of its job and of its folder. Searchers share the training if their proposals are the same."""
        written = json.dumps(genotype.to_dict(), sort_keys=True)
        return f"run{run}-{number:04d}-{hashlib.sha256(written.encode()).hexdigest()[:8]}"

    def record(self, searcher: str, run: int, trials: Sequence[Trial]) -> Record:
        """What is kept of a finished run."""
        best_so_far = list(accumulate((trial.score.value for trial in trials), max))
        curve = Trace(list(range(1, len(trials) + 1)), best_so_far).at(self.amounts)
        best = max(trials, key=lambda trial: trial.score.value)
        judge, judged, beyond = find_judge(self.space), dict[str, float](), None
        if judge is not None and self.data in judge.data_sets:
            answer = judge.of(best.genotype)
            judged, beyond = {judge.word: round(answer.accuracy(self.data), 4)}, answer.beyond
        return {
            "searcher": searcher,
            "run": run,
            "evaluations": len(trials),
            "accuracy": round(curve[-1], 4),
            **judged,
            "found": self.name(run, best.number, best.genotype),
            "beyond": beyond,
            "curve": [round(value, 3) for value in curve],
        }


class Training(PointResult[Point]):
    """A training and its results so far; its point is the search of one cell."""

    def figures_of(self, record: Mapping[str, Any]) -> dict[str, float]:
        """The score, once the last epoch is over."""
        finished = record.get("method", {}).get("finished", ())
        return {"held_out_accuracy": finished[0]["accuracy"] / 100} if finished else {}

    def score(self) -> Score:
        """The score of the finished training.

        Raises:
            CheckpointError: its metrics are damaged.
        """
        with refusing(f"{self.folder / 'metrics.jsonl'} is damaged", CheckpointError):
            (trial,) = Metrics(self.folder / "metrics.jsonl").read()[-1]["method"]["finished"]
            return Score(float(trial["accuracy"]), size=int(trial["parameters"]))


def training_of(setup: TrainedExploration, run: int, number: int, genotype: Genotype, folder: Path) -> Training:
    """The training of a proposal.

    Args:
        setup: what is explored.
        run, number, genotype: the proposal.
        folder: parent of the run folders.
    """
    config, name = setup.config(run, number, genotype), setup.name(run, number, genotype)
    return Training(Point(name, {"seed": config.seed}, config, config.search.epochs), folder / name)
