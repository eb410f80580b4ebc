#!/usr/bin/env python
"""Writes docs/methods.md from the registry and the measured costs: `python scripts/methods_page.py > docs/methods.md`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adarts.methods import MethodInfo, list_methods

RESULTS = Path(__file__).resolve().parents[1] / "results" / "methods-cpu"

HEAD = """# Methods

This page lists all search methods and what a search step of each costs.

    adarts search --method pc-darts --data cifar10 --scale cpu     # search with a method
    adarts methods                                                 # list the methods
    adarts methods pc-darts                                        # its equations and published hyper-parameters

All methods search the same supernet, in the same loop, on the same splits. They differ only in their files in
[`src/adarts/methods`](../src/adarts/methods). `--method NAME` brings the published hyper-parameters of the method; scale,
configuration file and options override them.

The edge design is a separate setting, so most methods also run with ADARTS's partial connection:

    adarts search --method beta-darts --edge.selector attention --edge.k 4 --edge.attention

To write your own method, see [own_method.md](own_method.md). For differences from the authors' public code, see
[published_code.md](published_code.md).

## What a step costs

A step updates the alphas and the weights once. All figures are relative to first-order DARTS. Each method uses the K of its own
paper; everything else is equal: {conditions}.

- **Time**: median over DARTS's median. Each method ran {repeats} times, alternating with the others.
- **Rounds**: lowest and highest ratio to DARTS within a round.
- **Memory**: peak above the idle process, each method in a process of its own.

Raw data, commands and versions are in [results/methods-cpu](../results/methods-cpu).

"""

NOTES = """
Notes:

- `p-darts`, `dr-nas` and `darts-pt`: the step of their first phase, at the width and depth above.
- `p-darts` and `dr-nas` have fewer active operations in later phases, `eoi-nas` after every drop; see the next table.
- `dr-nas` is published with 36 channels and 20 cells.
- `robust-darts` also measures an eigenvalue every second epoch. `darts-pt` also measures the supernet once for every operation
  that it decides about. Neither is part of a step.

## What fewer active operations save

Inactive operations are not computed. The table shows DARTS with a random set of active operations on every edge. Time and memory
are relative to all eight operations. Memory is the predicted size of the tensors if the largest operations are active.

"""


def page() -> str:
    """The whole page."""
    step = json.loads((RESULTS / "step.json").read_text())
    active = json.loads((RESULTS / "active.json").read_text())
    measured = {record["variant"]["method"]: record for record in step["results"]}
    variant, settings, place = step["results"][0]["variant"], step["settings"], step["provenance"]
    conditions = (
        f"C = {variant['channels']}, {variant['cells']} cells, batch {variant['batch']}, images of {variant['size']} pixels, "
        f"float32, {settings['threads']} threads of {place['cpu']}"
    )
    text = HEAD.format(conditions=conditions, repeats=settings["repeats"])
    text += "| method | year | what it changes | time | rounds | memory |\n| --- | --- | --- | --- | --- | --- |\n"
    text += "".join(_row(info, measured.get(info.name)) for info in list_methods())
    text += NOTES + "| active | time | rounds | memory |\n| --- | --- | --- | --- |\n"
    for record in active["results"]:
        text += f"| {record['active']} | {_ratios(record)} | {record['memory_ratio']:.2f} |\n"
    text += "\n## Papers\n\n| method | paper |\n| --- | --- |\n"
    text += "".join(f"| {info.title} | {info.paper} |\n" for info in list_methods())
    return text


def _row(info: MethodInfo, record: dict[str, Any] | None) -> str:
    if record is None:
        figures = "not measured | | "
    else:
        figures = f"{_ratios(record)} | " + (
            f"{record['memory_ratio']:.2f}" if "memory_ratio" in record else "not measured"
        )
    return f"| `{info.name}` | {info.year} | {info.changes} | {figures} |\n"


def _ratios(record: dict[str, Any]) -> str:
    low, high = record["time_ratio_range"]
    return f"{record['time_ratio']:.2f} | {low:.2f} to {high:.2f}"


if __name__ == "__main__":
    print(page(), end="")
