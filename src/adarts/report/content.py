"""Texts, figures and tables of the report about the runs of one configuration; they differ only in their seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple, TypeVar

from markupsafe import Markup

from adarts.report.cells import cell_svg
from adarts.report.charts import percent
from adarts.report.drawing import inline
from adarts.report.numbers import Spread, count, duration
from adarts.report.reading import RunRecord
from adarts.spaces import Genotype

T = TypeVar("T")
Runs = Sequence[RunRecord]


class Tile(NamedTuple):
    """A headline figure of the page."""

    label: str
    value: str
    detail: str = ""


def name_of(run: RunRecord) -> str:
    """A short, readable name of a run."""
    data = run.config.get("data", "unknown data")
    if run.kind == "search":
        return f"search with {run.config.get('method', 'an unknown method')} on {data}"
    if network := run.setting("network", "name"):
        what = "fine-tuning" if run.setting("network", "pretrained") else "training"
        return f"{what} of {network} on {data}"
    source = str(run.summary.get("genotype_source", run.config.get("genotype", "a genotype")))
    if source == "given as text" or source.startswith("|"):  # the page shows the text itself further down
        return f"training of cells given as text on {data}"
    name = PurePath(source).name
    return f"training of {source if name in ('', 'latest') else name} on {data}"


def seeds_of(runs: Runs) -> str:
    """The seeds of the runs, separated by commas."""
    return ", ".join(str(run.config.get("seed", "–")) for run in runs)


def _differing(runs: Runs, of: Callable[[RunRecord], Iterable[T]]) -> list[tuple[T, str]]:
    """The distinct items of the runs, each with the seeds of its runs; no seeds if all runs have the item."""
    found: dict[T, list[RunRecord]] = {}
    for run in runs:
        for one in of(run):
            found.setdefault(one, []).append(run)
    return [(one, "" if len(those) == len(runs) else f"seed {seeds_of(those)}") for one, those in found.items()]


def _genotypes(runs: Runs) -> list[tuple[Genotype, str]]:
    found = _differing(runs, lambda run: [] if run.genotype is None else [run.genotype])
    return [(genotype, seeds and f", {seeds}") for genotype, seeds in found]


def conditions(runs: Runs) -> str:
    """Space, scale, seeds, epochs, size and device of the runs in one line."""
    run, space = runs[0], runs[0].space
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
    """Notes to read before the figures: unfinished runs, early stops, collapsed cells, remarks on the data."""
    return [f"{seeds.capitalize()}: {note}" if seeds else note for note, seeds in _differing(runs, _notes)]


def _notes(run: RunRecord) -> list[str]:
    found = []
    if not run.summary:
        state = "The page shows its state after the last finished epoch." if run.metrics else "There are no charts yet."
        found.append(f"This run is not finished: {run.progress} epochs are done. {state}")
    if run.summary.get("stopped"):
        planned = run.summary.get("planned_epochs", run.num_epochs)
        found.append(
            f"The method ended the search after {run.num_epochs} of {planned} epochs: {run.summary['stopped']}."
        )
    space, skips = run.space, skip_counts(run)
    if run.kind == "search" and space and skips.get(kind := space.cell_kinds[0], 0) > space.max_skips:
        found.append(
            f"The search has collapsed: {skips[kind]} skip connections in the {kind} cell, more than {space.max_skips}. Such "
            "cells usually train worse. Try fewer epochs, another method or another seed."
        )
    if beyond := (run.summary.get("truth") or {}).get("beyond"):
        found.append(f"The estimate of the found cells is not to be trusted, beyond its data: {beyond}.")
    return found + [f"Data: {value}" for what, value in run.data_facts if what == "note"]


def truths(runs: Runs) -> list[dict[str, Any]]:
    """What is known about the found cells, or estimated, for every run that has it."""
    return [truth for run in runs if (truth := run.summary.get("truth"))]


def accuracy_of(runs: Runs) -> str | None:
    """The true or estimated CIFAR-10 accuracy of the found cells over the seeds, formatted; None if it is unknown."""
    known = [truth["cifar10"] for truth in truths(runs)]
    return Spread.of(known).words("{:.2f}".format, " %") if known else None


def word_of(run: RunRecord) -> str:
    """`True` or `Estimated`."""
    return "Estimated" if run.is_estimated else "True"


def floors(runs: Runs) -> list[tuple[str, str]]:
    """Rows of a table that holds the accuracy of the found cells against cells that need no search; empty if it is unknown."""
    found = accuracy_of(runs)
    if found is None:
        return []
    worst = min(truth["cifar10"] for truth in truths(runs))
    rows = [(f"{name} (n = {spread.n:,})", spread.words("{:.2f}".format, " %")) for name, spread in runs[0].floors]
    several = f", worst {worst:.2f} %" if len(truths(runs)) > 1 else ""
    return [("found by the search", f"{found}{several}"), *rows]


def front(run: RunRecord) -> list[tuple[str, str]]:
    """Rows of a table of the front: the number of each cell and its size, and what is known of it."""
    rows = []
    for number, entry in enumerate(run.front):
        truth = entry.get("truth")
        known = "" if truth is None else f", {word_of(run).lower()} accuracy {truth['cifar10']:.2f} %"
        rows.append((f"{number}: {count(entry['parameters'])}", f"{entry['accuracy']:.2f} % on held-out images{known}"))
    return rows


def skip_counts(run: RunRecord) -> dict[str, int]:
    """Number of skip connections in each cell."""
    if run.genotype is None:
        return {}
    return {kind: run.genotype.num_operations(kind, "skip_connect") for kind in run.genotype.cells}


def _spread(values: Sequence[float]) -> Spread:
    """Mean and deviation of the values; no deviation if all are equal."""
    return Spread.of(values if len(set(values)) > 1 else values[:1])


def over(runs: Runs, name: str, form: Callable[[float], str], factor: float = 1, unit: str = "") -> str | None:
    """A value of the summaries over the seeds, formatted; None if no run has it."""
    values = [factor * run.summary[name] for run in runs if name in run.summary]
    return _spread(values).words(form, unit) if values else None


def skips_in_words(runs: Runs) -> str | None:
    """Number of skip connections in each kind of cell over the seeds, formatted; None if unknown."""
    counts = [skips for run in runs if (skips := skip_counts(run))]
    kinds = counts[0] if counts else {}
    return " + ".join(_spread([skips[kind] for skips in counts]).words("{:.2g}".format) for kind in kinds) or None


def tiles(runs: Runs) -> list[Tile]:
    """The headline figures of the runs."""
    run, summary, several = runs[0], runs[0].summary, len(runs) > 1
    found: list[tuple[str, str | None, str]] = []

    def exact(name: str) -> str:
        return f"{summary.get(name, 0):,}" if not several else ""

    if run.kind == "train":
        measured = f"of {summary.get('test_images', 0):,} images, after the last epoch"
        if largest := summary.get("largest_class"):
            measured += f"; always answering {largest['name']} gives {percent(largest['share'])}"
        found.append(("Test accuracy", over(runs, "test_accuracy", "{:.2f}".format, 100, " %"), measured))
        balanced = over(runs, "balanced_accuracy", "{:.2f}".format, 100, " %")
        found.append(("Balanced accuracy", balanced, "mean of the accuracies of all classes"))
        if not summary and run.metrics:
            accuracy = percent(run.metrics[-1]["train_accuracy"])
            found.append(("Training accuracy so far", accuracy, "the test set has not been used yet"))
        found.append(("Parameters", over(runs, "parameters", count), exact("parameters")))
        found.append(("MACs", over(runs, "macs", count), "multiply-adds for one image"))
    else:
        if known := truths(runs):
            if run.is_estimated:
                detail = f"not trained; error of an estimate {known[0]['error']} points"
            else:
                ranks = ", ".join(f"{truth['rank']:,}" for truth in known)
                detail = f"rank {ranks} of all cells"
            found.append((f"{word_of(run)} accuracy, CIFAR-10", accuracy_of(runs), detail))
        if verdicts := [run.summary["verdict"] for run in runs if run.summary.get("verdict")]:
            words = Counter(verdict["word"] for verdict in verdicts)
            value = ", ".join(f"{times} {word}" if several else word for word, times in words.items())
            found.append(("Verdict", value, "" if several else verdicts[0]["text"].partition(": ")[2]))
        kinds = " + ".join(f"{kind} cell" for kind in skip_counts(run))
        found.append(("Skip connections", skips_in_words(runs), kinds))
        weights = over(runs, "supernet_parameters", count)
        found.append(("Supernet weights", weights, exact("supernet_parameters")))
    found.append(("Time", over(runs, "seconds", duration), f"{run.num_epochs} epochs"))
    return [Tile(label, value, detail) for label, value, detail in found if value is not None]


def images(run: RunRecord) -> list[tuple[str, Sequence[str], list[tuple[str, ...]]]]:
    """Tables about the images of a run, as (title, titles of the columns, rows): the classes with the figures of the test, the
    files left out, and the groups of equal images.
    """
    known = run.images
    tested = {one["name"]: one for one in run.summary.get("test_classes", [])}
    head, classes = ["Class", "Training images", "Test images"], []
    for one in known.get("classes", []):
        figures = [tested.get(one["name"], {}).get(name) for name in ("accuracy", "precision")] if tested else []
        shown = ("–" if figure is None else percent(figure) for figure in figures)
        classes.append((one["name"], f"{one['train']:,}", f"{one['test']:,}", *shown))
    head += ["Found (recall)", "Right if named (precision)"] if tested else []
    left_out = [(one["file"], one["reason"]) for one in known.get("left_out", [])]
    equal = [(group[0], ", ".join(group[1:])) for group in known.get("duplicates", [])]
    tables: list[tuple[str, Sequence[str], list[tuple[str, ...]]]] = [
        ("classes", head, [*classes]),
        ("files left out", ("File", "Reason"), [*left_out]),
        ("groups of equal images", ("File", "Equal files"), [*equal]),
    ]
    return [(f"{len(rows):,} {what}", titles, rows) for what, titles, rows in tables if rows]


def costs(run: RunRecord) -> list[tuple[str, str]]:
    """Rows of the table of costs and checks, in addition to the tiles."""
    summary = run.summary
    labels: list[tuple[str, str, Callable[[Any], str]]] = [
        ("auxiliary_parameters", "Parameters of the auxiliary head (training only)", "{:,}".format),
        ("macs", "Multiply-adds (MACs) for one image", "{:,}".format),
        ("training_accuracy", "Training accuracy of the last epoch", "{:.2%}".format),
        ("test_loss", "Test loss", "{:.4f}".format),
        (
            "initial_genotype_differs",
            "Cells changed during the search",
            lambda moved: "yes" if moved else "no",
        ),
    ]
    rows = [(label, words(summary[key])) for key, label, words in labels if key in summary]
    if summary.get("seconds") and run.num_epochs:
        rows.append(("Average time per epoch", duration(summary["seconds"] / run.num_epochs)))
    return rows


def cells(runs: Runs) -> list[tuple[str, Markup]]:
    """Pairs of a caption and a drawing, one for each cell."""
    return [
        (f"{kind} cell{seeds}", inline(cell_svg(genotype, kind)))
        for genotype, seeds in _genotypes(runs)
        for kind in genotype.cells
    ]


def genotype_texts(runs: Runs) -> list[tuple[str, str]]:
    """Pairs of a name and a text for each form of the genotypes: JSON, and the classical text if it can express the cells."""
    forms = []
    for genotype, seeds in _genotypes(runs):
        if genotype.has_text:
            text = "Classical text" if genotype.space == "darts" else "Text"
            forms.append((f"{text}{seeds}", genotype.to_text()))
        forms.append((f"JSON{seeds}", genotype.to_json()))
    return forms
