"""How time and memory of a search step grow with K (the memory half of Fig. 10), width, depth, batch and image size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from adarts.benchmark import fits
from adarts.benchmark.memory import Peak, peak_of
from adarts.benchmark.outcome import Conditions, Outcome, mebibytes, provenance, seconds
from adarts.benchmark.plots import Curve, Panel, panels_svg
from adarts.benchmark.subjects import SearchStep
from adarts.benchmark.timing import Times, in_turn
from adarts.benchmark.variants import Variant, values_of, whole_number, with_values
from adarts.errors import ConfigError, nearest

AXES = {
    "k": "1,2,4,8,16",
    "channels": "8,16,32",
    "cells": "4,8,16",
    "batch": "8,16,32",
    "size": "16,32,64",
}
"""What is varied, and the values if none are given."""


def axes_of(words: Sequence[str]) -> dict[str, list[int]]:
    """The axes and their values from words such as ``k`` or ``channels=8,16``; no words mean all axes.

    Raises:
        ConfigError: an unknown axis, or fewer than two values.
    """
    axes: dict[str, list[int]] = {}
    for word in words or AXES:
        name, given, text = word.partition("=")
        if name not in AXES:
            raise ConfigError(f"--vary: nothing called '{name[:60]}' can be varied{nearest(name, AXES)}")
        values = values_of(f"vary {name}", text if given else AXES[name])
        axes[name] = sorted({whole_number(f"--vary {name}", value) for value in values})
        if len(axes[name]) < 2:
            raise ConfigError(f"--vary {name}: growth needs at least two values")
    return axes


def points_of(base: Variant, axes: Mapping[str, Sequence[int]]) -> dict[str, dict[int, Variant]]:
    """Axis -> value -> the base with that value; the base itself is on every axis that has its value.

    Raises:
        ConfigError: a point that cannot work, such as a K that does not divide the channels.
    """
    points: dict[str, dict[int, Variant]] = {}
    for axis, values in axes.items():
        points[axis] = {}
        for value in values:
            variant = with_values(base, {"edge.k" if axis == "k" else axis: str(value)})
            known = {**asdict(variant), "k": variant.k}
            label = " ".join(f"{name}={known[name]}" for name in AXES)
            points[axis][value] = replace(variant, label=label, edge={**variant.edge, "k": str(known["k"])})
    return points


def measure_growth(
    base: Variant, axes: Mapping[str, Sequence[int]], conditions: Conditions, *, memory: bool = True
) -> Outcome:
    """Measure the step at every point, all of them in turn, and fit the exponents.

    Args:
        base: what stays as it is along the other axes.
        axes: what is varied, with its values.
        conditions: how to measure.
        memory: measure the peaks of memory too.
    """
    points = points_of(base, axes)
    variants = {variant.label: variant for values in points.values() for variant in values.values()}
    steps = {label: SearchStep(variant, conditions.device) for label, variant in variants.items()}
    timed = in_turn(steps, conditions.repeats, conditions.warmup, conditions.say)
    times = {label: parts["both"] for label, parts in timed.items()}
    del steps
    peaks: dict[str, Peak] = {}
    for number, (label, variant) in enumerate(variants.items() if memory else (), start=1):
        conditions.say(f"memory {number} of {len(variants)}: {label}")
        peaks[label] = peak_of("search", variant, conditions.device, conditions.threads)
    records = [_record(axis, values, times, peaks) for axis, values in points.items()]
    title = f"Growth of the search step ({base.label}): {conditions}"
    return Outcome(
        name="growth",
        title=title,
        settings={
            "base": base.facts(conditions.device),
            "repeats": conditions.repeats,
            "warmup": conditions.warmup,
            "threads": conditions.threads,
        },
        records=records,
        head=["varied", "value", "both updates"] + (["memory"] if memory else []),
        rows=[row for record in records for row in _rows(record)],
        svg=panels_svg(title, [_panel(record) for record in records]),
        notes=[
            "an exponent p says that time or memory grow as the value to the power of p, by least squares of the logarithms"
        ],
        provenance=provenance(conditions.device),
    )


def _record(
    axis: str, values: Mapping[int, Variant], times: Mapping[str, Times], peaks: Mapping[str, Peak]
) -> dict[str, Any]:
    xs = list(values)
    labels = [variant.label for variant in values.values()]
    medians = [times[label].median for label in labels]
    time = fits.power_law(xs, medians)
    record: dict[str, Any] = {
        "axis": axis,
        "values": xs,
        "seconds": medians,
        "rounds": [list(times[label].rounds) for label in labels],
        "time_exponent": time.slope,
        "time_explained": time.explained,
    }
    if peaks:
        used = [max(1, peaks[label].above) for label in labels]  # a step too small to see has no logarithm otherwise
        memory = fits.power_law(xs, used)
        record |= {"memory": used, "memory_exponent": memory.slope, "memory_explained": memory.explained}
    return record


def _rows(record: Mapping[str, Any]) -> list[list[str]]:
    memory = record.get("memory")
    rows = []
    for number, value in enumerate(record["values"]):
        row = [record["axis"], str(value), seconds(record["seconds"][number])]
        rows.append(row + ([mebibytes(memory[number])] if memory else []))
    exponent = ["", "exponent", f"{record['time_exponent']:.2f}"]
    return [*rows, exponent + ([f"{record['memory_exponent']:.2f}"] if memory else [])]


def _panel(record: Mapping[str, Any]) -> Panel:
    curves = [
        Curve(
            f"time, exponent {record['time_exponent']:.2f}", list(zip(record["values"], record["seconds"], strict=True))
        )
    ]
    if "memory" in record:
        label = f"memory, exponent {record['memory_exponent']:.2f}"
        curves.append(Curve(label, list(zip(record["values"], record["memory"], strict=True))))
    return Panel(record["axis"], curves)
