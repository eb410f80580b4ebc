"""``adarts run``: from a folder of images to a network that can be deployed."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Annotated

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse


@dataclass(frozen=True, config=FORM)
class Run:
    """From a folder of images to a network that can be deployed: choose a plan, search, train, choose the best, export, report.

    The plan is written to the run folder first, with the reason of every choice. The same command continues an interrupted run
    if it has --run-dir. Options that contradict the plan are refused.
    """

    path: Annotated[str | None, Positional("PATH")] = None
    """A folder of images, or a name as for `adarts train --data`."""
    time_budget: str | None = None
    """Time for everything, e.g. 12m or 2h; none means 30m."""
    max_params: PositiveInt | None = None
    """Largest number of parameters of the network."""
    max_macs: PositiveFloat | None = None
    """Most multiply-accumulate operations per image, e.g. 5e6."""
    max_latency: str | None = None
    """Longest time for one image, e.g. 2ms, with onnxruntime and one thread on this machine."""
    max_broken: NonNegativeInt | None = None
    """Largest number of unreadable images to leave out; none means 0."""
    no_compare: bool = False
    """Do not train random cells, published cells and a network of timm as well, each for the same time."""
    pretrained: str | None = None
    """A file of weights for the network of timm, which is then compared with and without them. timm:NAME@FILE names another
    network of timm."""
    flip: bool | None = None
    """Train on mirrored images, too. False suits digits, letters and many signs. None does so unless the data set forbids it."""
    seed: NonNegativeInt | None = None
    """Seed of all random numbers; none means 0."""
    plan: Path | None = None
    """Run this plan instead of choosing one. It has its own limits and times."""
    plan_only: bool = False
    """Write the plan, and stop."""
    run_dir: Path | None = None
    """Folder of everything. Finished parts in it are kept. None makes a new folder in runs/run."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    threads: PositiveInt | None = None
    """CPU threads; none uses torch's default."""


def run(words: list[str]) -> int:
    """Carry out the verb."""
    form = parse(Run, words, "adarts run")
    from adarts.config.loading import validated
    from adarts.config.settings import RunSettings
    from adarts.pipeline import read_plan, run_pipeline
    from adarts.pipeline.begin import write_plan
    from adarts.pipeline.deliver import closing_lines
    from adarts.pipeline.plan import LimitSettings, Wishes

    settings = RunSettings(device=form.device, threads=form.threads)
    limits = {
        "max_params": form.max_params,
        "max_macs": None if form.max_macs is None else int(form.max_macs),
        "max_latency": _milliseconds(form.max_latency),
    }
    wishes = Wishes(
        limits=validated(LimitSettings, limits),
        time_budget=form.time_budget,
        flip=form.flip,
        compare=not form.no_compare,
        pretrained=form.pretrained,
        max_broken=form.max_broken,
        seed=form.seed,
    )
    file, source = write_plan(form.path, wishes, form.plan, form.run_dir, settings)
    print(f"{file.read_text(encoding='utf-8')}\nplan: {file}", flush=True)
    if form.plan_only:
        print(f"next: adarts run --run-dir {shlex.quote(str(file.parent))}")
        return 0
    result = run_pipeline(read_plan(file), file.parent, settings, source)
    print("", *closing_lines(result.summary), sep="\n")
    command = shlex.join(["adarts", "predict", str(result.model)])
    print(f"model: {result.model}\nreport: {result.page}\nnext: {command} PHOTO.jpg")
    return 0


def _milliseconds(text: str | None) -> float | None:
    from adarts.errors import ConfigError

    if text is None:
        return None
    try:
        found = float(text.strip().removesuffix("ms"))
    except ValueError:
        found = 0.0
    if not 0 < found < math.inf:
        raise ConfigError(f"--max-latency {text!r:.40} is not a time in milliseconds; write it like 2ms or 0.5ms")
    return found
