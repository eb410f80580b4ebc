"""``adarts explore``: searchers against a table, in seconds, or against trainings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, PositiveInt
from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, parse
from adarts.cli.output import print_table
from adarts.config.cluster import RaySettings, SlurmSettings, refuse_automatic_scale
from adarts.config.values import assignments
from adarts.errors import ConfigError

if TYPE_CHECKING:
    from adarts.exploring import Outcome

TRAINING = "training"
_TRAINED = (
    "space",
    "scale",
    "train_options",
    "batch",
    "on",
    "slots",
    "threads",
    "device",
    "time_limit",
    "slurm",
    "ray",
)


@dataclass(frozen=True, config=FORM)
class Explore:
    """Run searchers and compare what they end with: random search, evolution, reinforcement learning. Where the accuracies of
    the cells are known, a run takes milliseconds. With --evaluator training every proposal is trained, many at once.
    """

    searcher: tuple[str, ...] = ()
    """Searchers by name, or your own class as path/to/file.py:Class, which executes the file; without any, the names are
    listed."""
    evaluator: str = "nasbench201"
    """nasbench201: accuracies and simulated costs of the benchmark; darts: the estimate, which counts evaluations only;
    training: every proposal is trained, and scored on held-out training images."""
    budget: str | None = None
    """What a run may spend: simulated seconds such as 20000s, 5h or 1h30m, or a number of evaluations such as 200. The last
    evaluation may end past it; results are interpolated at the budget. none: 20000s with nasbench201."""
    runs: PositiveInt | None = None
    """Runs of each searcher; none: 100, or 1 with trainings."""
    seed: int = 0
    """Seed; every run derives its own from it, the same for all searchers."""
    data: str = "cifar10"
    """Data set of the accuracies: cifar10, cifar100; with trainings any, such as digits or folder:PATH."""
    noise: bool = False
    """Let a searcher see a single training, not the table's mean of two."""
    options: Annotated[dict[str, bool | int | float | str], BeforeValidator(assignments)] = field(default_factory=dict)
    """Options of the searchers: population=50 for all of them, which must know it, or cars.population=32 for one."""
    run_dir: Path | None = None
    """Folder of the results; an exploration in it is continued, and what is finished is kept. None makes a new one in
    runs/explore."""
    space: str = "darts"
    """Search space of trainings."""
    scale: str = "auto"
    """Budget of a training, as for `adarts search --method random`."""
    train_options: Annotated[dict[str, bool | int | float | str], BeforeValidator(assignments)] = field(
        default_factory=dict
    )
    """Settings of the trainings, such as search.epochs=5,supernet.channels=16,images.root=data,images.download=true."""
    batch: PositiveInt = 1
    """Proposals trained at once of a searcher that learns from every score, such as rea; the later ones know less. Others
    propose a generation at once."""
    on: Literal["local", "slurm", "ray"] = "local"
    """Where trainings run. local: in processes on this machine; slurm, ray: as jobs of such a cluster."""
    slots: PositiveInt | None = None
    """Trainings at once on this machine, each with its share of the cores; none is one for each --device."""
    threads: PositiveInt | None = None
    """CPU threads of each training; none: as many as its slot has cores, or 1 on a cluster."""
    device: tuple[str, ...] = ("auto",)
    """auto, cpu, cuda or cuda:N; several for trainings on several devices of this machine."""
    time_limit: str | None = None
    """Stop the trainings at a checkpoint after this time, e.g. 90s, 9m or 2h."""
    slurm: SlurmSettings = field(default_factory=SlurmSettings)
    ray: RaySettings = field(default_factory=RaySettings)


def run(words: list[str]) -> int:
    """Run ``adarts explore``."""
    form = parse(Explore, words, "adarts explore")
    from adarts.exploring.page import notes, rows  # loads torch
    from adarts.searchers import SEARCHERS

    if not form.searcher:
        SEARCHERS.survey()
        raise ConfigError(f"--searcher needs one or more of: {', '.join(sorted(SEARCHERS.known))}")
    outcome = _trained(form) if form.evaluator == TRAINING else _looked_up(form)
    print(outcome.setup.figure)
    print_table(*rows(outcome))
    for note in notes(outcome):
        print(note)
    print(outcome.folder / "report.html")
    return 0


def _looked_up(form: Explore) -> Outcome:
    """Explore a table."""
    from adarts.exploring import Budget, Exploration, run_exploration

    _refuse_ignored(form, _TRAINED, f"--evaluator {TRAINING}")
    budget, runs = Budget.parse(form.budget or "20000s"), form.runs or 100
    given = {name: getattr(form, name) for name in ("evaluator", "seed", "data", "noise", "options")}
    return run_exploration(Exploration(form.searcher, budget, runs=runs, **given), form.run_dir, _progress)


def _trained(form: Explore) -> Outcome:
    """Explore by training."""
    from adarts.config.cluster import Engine
    from adarts.config.settings import RunSettings
    from adarts.exploring import Budget
    from adarts.exploring.jobs import explore_by_training
    from adarts.exploring.trained import TrainedExploration

    _refuse_ignored(form, ("noise",), "a table")
    if form.budget is None:
        raise ConfigError("--budget is missing: the number of trainings of a run, such as --budget 200")
    if form.on != "local" and form.scale == "auto":
        refuse_automatic_scale()
    several = form.device if len(form.device) > 1 else ()
    engine = Engine(on=form.on, slots=form.slots, slurm=form.slurm, ray=form.ray, devices=several)
    given = {name: getattr(form, name) for name in ("seed", "data", "options", "space", "scale", "batch")}
    settings = RunSettings(
        device=form.device[0] if form.device else "auto", threads=form.threads, time_limit=form.time_limit
    )
    setup = TrainedExploration(
        form.searcher,
        Budget.parse(form.budget),
        runs=form.runs or 1,
        training=form.train_options,
        run_settings=settings,
        **given,
    )
    return explore_by_training(setup, engine, form.run_dir)


def _refuse_ignored(form: Explore, names: Sequence[str], useful: str) -> None:
    """Refuse options that would be ignored."""
    usual = Explore()
    for name in names:
        if getattr(form, name) != getattr(usual, name):
            raise ConfigError(f"--{name.replace('_', '-')} has an effect with {useful} only")


def _progress(left: Sequence[tuple[str, int]]) -> Iterable[Any]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(left, "exploring", console=console, disable=not console.is_terminal, transient=True)
