"""``adarts demo``: a search on the embedded digits, judged twice."""

from __future__ import annotations

from pathlib import Path

from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, parse


@dataclass(frozen=True, config=FORM)
class Demo:
    """Search on the embedded digits, look up the true accuracy of its cell, and train it beside random cells of its size."""

    run_dir: Path | None = None
    """Folder of all runs. Unfinished runs in it are continued. None makes a new folder in runs/demo."""
    seed: int = 0
    """Seed N of the search. The trainings use the seeds 3N, 3N+1 and 3N+2."""
    scale: str = "demo"
    """Budget; `adarts configs` lists them."""


def run(words: list[str]) -> int:
    """Carry out the verb."""
    form = parse(Demo, words, "adarts demo")
    from adarts.experiments.demo import run_demo

    run_demo(form.run_dir, form.seed, form.scale)
    return 0
