"""What a run says of its networks: which one to take, and a table of all."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from adarts.config.values import names_code
from adarts.export.export import Exported
from adarts.pipeline.plan import FOUND, Plan
from adarts.pipeline.rivals import start_of
from adarts.report import Lead
from adarts.training import TrainResult
from adarts.zoo.baselines import TIMM, title_of

Measure = Literal["test_accuracy", "balanced_accuracy"]


def best_of(networks: Mapping[str, TrainResult], measure: Measure) -> str:
    """The network with the best accuracy of the held-out images; the first of equal ones, or the first if none are held out.

    Args:
        networks: networks by name.
        measure: which accuracy counts; the balanced accuracy is the mean of the accuracies of all classes.
    """
    return max(networks, key=lambda name: _held_out(networks[name], measure) or 0.0)


def verdict(
    networks: Mapping[str, TrainResult], chosen: str, allowed: Mapping[str, TrainResult], measure: Measure
) -> str:
    """In a few sentences: which network is delivered and why, and whether the test images agree.

    A lead on the test images of less than two standard errors of the difference is no lead.

    Args:
        networks: all networks by name, that of the found or published cells first.
        chosen: the one that is delivered.
        allowed: those that meet the limits.
        measure: what is compared.
    """
    delivered = f"Delivered: the network of {said(chosen)}"
    if len(networks) == 1:
        return f"{delivered}. No other network was trained, so nobody knows whether another one is better."
    others = {name: one for name, one in allowed.items() if name != chosen}
    if not others:
        return f"{delivered}. All others break a limit."
    what = "balanced accuracy" if measure == "balanced_accuracy" else "accuracy"
    if (share := _held_out(networks[chosen], measure)) is not None:
        next_best = best_of(others, measure)
        images = networks[chosen].summary["held_out"]["images"]
        delivered += f", with the best {what} of {images:,} held-out images, {_percent(share)}"
        delivered += f" (next: {said(next_best)}, {_percent(_held_out(networks[next_best], measure))})"
    delivered += "."
    if FOUND in networks and FOUND not in allowed:
        delivered += " The network of the found cells breaks a limit."
    elif FOUND in networks and chosen != FOUND:
        delivered += " The search found no better cells here."
    name, best = max(others.items(), key=lambda pair: float(pair[1].summary[measure]))
    ahead = networks[chosen].summary[measure] - best.summary[measure]
    error = _error(networks[chosen], best, measure)
    points = f"{100 * abs(ahead):.1f} points of {what} (standard error {100 * error:.1f})"
    rival = f"the best other one{'' if len(allowed) == len(networks) else ' within the limits'}, {said(name)}"
    if ahead > 2 * error:
        return f"{delivered} On the test images it had {points} more than {rival}."
    if ahead < -2 * error:
        return f"{delivered} But on the test images {said(name)} had {points} more."
    return f"{delivered} On the test images it does not differ clearly from {rival}: {points}."


def _held_out(network: TrainResult, measure: Measure) -> float | None:
    """An accuracy of the held-out images; None without any."""
    found = network.summary.get("held_out")
    return None if found is None else found["balanced_accuracy" if measure == "balanced_accuracy" else "accuracy"]


def _percent(share: float | None) -> str:
    return "not measured" if share is None else f"{100 * share:.1f} %"


def said(name: str) -> str:
    """A network in words."""
    if name == FOUND:
        return "the found cells"
    if name.startswith("random:"):
        return f"random cells of seed {name.rpartition(':')[2]}"
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


def conditions(plan: Plan, networks: Mapping[str, TrainResult], measure: Measure) -> str:
    """In a few sentences: how the networks were trained, and what chose one of them."""
    first, *others = networks
    words = []
    if others:
        words.append(
            "Every network had one seed, and as many epochs as take the time of the first one, by timed steps, but at most three "
            "times as many."
        )
    if others and "held_out" in networks[first].summary:
        chooses = "balanced accuracy" if measure == "balanced_accuracy" else "accuracy"
        words.append(f"The {chooses} on held-out images, which no network learned from, decides.")
    words.append("The test images were measured once for each network, and choose nothing.")
    if any(not name.startswith(TIMM) for name in others):
        words.append("Cells have about as many parameters as the first network, as far as the limits allow.")
    if any(name.startswith(TIMM) for name in others):
        words.append(f"A network of timm is as it is, with images of {plan.timm.size} pixels and AdamW.")
    return " ".join([*words, "The balanced accuracy is the mean of the accuracies of all classes."])


def lead(
    plan: Plan, networks: Mapping[str, TrainResult], measure: Measure, exported: Exported, summary: dict[str, Any]
) -> Lead:
    """The introduction of the report: the verdict, and all networks in a table."""
    delivered, breaks = summary["delivered"], summary["breaks_limits"]
    marks = {**dict.fromkeys(breaks, " (breaks a limit)"), delivered["network"]: " (delivered)"}
    rows = [
        (
            f"{said(name)}{marks.get(name, '')}",
            _percent(_held_out(run, measure)),
            f"{100 * run.test_accuracy:.2f} % of {run.summary['test_images']:,}",
            f"{100 * run.summary['balanced_accuracy']:.2f} %",
            f"{run.summary['parameters']:,}",
            f"{run.summary['macs'] / 1e6:,.1f} M",
            str(run.summary["epochs"]),
            f"{run.summary['seconds'] / 60:.1f}",
        )
        for name, run in networks.items()
    ]
    problems = breaks.get(delivered["network"])
    broken = [f"It breaks a limit all the same: it has {'; '.join(problems)}."] if problems else []
    failed = [
        f"Not in the table, because its training failed: {said(name)}: {why}."
        for name, why in summary["failed"].items()
    ]
    code = ["--data", plan.data] if names_code(plan.data) else []
    return Lead(
        title=f"adarts run: {plan.data[:80]}",
        paragraphs=[
            summary["verdict"],
            conditions(plan, networks, measure),
            f"The delivered network needs {delivered['latency_ms']:.2f} ms for one image in onnxruntime with one thread on this "
            f"machine: {exported.path.name}, {exported.path.stat().st_size / 1e6:.2f} MB.",
            *broken,
            *failed,
        ],
        head=(
            "Network",
            "Held-out accuracy" if measure == "test_accuracy" else "Held-out accuracy, balanced",
            "Test accuracy",
            "Balanced",
            "Parameters",
            "MACs per image",
            "Epochs",
            "Minutes",
        ),
        rows=rows,
        charts=[],
        commands=[
            ("classify images", f"{shlex.join(['adarts', 'predict', str(exported.path)])} PHOTO.jpg"),
            ("another format", shlex.join(["adarts", "export", str(exported.path.parent), "--int8", *code])),
        ],
    )
