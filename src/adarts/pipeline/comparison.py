"""What a run says of its networks: which one to take, and a table of all."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from adarts.export.export import Exported
from adarts.pipeline.plan import Plan
from adarts.pipeline.rivals import start_of
from adarts.report import Lead
from adarts.training import TrainResult
from adarts.zoo.baselines import TIMM, title_of

Measure = Literal["test_accuracy", "balanced_accuracy"]


def verdict(
    delivered: TrainResult,
    allowed: Mapping[str, TrainResult],
    trained: int,
    searched: bool,
    measure: Measure = "test_accuracy",
) -> str:
    """One sentence: which network to take. A lead of less than two standard errors of the difference is no lead.

    Args:
        delivered: the delivered network.
        allowed: the other networks that meet the limits, by name.
        trained: number of other networks, whether or not they meet the limits.
        searched: whether the cells of the delivered network were searched.
        measure: what is compared; the balanced accuracy is the mean of the accuracies of all classes.
    """
    if not trained:
        return "No other network was trained, so nobody knows whether another one is better."
    if not allowed:
        return "Take the delivered network: all others break a limit."
    name, best = max(allowed.items(), key=lambda pair: float(pair[1].summary[measure]))
    lead, error = delivered.summary[measure] - best.summary[measure], _error(delivered, best, measure)
    what = "points" if measure == "test_accuracy" else "points of balanced accuracy"
    points = f"{100 * abs(lead):.1f} {what} (standard error {100 * error:.1f})"
    if lead > 2 * error:
        return f"Take the delivered network: it is {points} ahead of the best other one, {said(name)}."
    if lead < -2 * error:
        so = "; the search was not worth it here" if searched else ""
        return f"Take {said(name)}: it is {points} ahead of the delivered network{so}."
    return (
        f"The delivered network and the best other one, {said(name)}, do not differ clearly: {points}. "
        "Take the smaller or faster one."
    )


def said(name: str) -> str:
    """A rival in words."""
    if name.startswith("random:"):
        return "random cells"
    if not name.startswith(TIMM):
        return f"the published cells {name}"
    network, file = start_of(name)
    return title_of(network) + ("" if file is None else f", fine-tuned from {Path(file).name}")


def _error(one: TrainResult, other: TrainResult, measure: Measure) -> float:
    """Standard error of the difference of two accuracies on the same test images, at least what a single image changes."""

    def groups(run: TrainResult) -> list[tuple[float, int]]:
        """Accuracy and number of the images whose accuracies have a mean."""
        if measure == "test_accuracy":
            return [(run.summary["test_accuracy"], run.summary["test_images"])]
        return [(group["accuracy"], group["images"]) for group in run.summary["test_classes"] if group["images"]]

    both = [groups(run) for run in (one, other)]
    variances = [sum(share * (1 - share) / images for share, images in part) / len(part) ** 2 for part in both]
    fewest = min(images for _, images in both[0])
    return max(math.sqrt(sum(variances)), 1 / (fewest * len(both[0])))


def lead(
    plan: Plan, delivered: TrainResult, rivals: dict[str, TrainResult], exported: Exported, summary: dict[str, Any]
) -> Lead:
    """The introduction of the report: the verdict, and all networks in a table."""
    cells = "searched cells" if plan.search.trials else f"published cells {plan.search.published}"
    runs = [(f"delivered: {cells}", delivered), *((said(name), result) for name, result in rivals.items())]
    rows = [
        (
            name,
            f"{100 * run.test_accuracy:.2f} % of {run.summary['test_images']:,}",
            f"{100 * run.summary['balanced_accuracy']:.2f} %",
            f"{run.summary['parameters']:,}",
            f"{run.summary['macs'] / 1e6:,.1f} M",
            str(run.summary["epochs"]),
            f"{run.summary['seconds'] / 60:.1f}",
        )
        for name, run in runs
    ]
    problems = [f"It breaks a limit all the same: it has {'; '.join(summary['breaks_limits'].get('delivered', []))}."]
    latency = summary["delivered"]["latency_ms"]
    return Lead(
        title=f"adarts run: {plan.data[:80]}",
        paragraphs=[
            summary["verdict"],
            "Every network had as many epochs as take the time of the delivered one, by timed steps, and one seed. It was "
            "measured once on the test images. Cells have as many parameters as the delivered network, as far as the limits "
            f"allow; a network of timm is as it is, with images of {plan.timm.size} pixels and AdamW. The balanced accuracy is "
            "the mean of the accuracies of all classes.",
            f"The delivered network needs {latency:.2f} ms for one image in onnxruntime with one thread on this machine: "
            f"{exported.path.name}, {exported.path.stat().st_size / 1e6:.2f} MB.",
            *(problems if "delivered" in summary["breaks_limits"] else []),
        ],
        head=("Network", "Test accuracy", "Balanced", "Parameters", "MACs per image", "Epochs", "Minutes"),
        rows=rows,
        charts=[],
        commands=[
            ("classify images", f"{shlex.join(['adarts', 'predict', str(exported.path)])} PHOTO.jpg"),
            ("another format", shlex.join(["adarts", "export", str(delivered.run_dir), "--int8"])),
        ],
    )
