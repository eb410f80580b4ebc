"""What the report says about one run: its figures, charts and tables."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from markupsafe import Markup

from adarts.errors import DataError
from adarts.report.cells import cell_svg, node_label, node_text
from adarts.report.charts import SMALL, Chart, Series, line_chart, number, percent
from adarts.report.numbers import count, duration, exact, grouped
from adarts.report.palette import css_class
from adarts.report.reading import RunRecord
from adarts.report.spaces import collapse_rule, space_of, undecided_rule
from adarts.spaces import Genotype, Space, get_space

Row = tuple[str, str]


@dataclass(frozen=True)
class Tile:
    """A headline figure."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class ChartGroup:
    """Charts that belong together, with a sentence on how to read them."""

    heading: str
    text: str
    charts: list[Chart]


@dataclass(frozen=True)
class Edge:
    """The operation weights of an edge by epoch, and the operations that the cell has there."""

    source: tuple[str, str]
    target: tuple[str, str]
    words: str
    kept: list[str]
    chart: Chart


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


def conditions(run: RunRecord) -> str:
    """Under which conditions the figures came about."""
    shape = "supernet" if run.kind == "search" else "network"
    space = space_of(run)
    facts = [
        ("space", None if space is None else space.name),
        ("scale", run.config.get("scale")),
        ("seed", run.config.get("seed")),
        ("epochs", run.num_epochs),
        ("cells", run.setting(shape, "cells")),
        ("channels", run.setting(shape, "channels")),
        ("on", run.environment.get("cpu") if run.environment.get("device") == "cpu" else run.environment.get("device")),
    ]
    return " · ".join(f"{label} {value}" for label, value in facts if value is not None)


def notes(run: RunRecord) -> list[str]:
    """What a reader must know before the figures."""
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
    return found


def skip_counts(run: RunRecord) -> dict[str, int]:
    """Skip connections of each cell."""
    if run.genotype is None:
        return {}
    return {kind: run.genotype.num_operations(kind, "skip_connect") for kind in run.genotype.cells}


def tiles(run: RunRecord) -> list[Tile]:
    """The headline figures of a run."""
    summary = run.summary
    found = []
    if run.kind == "train":
        if "test_accuracy" in summary:
            images = exact(summary["test_images"])
            value = f"{100 * summary['test_accuracy']:.2f} %"
            found.append(Tile("Test accuracy", value, f"of {images} images, after the last epoch"))
        elif run.metrics:
            value = f"{100 * run.metrics[-1]['train_accuracy']:.2f} %"
            found.append(Tile("Training accuracy so far", value, "the test set has not been touched"))
        if "parameters" in summary:
            found.append(Tile("Parameters", count(summary["parameters"]), exact(summary["parameters"])))
            found.append(Tile("MACs", count(summary["macs"]), "multiply-adds for one image"))
    else:
        if known := summary.get("truth"):
            value = f"{known['cifar10']:.2f} %"
            found.append(Tile("True accuracy, CIFAR-10", value, f"rank {exact(known['rank'])} of all cells"))
        skips = skip_counts(run)
        if skips:
            value = " + ".join(str(number) for number in skips.values())
            found.append(Tile("Skip connections", value, " + ".join(f"{kind} cell" for kind in skips)))
        if "supernet_parameters" in summary:
            weights = summary["supernet_parameters"]
            found.append(Tile("Supernet weights", count(weights), exact(weights)))
    if "seconds" in summary:
        found.append(Tile("Time", duration(summary["seconds"]), f"{run.num_epochs} epochs"))
    return found


def costs(run: RunRecord) -> list[Row]:
    """The table of costs."""
    summary = run.summary
    labels = [
        ("parameters", "Parameters of the network", exact),
        ("auxiliary_parameters", "Parameters of the auxiliary head (training only)", exact),
        ("macs", "Multiply-adds (MACs) for one image", exact),
        ("supernet_parameters", "Weights of the supernet", exact),
        ("seconds", "Time of the whole run", duration),
    ]
    rows = [(label, words(summary[key])) for key, label, words in labels if key in summary]
    if summary.get("seconds") and run.num_epochs:
        rows.append(("Time for an epoch, on average", duration(summary["seconds"] / run.num_epochs)))
    if "training_accuracy" in summary:
        rows.append(("Training accuracy of the last epoch", f"{100 * summary['training_accuracy']:.2f} %"))
    if "test_loss" in summary:
        rows.append(("Test loss", f"{summary['test_loss']:.4f}"))
    if "initial_genotype_differs" in summary:
        moved = summary["initial_genotype_differs"]
        rows.append(("Cells differ from those before the first step", "yes" if moved else "no"))
    return rows


def drawings(genotype: Genotype) -> list[tuple[str, Markup]]:
    """The drawn cells; safe to insert, since the drawing's template escapes every name."""
    return [(kind, Markup(cell_svg(genotype, kind, standalone=False))) for kind in genotype.cells]


def chart_groups(run: RunRecord) -> list[ChartGroup]:
    """All charts of a run, but the operation weights."""
    if not run.metrics:
        return []
    groups = [ChartGroup("Learning", "", _learning(run))]
    space = space_of(run)
    if run.kind == "search" and space is not None:
        warmup = run.setting("search", "warmup_epochs") or 0
        frozen = " The alphas are frozen in the shaded epochs." if warmup else ""
        groups.append(
            ChartGroup(
                "Skip connections by epoch",
                f"In the cells that would be derived after each epoch. More than {space.max_skips} in the "
                f"{space.cell_kinds[0]} cell are called a collapse.{frozen}",
                _skips(run, space, warmup),
            )
        )
        groups.append(
            ChartGroup(
                "What the cells are worth",
                "Known for every cell of this space: the test accuracy after 200 epochs of training. 0 and rank 1 are the best.",
                _truth(run, warmup),
            )
        )
        groups.append(
            ChartGroup(
                "How sure the search is",
                "Entropy falls and margins grow while the search makes up its mind.",
                _monitors(run, space, warmup),
            )
        )
        groups.append(ChartGroup("What the method measured", "", _measured(run, warmup)))
    return [group for group in groups if group.charts]


def column(run: RunRecord, name: str, kind: str | None = None) -> list[float | None]:
    """A value by epoch, of a cell kind where it has one for each; None where it was not measured."""
    values = [record.get(name) for record in run.metrics]
    if kind is not None:
        values = [value.get(kind) if isinstance(value, dict) else None for value in values]
    return [_finite(value) for value in values]


def _finite(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and math.isfinite(value) else None  # type: ignore[arg-type, return-value]


def epochs_of(run: RunRecord) -> list[int]:
    """The numbers of the finished epochs."""
    return [int(record.get("epoch", index)) for index, record in enumerate(run.metrics)]


def _learning(run: RunRecord) -> list[Chart]:
    parts = {
        "train": "weights" if run.kind == "search" else "training",
        "alphas": "alphas",
        "supernet": "supernet, validated",
        "validation": "held-out",
    }
    charts = []
    for measure, words, high in (("loss", number, None), ("accuracy", percent, 1.0)):
        columns = [(label, column(run, f"{part}_{measure}")) for part, label in parts.items()]
        shown = [(label, values) for label, values in columns if any(value is not None for value in values)]
        series = [Series(label, f"series-{index}", values) for index, (label, values) in enumerate(shown)]
        charts.append(line_chart(measure.capitalize(), series, epochs=epochs_of(run), words=words, high=high))
    rate = [Series("weights", "series-0", column(run, "learning_rate"))]
    charts.append(line_chart("Learning rate", rate, epochs=epochs_of(run)))
    return [chart for chart in charts if chart]


def _by_kind(run: RunRecord, name: str) -> list[Series]:
    kinds = list(run.genotype.cells) if run.genotype else []
    return [Series(kind, f"series-{index}", column(run, name, kind)) for index, kind in enumerate(kinds)]


def _skips(run: RunRecord, space: Space, warmup: int) -> list[Chart]:
    epochs = epochs_of(run)
    charts = [
        line_chart(title, _by_kind(run, name), epochs=epochs, high=high, whole=True, rule=rule, shade_until=warmup)
        for title, name, high, rule in (
            ("Skip connections", "skips", 4.0, collapse_rule([space])),
            ("All operations without weights", "weight_free", 8.0, None),
        )
    ]
    return [chart for chart in charts if chart]


def _truth(run: RunRecord, warmup: int) -> list[Chart]:
    charts = [
        line_chart(
            title,
            [Series("derived cell", "series-0", values)],
            epochs=epochs_of(run),
            words=grouped,
            shade_until=warmup,
        )
        for title, values in (
            ("CIFAR-10: points below the best cell", column(run, "truth", "regret")),
            ("CIFAR-100: points below the best cell", column(run, "truth", "regret_cifar100")),
            ("CIFAR-10: rank of 15,625", column(run, "truth", "rank")),
        )
    ]
    return [chart for chart in charts if chart]


def _monitors(run: RunRecord, space: Space, warmup: int) -> list[Chart]:
    charts = [
        line_chart(title, _by_kind(run, name), epochs=epochs_of(run), high=high, rule=rule, shade_until=warmup)
        for title, name, high, rule in (
            ("Entropy of the operation weights (nats)", "entropy", None, undecided_rule(space)),
            ("Margin between the best two operations", "operation_margin", None, None),
            ("Margin between the last edge kept and the first left out", "edge_margin", None, None),
            ("Selected channels that stay the same", "channel_stability", 1.0, None),
        )
    ]
    return [chart for chart in charts if chart]


def _measured(run: RunRecord, warmup: int) -> list[Chart]:
    """Every plain number that the method left in the records of the epochs."""
    own = [record.get("method") for record in run.metrics]
    found = [measured if isinstance(measured, dict) else {} for measured in own]
    names = dict.fromkeys(name for measured in found for name in measured)
    charts = []
    for name in names:
        series = [Series(name, "series-0", [_finite(measured.get(name)) for measured in found])]
        title = name.replace("_", " ").capitalize()
        charts.append(line_chart(title, series, epochs=epochs_of(run), shade_until=warmup))
    return [chart for chart in charts if chart]


def operation_weights(run: RunRecord) -> list[tuple[str, list[list[Edge]]]]:
    """For each cell kind the edges into every node, with the weights of their operations by epoch."""
    if run.genotype is None or not run.metrics or "operation_weights" not in run.metrics[-1]:
        return []
    space = get_space(run.genotype.space)
    return [(kind, _edges(run, space, run.genotype, kind)) for kind in run.genotype.cells]


def _edges(run: RunRecord, space: Space, genotype: Genotype, kind: str) -> list[list[Edge]]:
    by_epoch = [record["operation_weights"][kind] for record in run.metrics]
    high = max(weight for epoch in by_epoch for edge in epoch for weight in edge)
    rows: list[list[Edge]] = [[] for _ in space.targets]
    for index, (source, target) in enumerate(space.edges):
        series = [
            Series(name, css_class(name), [epoch[index][column] for epoch in by_epoch])
            for column, name in enumerate(space.operations)
        ]
        chart = line_chart("", series, epochs=epochs_of(run), frame=SMALL, high=high)
        pairs = genotype.cells[kind].nodes[target - space.num_inputs]
        kept = [operation for operation, origin in pairs if origin == source]
        start, end = (node_label(node, space.num_inputs, space.num_nodes) for node in (source, target))
        words = " to ".join(node_text(node, space.num_inputs, space.num_nodes) for node in (source, target))
        if chart:
            rows[target - space.num_inputs].append(Edge(start, end, words, kept, chart))
    return rows


def edge_weights(run: RunRecord) -> list[tuple[str, list[Chart]]]:
    """For each cell kind a chart for every node: the weights of the edges that enter it (edge normalization)."""
    if run.genotype is None or not run.metrics or "edge_weights" not in run.metrics[-1]:
        return []
    space = get_space(run.genotype.space)

    def charts(kind: str) -> list[Chart]:
        found = []
        for target in space.targets:
            series = [
                Series(
                    f"from {node_text(space.edges[index][0], space.num_inputs, space.num_nodes)}",
                    f"series-{space.edges[index][0]}",
                    [record["edge_weights"][kind][index] for record in run.metrics],
                )
                for index in space.incoming(target)
            ]
            title = f"Into node {target - space.num_inputs}"
            found.append(line_chart(title, series, epochs=epochs_of(run)))
        return [chart for chart in found if chart]

    return [(kind, charts(kind)) for kind in run.genotype.cells]


def genotype_texts(genotype: Genotype) -> list[Row]:
    """The written forms of a genotype; the textual one only where it can say it."""
    forms = [("JSON", genotype.to_json())]
    with suppress(DataError):
        form = "Classical text" if genotype.space == "darts" else "Text"
        forms.insert(0, (form, genotype.to_text()))
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
