"""``adarts reproduce``: the paper's tables and figures by name."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse
from adarts.config.cluster import Engine, RaySettings, SlurmSettings, refuse_automatic_scale
from adarts.config.settings import RunSettings
from adarts.launch import usable_cores


@dataclass(frozen=True, config=FORM)
class Reproduce:
    """Reproduce a table or figure of the ADARTS paper: searches, trainings, and one page with published and own figures.

    It first says what it will cost here. Stop it at any time; the same command continues, and experiments share their runs.
    """

    name: Annotated[str, Positional("NAME")]
    """table1, table2, table3, fig1, fig8, fig9, fig10, or all."""
    scale: Literal["auto", "smoke", "cpu", "gpu", "paper"] = "auto"
    """Budget: smoke (minutes, embedded images), cpu (hours on two cores), gpu (hours on one GPU), paper. auto: gpu or cpu."""
    seeds: PositiveInt | None = None
    """Searches of a row, in place of those of the scale."""
    trained: NonNegativeInt | None = None
    """How many of them are trained, in place of those of the scale; 0 judges cells by their estimate alone."""
    forecast: bool = False
    """Say what it would cost here, and exit."""
    run_dir: Path | None = None
    """Folder of the runs and results; none for runs/reproduce/SCALE."""
    root: Path = Path("data")
    """Folder of CIFAR-10 and CIFAR-100."""
    download: bool = False
    """Download them if they are missing."""
    transfer: str | None = None
    """Images to which Table II transfers its cells, such as a folder with train and test, in place of cifar100."""
    on: Literal["local", "slurm", "ray"] = "local"
    """local: on this machine; slurm, ray: every run is a job of such a cluster."""
    slots: PositiveInt | None = None
    """Runs at once on this machine, each with its share of the cores; none is one."""
    threads: PositiveInt | None = None
    """CPU threads of each run; none: as many as its slot has cores, or 1 on a cluster."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    time_limit: str | None = None
    """Stop at a checkpoint after this time, e.g. 90s, 9m or 2h, and write what is finished."""
    slurm: SlurmSettings = field(default_factory=SlurmSettings)
    ray: RaySettings = field(default_factory=RaySettings)


def run(words: list[str]) -> int:
    """Run ``adarts reproduce``."""
    form = parse(Reproduce, words, "adarts reproduce")
    from adarts.engine import scale_of_machine
    from adarts.experiments.reproducing import Plan, budget_of, reproduce

    if form.on != "local" and form.scale == "auto":
        refuse_automatic_scale()
    engine = Engine(on=form.on, slots=form.slots, slurm=form.slurm, ray=form.ray)
    threads = form.threads
    if form.on == "local" and threads is None:
        threads = max(1, len(usable_cores()) // (form.slots or 1))
    scale = scale_of_machine({"run": {"device": form.device}}) if form.scale == "auto" else form.scale
    folder = form.run_dir or Path("runs", "reproduce", scale)
    settings = RunSettings(device=form.device, threads=threads)
    images = {"root": form.root, "download": form.download}
    plan = Plan(budget_of(scale, form.transfer), settings, images, form.seeds, form.trained)
    command = ["adarts", "reproduce", *words]
    reproduce(form.name, plan, folder, engine, form.time_limit, form.forecast, command)
    return 0
