"""Charts of runs that differ only in their seeds, and charts that compare several configurations."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from markupsafe import Markup

from adarts.report.cells import node_text
from adarts.report.charts import Chart, Dot, Rule, Series, Value, draw, percent, scatter
from adarts.report.drawing import inline
from adarts.report.palette import MUTED, look, series_look
from adarts.report.reading import LARGEST, RunRecord
from adarts.spaces import Space

Runs = Sequence[RunRecord]

_ESTIMATED = "CIFAR-10: estimated accuracy (%)"
PLACES = "others", "the front"
"""Where a training stands among all."""
TRIED = {"accuracy": "accuracy on held-out images (%)", "loss": "mean loss of its training"}
"""What a search measured of the cells that it tried, and its name in charts."""
FOUND = "the found cell"
_LOW, _HIGH = 91.5, 95.0  # range of the estimates in charts; nearly all cells are within


@dataclass(frozen=True)
class ChartGroup:
    """Drawings with a common heading and an explanation; in a wide group, each drawing has its own row."""

    heading: str
    text: str
    drawings: list[Markup]
    wide: bool = False

    @classmethod
    def of(cls, heading: str, text: str, charts: Iterable[Chart]) -> ChartGroup:
        """Draw the charts that have values as a group."""
        return cls(heading, text, [inline(draw([chart]).svg()) for chart in charts if chart.values])


def column(run: RunRecord, name: str, kind: str | None = None) -> list[Value]:
    """A measured value by epoch, for one cell kind if `kind` is given; None where it was not measured."""
    values = [record.get(name) for record in run.metrics]
    if kind is not None:
        values = [value.get(kind) if isinstance(value, dict) else None for value in values]
    return [value if is_number(value) else None for value in values]


def is_number(value: object) -> TypeGuard[float | int]:
    """Whether a value of a file is a number that can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _series(curves: Iterable[tuple[str, Runs, str, str | None]]) -> list[Series]:
    """Curves from tuples of label, runs, and the name and kind for :func:`column`."""
    return [
        Series(label, series_look(index), [column(run, name, kind) for run in runs])
        for index, (label, runs, name, kind) in enumerate(curves)
    ]


def chart_groups(runs: Runs) -> list[ChartGroup]:
    """All charts of the runs, in groups."""
    run, space = runs[0], runs[0].space
    groups = [ChartGroup.of("Learning", "", learning(runs))]
    if run.kind == "search" and space is not None:
        groups += [*_fronts(runs), *_trials(runs)]
        has_alphas = any("operation_weights" in record for record in run.metrics)
        groups += _of_a_search(runs, space, (run.setting("search", "warmup_epochs") or 0) if has_alphas else 0)
        if run.genotype is not None:
            groups += [*_operation_weights(runs, space), *_edge_weights(runs, space)]
    return [group for group in groups if group.drawings]


def _trials(runs: Runs) -> list[ChartGroup]:
    """One scatter plot for each seed: what the search measured of the cells that it tried."""
    drawings = []
    for run in runs:
        found = None if run.genotype is None else run.genotype.to_dict()["cells"]
        for name, words in TRIED.items():
            tried = (trial for trials in run.rounds for trial in trials)
            values = [(trial[name], trial.get("cells") == found) for trial in tried if is_number(trial.get(name))]
            if values:
                dots = [
                    Dot(at, value, FOUND if is_found else "tried cell") for at, (value, is_found) in enumerate(values)
                ]
                seed = "" if len(runs) == 1 else f", seed {run.config.get('seed')}"
                drawings.append(
                    inline(scatter(f"The cells that were tried{seed}", "number of the cell", words, dots).svg())
                )
    return [
        ChartGroup(
            "Trials", "What the search measured of each cell, in order. Such a figure is noisy.", drawings, wide=True
        )
    ]


def _fronts(runs: Runs) -> list[ChartGroup]:
    """One scatter plot for each seed: the front and the other cells that were measured last."""
    drawings = []
    for run in runs:
        if not run.front:
            continue
        last = (
            [[trial.get(name) for name in ("parameters", "accuracy")] for trial in run.rounds[-1]] if run.rounds else []
        )
        points = [(size, value) for size, value in last if is_number(size) and is_number(value)]
        front = [(entry["parameters"], entry["accuracy"]) for entry in run.front]
        dots = [Dot(size / 1e6, value, "other cells") for size, value in points if (size, value) not in front]
        dots += [Dot(size / 1e6, value, "the front") for size, value in front]
        seed = "" if len(runs) == 1 else f", seed {run.config.get('seed')}"
        axes = "parameters (millions)", TRIED["accuracy"]
        drawings.append(inline(scatter(f"Accuracy and size{seed}", *axes, dots).svg()))
    text = "The cells of the last generation. No other cell is both smaller and more accurate than one of the front."
    return [ChartGroup("The front", text, drawings, wide=True)]


def learning(runs: Runs) -> Iterable[Chart]:
    """The charts of loss, accuracy and learning rate; charts without values are among them."""
    parts = {
        "train": "weights" if runs[0].kind == "search" else "training",
        "alphas": "alphas",
        "supernet": "supernet, validated",
        "validation": "held-out",
    }
    measures: list[tuple[str, dict[str, Any]]] = [("loss", {}), ("accuracy", {"words": percent, "high": 1.0})]
    for measure, how in measures:
        known = ((label, runs, f"{part}_{measure}", None) for part, label in parts.items())
        there = [one for one in known if any(v is not None for run in runs for v in column(run, one[2]))]
        yield Chart(measure.capitalize(), _series(there), **how)
    yield Chart("Learning rate", _series([("weights", runs, "learning_rate", None)]))


def _of_a_search(runs: Runs, space: Space, warmup: int) -> list[ChartGroup]:
    def by_kind(title: str, name: str, **how: Any) -> Chart:
        curves = ((kind, runs, name, kind) for kind in space.cell_kinds)
        return Chart(title, _series(curves), shade_until=warmup, **how)

    def single(title: str, label: str, outer: str, name: str) -> Chart:
        return Chart(title, _series([(label, runs, outer, name)]), shade_until=warmup)

    own = (record.get("method") for run in runs for record in run.metrics)
    names = dict.fromkeys(name for measured in own if isinstance(measured, dict) for name in measured)
    frozen = " The alphas are frozen in the shaded epochs." if warmup else ""
    return [
        ChartGroup.of(
            "Skip connections by epoch",
            f"Counted in the cells derived after each epoch. More than {space.max_skips} in the {space.cell_kinds[0]} cell are "
            f"called a collapse.{frozen}",
            [
                by_kind("Skip connections", "skips", high=4.0, whole=True, rule=collapse_rule([space])),
                by_kind("All operations without weights", "weight_free", high=8.0, whole=True),
            ],
        ),
        _estimated_accuracy(runs, warmup)
        if any(run.is_estimated for run in runs)
        else ChartGroup.of(
            "True accuracy of the cells",
            "Test accuracy after 200 epochs of training, from the benchmark. The best cell has 0 points and rank 1.",
            [
                single("CIFAR-10: points below the best cell", "derived cell", "truth", "regret"),
                single("CIFAR-100: points below the best cell", "derived cell", "truth", "regret_cifar100"),
                single("CIFAR-10: rank of 15,625", "derived cell", "truth", "rank"),
            ],
        ),
        ChartGroup.of(
            "How clearly the search decides",
            "As the search decides, entropy falls and margins grow.",
            [
                by_kind("Entropy of the operation weights (nats)", "entropy", rule=undecided_rule(space)),
                by_kind("Margin between the best two operations", "operation_margin"),
                by_kind("Margin between the weakest kept and the strongest dropped edge", "edge_margin"),
                by_kind("Share of selected channels that stay the same", "channel_stability", high=1.0),
            ],
        ),
        ChartGroup.of(
            "Measurements of the method",
            "",
            [single(name.replace("_", " ").capitalize(), name, "method", name) for name in names],
        ),
    ]


def _estimated_accuracy(runs: Runs, warmup: int) -> ChartGroup:
    """Chart of the estimated accuracy by epoch; known levels are marked once a run is finished."""
    known = next((run.floors for run in runs if run.floors), [])
    rule = Rule(known[0][1].mean, f"mean of {known[0][0]}") if known else None
    series = _series([("derived cell", runs, "truth", "cifar10")])
    return ChartGroup.of(
        "Estimated accuracy of the cells",
        "Validation accuracy on CIFAR-10 after 98 epochs, estimated from published figures of other cells. No cell was trained "
        "for it, and differences of single cells below 0.2 points mean nothing.",
        [Chart(_ESTIMATED, series, words="{:.2f}".format, low=_LOW, high=_HIGH, rule=rule, shade_until=warmup)],
    )


def _operation_weights(runs: Runs, space: Space) -> list[ChartGroup]:
    """One drawing for each kind of cell, with a chart for every edge."""
    recorded = [run for run in runs if run.genotype and run.metrics and "operation_weights" in run.metrics[-1]]
    if not recorded:
        return []
    text = (
        "Each chart shows one edge, and each row the edges into one node. A chart's title names the operation that the cell "
        "keeps on the edge. All charts of a cell have the same scale."
    )

    def chart(kind: str, index: int) -> Chart:
        source, target = space.edges[index]
        series = [
            Series(
                name, look(name), [[r["operation_weights"][kind][index][at] for r in run.metrics] for run in recorded]
            )
            for at, name in enumerate(space.operations)
        ]
        ends = " → ".join(node_text(node, space.num_inputs, space.num_nodes) for node in (source, target))
        kept = Counter(run.genotype.by_edge(kind).get((source, target), "") for run in recorded)  # type: ignore[union-attr]
        name, times = kept.most_common(1)[0]
        words = (name or "not kept") + ("" if len(recorded) == 1 else f" in {times} of {len(recorded)}")
        return Chart(f"{ends}: {words}", series, title_look=look(name) if name else MUTED)

    groups: list[ChartGroup] = []
    for kind in space.cell_kinds:
        columns = max(len(space.incoming(target)) for target in space.targets)
        charts: list[Chart | None] = []
        for target in space.targets:
            row = [chart(kind, index) for index in space.incoming(target)]
            charts += [*row, *[None] * (columns - len(row))]
        drawing = draw(charts, columns, f"{kind.capitalize()} cell: weights of the operations by epoch", size=(176, 84))
        groups.append(
            ChartGroup(
                "" if groups else "Operation weights by epoch", "" if groups else text, [inline(drawing.svg())], True
            )
        )
    return groups


def _edge_weights(runs: Runs, space: Space) -> list[ChartGroup]:
    """Charts of the weights of the edges into each node (edge normalization), one group for each kind of cell."""
    recorded = [run for run in runs if run.metrics and "edge_weights" in run.metrics[-1]]

    def chart(kind: str, target: int) -> Chart:
        series = [
            Series(
                f"from {node_text(space.edges[index][0], space.num_inputs, space.num_nodes)}",
                series_look(space.edges[index][0]),
                [[record["edge_weights"][kind][index] for record in run.metrics] for run in recorded],
            )
            for index in space.incoming(target)
        ]
        return Chart(f"Into node {target - space.num_inputs}", series)

    return [
        ChartGroup.of(f"Edge weights by epoch, {kind} cell", "", [chart(kind, target) for target in space.targets])
        for kind in space.cell_kinds
        if recorded
    ]


def common_charts(groups: Sequence[tuple[str, Runs]], kind: str) -> list[Markup]:
    """Charts with one curve for each configuration of this kind of run; none for fewer than two configurations."""
    chosen = [(label, runs) for label, runs in groups if runs[0].kind == kind and any(run.metrics for run in runs)]
    return [inline(draw([chart]).svg()) for chart in charts_in_common(chosen)] if len(chosen) > 1 else []


def charts_in_common(groups: Sequence[tuple[str, Runs]]) -> list[Chart]:
    """Charts of what several configurations of one kind of run have in common, with one curve for each configuration."""

    def chart(title: str, name: str, part: str | None = None, **how: Any) -> Chart:
        return Chart(title, _series((label, runs, name, part) for label, runs in groups), **how)

    rule = collapse_rule(runs[0].space for _, runs in groups)
    charts = [
        chart("Training loss", "train_loss"),
        chart("Training accuracy", "train_accuracy", words=percent, high=1.0),
        chart("Skip connections in the normal cell", "skips", "normal", high=4.0, whole=True, rule=rule),
        chart("CIFAR-10: points below the best cell", "truth", "regret"),
    ]
    estimated = [(label, runs) for label, runs in groups if any(run.is_estimated for run in runs)]
    series = _series((label, runs, "truth", "cifar10") for label, runs in estimated)
    charts.append(Chart(_ESTIMATED, series, words="{:.2f}".format, low=_LOW, high=_HIGH))
    return [chart for chart in charts if chart.values]


def trade_offs(groups: Sequence[tuple[str, Runs]]) -> list[Markup]:
    """Scatter plots of the test accuracy and a cost, one for each cost, with a dot for each configuration of finished trainings.

    Several seeds are their mean. The front are those that no other one beats in one of the two and equals in the other. There
    are no plots for fewer than two configurations.
    """
    drawings = []
    for name, words in (("parameters", "parameters (millions)"), ("macs", "MACs for one image (millions)")):
        points = {}
        for label, runs in groups:
            known = [
                run.summary for run in runs if run.kind == "train" and {"test_accuracy", name} <= run.summary.keys()
            ]
            if known:
                cost, accuracy = (statistics.fmean(one[what] for one in known) for what in (name, "test_accuracy"))
                points[label] = cost / 1e6, 100 * accuracy
        dots = [Dot(*point, _place(point, points.values()), label) for label, point in points.items()]
        if len(dots) > 1:
            title = f"Accuracy and {words.split(' ')[0]}"
            drawings.append(inline(scatter(title, words, "test accuracy (%)", dots, kinds=PLACES).svg()))
    return drawings


def _place(point: tuple[float, float], points: Iterable[tuple[float, float]]) -> str:
    cost, accuracy = point
    beaten = any(other != point and other[0] <= cost and other[1] >= accuracy for other in points)
    return PLACES[0] if beaten else PLACES[1]


def collapse_rule(spaces: Iterable[Space | None]) -> Rule | None:
    """The number of skip connections above which a cell counts as collapsed; None if the spaces differ in it."""
    bounds = {space.max_skips for space in spaces if space is not None}
    if len(bounds) != 1:
        return None
    (most,) = bounds
    return Rule(most, f"collapse above {most}", alarm=True)


def undecided_rule(space: Space) -> Rule | None:
    """The mean entropy of equal weights of all allowed operations; None if the kinds of cells differ in it."""
    counts = ([sum(row) for row in space.allowed(kind)] for kind in space.cell_kinds)
    levels = {round(statistics.fmean(map(math.log, of_edges)), 9) for of_edges in counts}
    return Rule(levels.pop(), "undecided") if len(levels) == 1 else None
