"""The search step: time of each update and of both, and the peak of memory, variant beside variant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adarts.benchmark.memory import peak_of
from adarts.benchmark.outcome import Conditions, Outcome, mebibytes, provenance, ratio, seconds
from adarts.benchmark.plots import Bars, bars_svg
from adarts.benchmark.subjects import SearchStep
from adarts.benchmark.timing import in_turn
from adarts.benchmark.variants import Variant

PARTS = ("alphas", "weights", "both")


def time_steps(variants: Sequence[Variant], conditions: Conditions, *, memory: bool = True) -> Outcome:
    """Measure the search step of each variant.

    Args:
        variants: with different labels; the others are compared with the first.
        conditions: how to measure.
        memory: measure the peaks of memory too.
    """
    steps = {variant.label: SearchStep(variant, conditions.device) for variant in variants}
    times = in_turn(steps, conditions.repeats, conditions.warmup, conditions.say)
    records: list[dict[str, Any]] = []
    first = times[variants[0].label]
    for variant in variants:
        mine = times[variant.label]
        low, high = mine["both"].spread_over(first["both"])
        record: dict[str, Any] = {"label": variant.label, "variant": variant.facts(conditions.device)}
        record["seconds"] = {part: mine[part].median for part in PARTS if part in mine}
        record["rounds"] = {part: list(mine[part].rounds) for part in PARTS if part in mine}
        record["time_ratio"] = mine["both"].over(first["both"])
        record["time_ratio_range"] = [low, high]
        records.append(record)
    if memory:
        _add_memory(records, variants, conditions)
    title = f"Search step: {conditions}"
    groups = [
        Bars("both updates", [(r["label"], r["seconds"]["both"], seconds(r["seconds"]["both"])) for r in records])
    ]
    if memory:
        groups.append(Bars("peak memory", [(r["label"], r["memory"], mebibytes(r["memory"])) for r in records]))
    return Outcome(
        name="step",
        title=title,
        settings={"repeats": conditions.repeats, "warmup": conditions.warmup, "threads": conditions.threads},
        records=records,
        head=["variant", "alphas", "weights", "both", "ratio", "by round"] + (["memory", "ratio"] if memory else []),
        rows=[_row(record) for record in records],
        svg=bars_svg(title, groups),
        notes=["ratios are to the first variant: below 1 is faster or smaller; by round, the smallest and the largest"]
        + (["memory is the peak above the idle process, each in a process of its own"] if memory else []),
        provenance=provenance(conditions.device),
    )


def _add_memory(records: Sequence[dict[str, Any]], variants: Sequence[Variant], conditions: Conditions) -> None:
    for record, variant in zip(records, variants, strict=True):
        conditions.say(f"memory: {variant.label}")
        peak = peak_of("search", variant, conditions.device, conditions.threads)
        record["memory"], record["memory_idle"] = peak.above, peak.idle
        record["memory_ratio"] = peak.above / records[0]["memory"]


def _row(record: dict[str, Any]) -> list[str]:
    low, high = record["time_ratio_range"]
    row = [record["label"]]
    row += [seconds(record["seconds"][part]) if part in record["seconds"] else "none" for part in PARTS]
    row += [ratio(record["time_ratio"]), f"{ratio(low)}–{ratio(high)}"]
    if "memory" in record:
        row += [mebibytes(record["memory"]), ratio(record["memory_ratio"])]
    return row
