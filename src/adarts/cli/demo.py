"""``adarts demo``: the whole way on the embedded photographs."""

from __future__ import annotations

from pathlib import Path

from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, parse


@dataclass(frozen=True, config=FORM)
class Demo:
    """Search for cells on the embedded photographs of hand signs, train what was found, and a random cell beside it."""

    run_dir: Path | None = None
    """The folder of the three runs; what is unfinished there is continued. None makes a new one in runs/demo."""
    seed: int = 0
    """Seed of everything random."""
    scale: str = "demo"
    """Budget; `adarts configs` lists them."""


def run(words: list[str]) -> int:
    """Carry out the verb."""
    form = parse(Demo, words, "adarts demo")
    from adarts.experiments.demo import run_demo

    run_demo(form.run_dir, form.seed, form.scale)
    return 0
