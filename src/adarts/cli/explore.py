"""``adarts explore``: searchers against a table, in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, PositiveInt
from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, parse
from adarts.cli.output import print_table
from adarts.config.values import assignments
from adarts.errors import ConfigError


@dataclass(frozen=True, config=FORM)
class Explore:
    """Run searchers many times on cells whose accuracy is known, and compare what they end with: random search, evolution,
    reinforcement learning. No network is trained, so a run takes milliseconds.
    """

    searcher: tuple[str, ...] = ()
    """Searchers by name, or your own class as path/to/file.py:Class, which executes the file; without any, the names are
    listed."""
    evaluator: str = "nasbench201"
    """nasbench201: accuracies and simulated costs of the benchmark; darts: the estimate, which counts evaluations only."""
    budget: str = "20000s"
    """What a run may spend: simulated seconds such as 20000s, 5h or 1h30m, or a number of evaluations such as 200. The last
    evaluation may end past it; results are interpolated at the budget."""
    runs: PositiveInt = 100
    """Runs of each searcher."""
    seed: int = 0
    """Seed; every run derives its own from it, the same for all searchers."""
    data: str = "cifar10"
    """Data set of the accuracies: cifar10, cifar100."""
    noise: bool = False
    """Let a searcher see a single training, not the table's mean of two."""
    options: Annotated[dict[str, bool | int | float | str], BeforeValidator(assignments)] = field(default_factory=dict)
    """Options of the searchers: population=50 for all of them, which must know it, or cars.population=32 for one."""
    run_dir: Path | None = None
    """Folder of the results; an exploration in it is continued, and its finished runs are kept. None makes a new one in
    runs/explore."""


def run(words: list[str]) -> int:
    """Run ``adarts explore``."""
    form = parse(Explore, words, "adarts explore")
    from adarts.exploring import Budget, Exploration, run_exploration  # loads torch
    from adarts.exploring.page import figures, notes, rows
    from adarts.searchers import SEARCHERS

    if not form.searcher:
        SEARCHERS.survey()
        raise ConfigError(f"--searcher needs one or more of: {', '.join(sorted(SEARCHERS.known))}")
    given = {name: getattr(form, name) for name in ("evaluator", "runs", "seed", "data", "noise")}
    setup = Exploration(form.searcher, Budget.parse(form.budget), options=form.options, **given)
    outcome = run_exploration(setup, form.run_dir, _progress)
    print(figures(outcome))
    print_table(*rows(outcome))
    for note in notes(outcome):
        print(note)
    print(outcome.folder / "report.html")
    return 0


def _progress(left: Sequence[tuple[str, int]]) -> Iterable[Any]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(left, "exploring", console=console, disable=not console.is_terminal, transient=True)
