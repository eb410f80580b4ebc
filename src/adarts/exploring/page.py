"""The results of an exploration as a table, as JSON, and as a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from adarts.engine import write_atomically
from adarts.engine.files import to_json
from adarts.exploring.setup import Outcome
from adarts.report import Lead, write_page
from adarts.report.charts import Chart, Rule, Series
from adarts.report.numbers import Spread
from adarts.report.palette import MUTED, series_look

_MIDDLE = 0.5  # share of the runs within a band
_EXACT = "random, exact"
_COLUMNS = {"hypervolume": "front", "true": "true", "estimated": "estimated"}
"""Figures that only some records have, and their columns."""


def standard_error(spread: Spread) -> float | None:
    """Standard error of the mean; None for one run."""
    return None if spread.sd is None else spread.sd / math.sqrt(spread.n)


def spreads(outcome: Outcome, name: str) -> dict[str, Spread]:
    """Mean and standard deviation of a figure of the records, by searcher."""
    return {searcher: Spread.of(run[name] for run in runs) for searcher, runs in outcome.records.items()}


def _further(outcome: Outcome) -> dict[str, dict[str, Spread]]:
    """The spreads of the figures in `_COLUMNS` that the records have."""
    first = next(iter(outcome.records.values()))[0]
    return {name: spreads(outcome, name) for name in _COLUMNS if name in first}


def content(outcome: Outcome) -> dict[str, Any]:
    """The settings, the table and the curves as plain data."""
    accuracies, numbers = (spreads(outcome, name) for name in ("accuracy", "evaluations"))
    further = _further(outcome)
    exact = None if outcome.exact is None else [{"mean": mean, "sd": sd} for mean, sd in outcome.exact]
    return {
        **outcome.setup.settings(),
        "amounts": outcome.setup.amounts,
        "searchers": {
            name: {
                "accuracy": {**asdict(accuracies[name]), "se": standard_error(accuracies[name])},
                **{figure: asdict(found[name]) for figure, found in further.items()},
                "evaluations": asdict(numbers[name]),
                "beyond": sum(run["beyond"] is not None for run in runs),
                "curve": _curve([run["curve"] for run in runs]),
                "runs": [run["accuracy"] for run in runs],
                "found": [run["found"] for run in runs],
            }
            for name, runs in outcome.records.items()
        },
        "exact": exact,
    }


def _curve(curves: Sequence[Sequence[float]]) -> Mapping[str, list[float]]:
    """Mean and quartiles over the runs."""
    lower, upper = np.quantile(curves, [0.25, 0.75], axis=0).round(4).tolist()
    return {"mean": np.mean(curves, axis=0).round(4).tolist(), "lower": lower, "upper": upper}


def rows(outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table."""
    accuracies, numbers, further = spreads(outcome, "accuracy"), spreads(outcome, "evaluations"), _further(outcome)
    beyond = {name: sum(run["beyond"] is not None for run in runs) for name, runs in outcome.records.items()}
    head = ["searcher", "n", "mean", "sd", "se", *(_COLUMNS[name] for name in further), "evaluations"]
    found = []
    for name, accuracy in accuracies.items():
        error = standard_error(accuracy)
        figures = ["" if value is None else f"{value:.3f}" for value in (accuracy.mean, accuracy.sd, error)]
        others = [those[name].words("{:.3f}".format) for those in further.values()]
        found.append([name, f"{accuracy.n:,}", *figures, *others, f"{numbers[name].mean:.0f}"])
    if outcome.exact is not None:
        mean, sd = outcome.exact[-1]
        found.append([_EXACT, "", f"{mean:.3f}", f"{sd:.3f}", "", *("" for _ in further), ""])
    if any(beyond.values()):
        head.append("beyond")
        found = [[*row, str(beyond.get(row[0], ""))] for row in found]
    return head, found


NOTES = (
    "front: share of the area of accuracy and size that the found front dominates; its cells count by their accuracy",
    "true: test accuracy of the found cell after 200 epochs, which the searcher did not see, from the table of its space",
    "estimated: validation accuracy of the found cell after 98 epochs, by the estimate of its space",
    "random, exact: random search by the formula for the best of n, without a run",
    "beyond: runs that ended at an estimate beyond its data, which is not to be trusted",
)
"""What the columns and rows mean, each with its name first."""


def notes(outcome: Outcome) -> list[str]:
    """The notes for a table of :func:`rows`."""
    head, found = rows(outcome)
    shown = {*head, *(row[0] for row in found)}
    return [note for note in NOTES if note.partition(":")[0] in shown]


def lead(outcome: Outcome, commands: Sequence[tuple[str, str]] = ()) -> Lead:
    """The page: table, curves, and suggested next steps."""
    setup = outcome.setup
    head, found = rows(outcome)
    return Lead(
        title=setup.title,
        paragraphs=[f"{text[0].upper()}{text[1:]}." for text in (setup.figure, *notes(outcome))],
        head=head,
        rows=found,
        charts=[_chart(outcome)],
        commands=commands,
    )


def write_results(outcome: Outcome, facts: Mapping[str, Any], commands: Sequence[tuple[str, str]] = ()) -> None:
    """Write ``explore.json`` and ``report.html``.

    Args:
        outcome: the result.
        facts: the environment.
        commands: suggested next steps, as pairs of purpose and command.
    """
    write_atomically(outcome.folder / "explore.json", to_json(content(outcome) | {"environment": facts}))
    write_page(lead(outcome, commands), outcome.folder / "report.html")


def _chart(outcome: Outcome) -> Chart:
    setup = outcome.setup
    runs = {name: [run["curve"] for run in records] for name, records in outcome.records.items()}
    series = [Series(name, series_look(index), curves, _MIDDLE) for index, (name, curves) in enumerate(runs.items())]
    if outcome.exact is not None:
        series.append(Series(_EXACT, MUTED._replace(dash=(1, 2)), [[mean for mean, _ in outcome.exact]]))
    early = len(setup.amounts) // 10  # the steep beginning is cut
    low = min(float(np.quantile([curve[early] for curve in curves], 0.25)) for curves in runs.values())
    return Chart(
        f"{setup.axis}: mean and middle half of the runs",
        series,
        words="{:.2f}".format,
        low=math.floor(2 * low) / 2,
        rule=None if setup.highest is None else Rule(setup.highest, "best cell"),
        places=setup.amounts,
        across=setup.budget.unit,
    )
