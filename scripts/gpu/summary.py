"""The page of what was found."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

HEADS = {
    "tests": "Tests on a GPU",
    "steps": "The search step",
    "nasbench201": "Searches in NAS-Bench-201 at the budget of the papers",
    "search": "The paper's search in the DARTS space",
    "train": "Trainings of the found cells",
}


def summary(found: Mapping[str, Any], names: Sequence[str]) -> str:
    """All results as Markdown.

    Args:
        found: content of ``results.json``.
        names: all items that were asked for now or earlier, in their order.
    """
    items = found["items"]
    lines = ["# On a GPU: what was found", "", *_machines(found["slices"])]
    for part, head in HEADS.items():
        asked = [name for name in names if name.split("/")[0] == part]
        if asked:
            known = {name: items[name] for name in asked if name in items}
            lines += ["", f"## {head}", "", *_TABLES[part](known), *_left(asked, items)]
    return "\n".join(lines) + "\n"


def _machines(slices: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| slice | begun | device | torch | commit | command |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for number, one in enumerate(slices, 1):
        commit = str(one["git_commit"])[:12]
        yield f"| {number} | {one['started']} | {one['device']} | {one['torch']} | {commit} | `{one['command']}` |"


def _left(asked: Sequence[str], items: Mapping[str, Any]) -> Iterator[str]:
    states = {name: items.get(name, {}).get("state", "not begun") for name in asked}
    left = [f"{name} ({state})" for name, state in states.items() if state != "finished"]
    if left:
        yield ""
        yield f"Not finished: {', '.join(left)}."
    for name in asked:
        if error := items.get(name, {}).get("error"):
            yield ""
            yield f"{name} failed: `{error}`"


def _tests(known: Mapping[str, Any]) -> Iterator[str]:
    yield "| file | passed | failed | skipped | seconds |"
    yield "| --- | --- | --- | --- | --- |"
    for name, item in known.items():
        if "tests" in item:
            bad = item["failures"] + item["errors"]
            passed = item["tests"] - bad - item["skipped"]
            failed = f"{bad}: {', '.join(item['failed'])}" if bad else "0"
            yield f"| {name.split('/')[1]} | {passed} | {failed} | {item['skipped']} | {item['seconds']:.0f} |"


def _steps(known: Mapping[str, Any]) -> Iterator[str]:
    steps = [step for item in known.values() for step in item.get("steps", ())]
    measured = {step["name"]: step for step in steps if "error" not in step}
    yield "| step | time (ms) | peak (MB) | kernels | times faster than the textbook | than the public code |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, step in measured.items():
        method = name.split()[0]
        against = [measured.get(f"{method} float32 {other}") for other in ("textbook", "public")]
        same = "batch" not in name and "K=" not in name
        faster = [f"{other['seconds'] / step['seconds']:.1f}" if other and same else "" for other in against]
        peak = "" if step["peak_bytes"] is None else f"{step['peak_bytes'] / 1e6:,.0f}"
        kernels = f"{step['kernels']:,}" if "kernels" in step else ""
        yield f"| {name} | {1e3 * step['seconds']:.1f} | {peak} | {kernels} | {' | '.join(faster)} |"
    for step in steps:
        if "error" in step:
            yield ""
            yield f"{step['name']} failed: `{step['error'][:200]}`"


def _searches(known: Mapping[str, Any]) -> Iterator[str]:
    yield "| search | scale | skips | CIFAR-10 accuracy of the cells (%) | minutes |"
    yield "| --- | --- | --- | --- | --- |"
    for name, item in known.items():
        if item.get("skips") is None:
            continue
        skips = " + ".join(map(str, item["skips"].values()))
        if "as_expected" in item:
            skips += ", as expected" if item["as_expected"] else ", not as expected"
        accuracy = f"{item['truth']['cifar10']:.2f}" if item["truth"] else "no estimate"
        yield f"| {name.split('/')[1]} | {item['scale']} | {skips} | {accuracy} | {item['seconds'] / 60:.1f} |"
    yield from _over_seeds(known, lambda item: item["truth"] and item["truth"]["cifar10"])


def _trainings(known: Mapping[str, Any]) -> Iterator[str]:
    yield "| cells of | scale | epochs | test accuracy after the last epoch (%) | minutes |"
    yield "| --- | --- | --- | --- | --- |"
    for name, item in known.items():
        if "test_accuracy" in item:
            accuracy = f"{100 * item['test_accuracy']:.2f}"
            yield f"| {name.split('/')[1]} | {item['scale']} | {item['epochs']} | {accuracy} | {item['seconds'] / 60:.1f} |"
    yield from _over_seeds(known, lambda item: 100 * item["test_accuracy"])


def _over_seeds(known: Mapping[str, Any], value: Any) -> Iterator[str]:
    """Mean and standard deviation of what is finished, by method."""
    values: dict[str, list[float]] = {}
    for name, item in known.items():
        if item["state"] == "finished" and (number := value(item)):
            values.setdefault(name.split("/")[1].rsplit("-seed")[0], []).append(number)
    said = [
        f"{method} {statistics.fmean(of):.2f} ± {statistics.stdev(of):.2f} (n = {len(of)})"
        for method, of in values.items()
        if len(of) > 1
    ]
    if said:
        yield ""
        yield f"Mean and sample standard deviation over the seeds: {'; '.join(said)}."


_TABLES = {"tests": _tests, "steps": _steps, "nasbench201": _searches, "search": _searches, "train": _trainings}
