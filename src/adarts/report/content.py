"""What the report says about the runs of one configuration, which differ in the seed alone: often just one run."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from markupsafe import Markup

from adarts.report.cells import cell_svg, node_text
from adarts.report.charts import Chart, Series, Value, draw, inline, percent
from adarts.report.numbers import Spread, count, duration
from adarts.report.palette import MUTED, look, series_look
from adarts.report.reading import RunRecord
from adarts.report.spaces import collapse_rule, space_of, undecided_rule
from adarts.spaces import Space

Runs = Sequence[RunRecord]
Row = tuple[str, str]


@dataclass(frozen=True)
class Tile:
    """A headline figure."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class ChartGroup:
    """Drawings that belong together, with a sentence on how to read them; a wide one stands alone in its row."""

    heading: str
    text: str
    drawings: list[Markup]
    wide: bool = False

    @classmethod
    def of(cls, heading: str, text: str, charts: Iterable[Chart]) -> ChartGroup:
        """A group of the charts that have a value."""
        return cls(heading, text, [inline(draw([chart])) for chart in charts if chart.values])


def name_of(run: RunRecord) -> str:
    """A short name of a run for people."""
    data = run.config.get("data", "unknown data")
    if run.kind == "search":
        return f"search with {run.config.get('method', 'an unknown method')} on {data}"
    if network := run.setting("network", "name"):
        return f"training of {network} on {data}"
    source = str(run.summary.get("genotype_source", run.config.get("genotype", "a genotype")))
    name = PurePath(source).name
    return f"training of {source if name in ('', 'latest') else name} on {data}"


def seeds_of(runs: Runs) -> str:
    """Their seeds in words."""
    return ", ".join(str(run.config.get("seed", "–")) for run in runs)


def seed_if(runs: Runs, run: RunRecord) -> str:
    """The seed of one of these runs, where it is not the only one."""
    return "" if len(runs) == 1 else f", seed {run.config.get('seed')}"


def conditions(runs: Runs) -> str:
    """Under which conditions the figures came about."""
    run, space = runs[0], space_of(runs[0])
    shape = "supernet" if run.kind == "search" else "network"
    environment = run.environment
    facts = [
        ("space", None if space is None else space.name),
        ("scale", run.config.get("scale")),
        ("seed" if len(runs) == 1 else "seeds", seeds_of(runs)),
        ("epochs", run.num_epochs),
        ("cells", run.setting(shape, "cells")),
        ("channels", run.setting(shape, "channels")),
        ("on", environment.get("cpu") if environment.get("device") == "cpu" else environment.get("device")),
    ]
    return " · ".join(f"{label} {value}" for label, value in facts if value is not None)


def notes(runs: Runs) -> list[str]:
    """What a reader must know before the figures."""
    found: dict[str, list[RunRecord]] = {}
    for run in runs:
        for note in _notes(run):
            found.setdefault(note, []).append(run)
    return [note if len(those) == len(runs) else f"Seed {seeds_of(those)}: {note}" for note, those in found.items()]


def _notes(run: RunRecord) -> list[str]:
    found = []
    if not run.summary:
        state = "What is shown is its state after the last of them." if run.metrics else "There is nothing to draw yet."
        found.append(f"This run is not finished: {len(run.metrics)} of {run.num_epochs} epochs. {state}")
    if run.summary.get("stopped"):
        planned = run.summary.get("planned_epochs", run.num_epochs)
        found.append(
            f"The method ended the search after {run.num_epochs} of {planned} epochs: {run.summary['stopped']}."
        )
    space, skips = space_of(run), skip_counts(run)
    if run.kind == "search" and space and skips.get(kind := space.cell_kinds[0], 0) > space.max_skips:
        found.append(
            f"The search has collapsed: {skips[kind]} skip connections in the {kind} cell, more than {space.max_skips}. Such "
            "cells usually train worse. Try fewer epochs, more warm-up epochs or another seed."
        )
    return found + [f"Data: {value}" for what, value in run.data_facts if what == "note"]


def skip_counts(run: RunRecord) -> dict[str, int]:
    """Skip connections of each cell."""
    if run.genotype is None:
        return {}
    return {kind: run.genotype.num_operations(kind, "skip_connect") for kind in run.genotype.cells}


def over(runs: Runs, name: str, form: Callable[[float], str], factor: float = 1, unit: str = "") -> str | None:
    """A figure of the summaries over the seeds, in words; None where no run has it."""
    values = [factor * run.summary[name] for run in runs if name in run.summary]
    values = values if len(set(values)) > 1 else values[:1]
    return Spread.of(values).words(form, unit) if values else None


def skips_in_words(runs: Runs) -> str | None:
    """Skip connections of each kind of cell, over the seeds."""
    counts = [skips for run in runs if (skips := skip_counts(run))]
    spreads = [Spread.of(skips[kind] for skips in counts) for kind in counts[0]] if counts else []
    return " + ".join(spread.words(lambda value: f"{value:.2g}") for spread in spreads) or None


def tiles(runs: Runs) -> list[Tile]:
    """The headline figures."""
    run, summary = runs[0], runs[0].summary
    one = len(runs) == 1
    found: list[tuple[str, str | None, str]] = []
    if run.kind == "train":
        images = f"of {summary.get('test_images', 0):,} images, after the last epoch"
        found.append(("Test accuracy", over(runs, "test_accuracy", two_decimals, 100, " %"), images))
        if not summary and run.metrics:
            accuracy = percent(run.metrics[-1]["train_accuracy"])
            found.append(("Training accuracy so far", accuracy, "the test set has not been touched"))
        found.append(("Parameters", over(runs, "parameters", count), _exact(summary, "parameters") if one else ""))
        found.append(("MACs", over(runs, "macs", count), "multiply-adds for one image"))
    else:
        known = [(truth["cifar10"], truth["rank"]) for run in runs if (truth := run.summary.get("truth"))]
        if known:
            value = Spread.of(accuracy for accuracy, _ in known).words(two_decimals, " %")
            ranks = ", ".join(f"{rank:,}" for _, rank in known)
            found.append(("True accuracy, CIFAR-10", value, f"rank {ranks} of all cells"))
        kinds = " + ".join(f"{kind} cell" for kind in skip_counts(run))
        found.append(("Skip connections", skips_in_words(runs), kinds))
        weights = over(runs, "supernet_parameters", count)
        found.append(("Supernet weights", weights, _exact(summary, "supernet_parameters") if one else ""))
    found.append(("Time", over(runs, "seconds", duration), f"{run.num_epochs} epochs"))
    return [Tile(label, value, detail) for label, value, detail in found if value is not None]


def _exact(summary: Mapping[str, Any], name: str) -> str:
    return f"{summary.get(name, 0):,}"


def two_decimals(value: float) -> str:
    """A value in percent, without its sign."""
    return f"{value:.2f}"


def costs(run: RunRecord) -> list[Row]:
    """The table of costs and checks."""
    summary = run.summary
    labels: list[tuple[str, str, Callable[[Any], str]]] = [
        ("parameters", "Parameters of the network", "{:,}".format),
        ("auxiliary_parameters", "Parameters of the auxiliary head (training only)", "{:,}".format),
        ("macs", "Multiply-adds (MACs) for one image", "{:,}".format),
        ("supernet_parameters", "Weights of the supernet", "{:,}".format),
        ("seconds", "Time of the whole run", duration),
        ("training_accuracy", "Training accuracy of the last epoch", "{:.2%}".format),
        ("test_loss", "Test loss", "{:.4f}".format),
        (
            "initial_genotype_differs",
            "Cells differ from those before the first step",
            lambda moved: "yes" if moved else "no",
        ),
    ]
    rows = [(label, words(summary[key])) for key, label, words in labels if key in summary]
    if summary.get("seconds") and run.num_epochs:
        rows.append(("Time for an epoch, on average", duration(summary["seconds"] / run.num_epochs)))
    return rows


def cells(runs: Runs) -> list[tuple[str, Markup]]:
    """The drawn cells, and what each is."""
    return [
        (
            f"{kind} cell" if len(runs) == 1 else f"{kind} cell, seed {run.config.get('seed')}",
            inline(cell_svg(run.genotype, kind)),
        )
        for run in runs
        if run.genotype is not None
        for kind in run.genotype.cells
    ]


def column(run: RunRecord, name: str, kind: str | None = None) -> list[Value]:
    """A value by epoch, of a cell kind where it has one for each; None where it was not measured."""
    values = [record.get(name) for record in run.metrics]
    if kind is not None:
        values = [value.get(kind) if isinstance(value, dict) else None for value in values]
    return [_finite(value) for value in values]


def _finite(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and math.isfinite(value) else None  # type: ignore[arg-type, return-value]


def chart_groups(runs: Runs) -> list[ChartGroup]:
    """All charts."""
    run, space = runs[0], space_of(runs[0])
    groups = [ChartGroup.of("Learning", "", _learning(runs))]
    if run.kind == "search" and space is not None:
        groups += _of_a_search(runs, space, run.setting("search", "warmup_epochs") or 0)
        if run.genotype is not None:
            groups += [*_operation_weights(runs, space), *_edge_weights(runs, space)]
    return [group for group in groups if group.drawings]


def _learning(runs: Runs) -> Iterable[Chart]:
    parts = {
        "train": "weights" if runs[0].kind == "search" else "training",
        "alphas": "alphas",
        "supernet": "supernet, validated",
        "validation": "held-out",
    }
    for measure, how in (("loss", {}), ("accuracy", {"words": percent, "high": 1.0})):
        found = [(label, [column(run, f"{part}_{measure}") for run in runs]) for part, label in parts.items()]
        there = [(label, columns) for label, columns in found if any(v is not None for one in columns for v in one)]
        series = [Series(label, series_look(index), columns) for index, (label, columns) in enumerate(there)]
        yield Chart(measure.capitalize(), series, **how)  # type: ignore[arg-type]
    rates = [column(run, "learning_rate") for run in runs]
    yield Chart("Learning rate", [Series("weights", series_look(0), rates)])


def _of_a_search(runs: Runs, space: Space, warmup: int) -> list[ChartGroup]:
    def by_kind(title: str, name: str, **how: Any) -> Chart:
        columns = ((kind, [column(run, name, kind) for run in runs]) for kind in space.cell_kinds)
        series = [Series(kind, series_look(index), values) for index, (kind, values) in enumerate(columns)]
        return Chart(title, series, shade_until=warmup, **how)

    def single(title: str, label: str, outer: str, name: str) -> Chart:
        return Chart(
            title, [Series(label, series_look(0), [column(run, outer, name) for run in runs])], shade_until=warmup
        )

    own = (record.get("method") for run in runs for record in run.metrics)
    names = dict.fromkeys(name for measured in own if isinstance(measured, dict) for name in measured)
    frozen = " The alphas are frozen in the shaded epochs." if warmup else ""
    return [
        ChartGroup.of(
            "Skip connections by epoch",
            f"In the cells that would be derived after each epoch. More than {space.max_skips} in the "
            f"{space.cell_kinds[0]} cell are called a collapse.{frozen}",
            [
                by_kind("Skip connections", "skips", high=4.0, whole=True, rule=collapse_rule([space])),
                by_kind("All operations without weights", "weight_free", high=8.0, whole=True),
            ],
        ),
        ChartGroup.of(
            "What the cells are worth",
            "Known for every cell of this space: the test accuracy after 200 epochs of training. 0 and rank 1 are the best.",
            [
                single("CIFAR-10: points below the best cell", "derived cell", "truth", "regret"),
                single("CIFAR-100: points below the best cell", "derived cell", "truth", "regret_cifar100"),
                single("CIFAR-10: rank of 15,625", "derived cell", "truth", "rank"),
            ],
        ),
        ChartGroup.of(
            "How sure the search is",
            "Entropy falls and margins grow while the search makes up its mind.",
            [
                by_kind("Entropy of the operation weights (nats)", "entropy", rule=undecided_rule(space)),
                by_kind("Margin between the best two operations", "operation_margin"),
                by_kind("Margin between the last edge kept and the first left out", "edge_margin"),
                by_kind("Selected channels that stay the same", "channel_stability", high=1.0),
            ],
        ),
        ChartGroup.of(
            "What the method measured",
            "",
            [single(name.replace("_", " ").capitalize(), name, "method", name) for name in names],
        ),
    ]


def _operation_weights(runs: Runs, space: Space) -> list[ChartGroup]:
    """For each kind of cell a drawing with a chart for every edge."""
    recorded = [run for run in runs if run.genotype and run.metrics and "operation_weights" in run.metrics[-1]]
    if not recorded:
        return []
    text = (
        "One chart for each edge, a row for each node that edges enter, with the operation that the cell keeps there. The same "
        "scale in all charts of a cell."
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
            ChartGroup("" if groups else "Operation weights by epoch", "" if groups else text, [inline(drawing)], True)
        )
    return groups


def _edge_weights(runs: Runs, space: Space) -> list[ChartGroup]:
    """For each kind of cell a chart for every node: the weights of the edges that enter it (edge normalization)."""
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
    """Charts with a curve for every configuration of a kind of runs, if there is more than one."""
    chosen = [(label, runs) for label, runs in groups if runs[0].kind == kind and any(run.metrics for run in runs)]
    if len(chosen) < 2:
        return []

    def chart(title: str, name: str, part: str | None = None, **how: Any) -> Chart:
        columns = ((label, [column(run, name, part) for run in runs]) for label, runs in chosen)
        return Chart(title, [Series(label, series_look(i), values) for i, (label, values) in enumerate(columns)], **how)

    rule = collapse_rule(space_of(runs[0]) for _, runs in chosen)
    charts = [
        chart("Training loss", "train_loss"),
        chart("Training accuracy", "train_accuracy", words=percent, high=1.0),
        chart("Skip connections in the normal cell", "skips", "normal", high=4.0, whole=True, rule=rule),
        chart("CIFAR-10: points below the best cell", "truth", "regret"),
    ]
    return ChartGroup.of("", "", charts).drawings


def genotype_texts(runs: Runs) -> list[Row]:
    """The written forms of the genotypes; the textual one only where it can say it."""
    forms = []
    for run in runs:
        if run.genotype is not None:
            which = seed_if(runs, run)
            if run.genotype.has_text:
                text = "Classical text" if run.genotype.space == "darts" else "Text"
                forms.append((f"{text}{which}", run.genotype.to_text()))
            forms.append((f"JSON{which}", run.genotype.to_json()))
    return forms


def flat(values: Mapping[str, Any], prefix: str = "") -> list[Row]:
    """Nested values as rows with dotted names."""
    rows: list[Row] = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            rows += flat({str(index): item for index, item in enumerate(value, start=1)}, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    return rows
