"""The results of a study: `tune.json`, its table, the command of the best setting, and its page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from markupsafe import Markup

from adarts.config.loading import fields, merged, nested, value_at
from adarts.config.settings import SearchConfig
from adarts.engine import environment, write_atomically
from adarts.engine.files import to_json
from adarts.report import Lead, write_page
from adarts.report.charts import Chart, Dot, Series, scatter
from adarts.report.drawing import Drawing
from adarts.report.numbers import shown
from adarts.report.palette import MUTED, series_look
from adarts.tuning.objective import TITLES, WORDS
from adarts.tuning.parameters import Assignment, Range
from adarts.tuning.study import PAGE, TABLE, Row, Study, best_of, name_of

_VERSION = 1


def write_results(study: Study) -> dict[str, Any]:
    """Write ``tune.json`` and the page; return the content of the former."""
    rows = study.rows()
    content = content_of(study, rows)
    facts = environment(torch.device("cpu"))
    write_atomically(study.folder / TABLE, to_json(content | {"environment": facts}))
    write_page(_lead(study, content, rows), study.folder / PAGE)
    return content


def content_of(study: Study, rows: Sequence[Row]) -> dict[str, Any]:
    """The state of a study with these trials as plain data. It has no times, so equal studies have equal contents."""
    best = best_of(rows)
    settings = study.plan["settings"]
    return {
        "format": "adarts-tune",
        "version": _VERSION,
        "tune": settings["tune"],
        "objective": settings["objective"],
        "measured": WORDS[settings["objective"]],
        "prune": settings["prune"],
        "best": None
        if best is None
        else {
            "number": best.number,
            "value": best.value,
            "parameters": best.parameters,
            "command": command(study.plan["given"], study.plan["config_file"], best.parameters),
        },
        "importance": study.importance(),
        "trials": [{**asdict(row), "folder": f"trials/{name_of(row.number)}"} for row in rows],
    }


def command(given: Mapping[str, Any], config_file: str | None, values: Assignment) -> str:
    """The command line of a search with the settings of a study and these values.

    Args:
        given: the settings of the study, nested plain data.
        config_file: its configuration file.
        values: the tuned settings.
    """
    whole = merged(given, *(nested(name, value) for name, value in values.items()))
    words = ["adarts", "search", *([] if config_file is None else ["--config", config_file])]
    for name in fields(SearchConfig):
        if not name.startswith("run.") or name == "run.precision":
            try:
                words += _option(name.removeprefix("run."), value_at(whole, name))
            except KeyError:
                continue
    return shlex.join(words)


def _option(name: str, value: Any) -> list[str]:
    section, dot, last = name.replace("_", "-").rpartition(".")
    if isinstance(value, bool):
        return [f"--{section}{dot}{'' if value else 'no-'}{last}"]
    if isinstance(value, Mapping):
        return [f"--{name}", ",".join(f"{option}={shown(one)}" for option, one in value.items())]
    return [f"--{section}{dot}{last}", *(map(shown, value) if isinstance(value, list | tuple) else [shown(value)])]


def figure(value: float | None) -> str:
    """An objective as text."""
    return "" if value is None else f"{value:.2f} %"


def table(content: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of the trials; a pruned trial has the value of its last epoch."""
    names = list(content["tune"])
    notes = any(trial["error"] for trial in content["trials"])
    rows = [
        [
            str(trial["number"]),
            trial["state"],
            figure(trial["value"]),
            str(trial["epochs"]),
            *(shown(trial["parameters"].get(name, "")) for name in names),
            *([trial["error"] or ""] if notes else []),
        ]
        for trial in content["trials"]
    ]
    return ["trial", "state", content["objective"], "epochs", *names, *(["note"] if notes else [])], rows


def importance_in_words(content: Mapping[str, Any]) -> str | None:
    """One line about the importance of the parameters; None for few trials."""
    if not content["importance"]:
        return None
    number = sum(trial["state"] == "finished" for trial in content["trials"])
    shares = ", ".join(f"{name} {share:.0%}" for name, share in content["importance"].items())
    return f"what the best tenth of {number} finished trials have in common (PED-ANOVA): {shares}"


def _lead(study: Study, content: Mapping[str, Any], rows: Sequence[Row]) -> Lead:
    best = content["best"]
    head, cells = table(content)
    linked: list[list[str]] = [
        [Markup('<a href="trials/{}/report.html">{}</a>').format(name_of(row.number), row.number), *rest]
        if (study.run_dir(row.number) / PAGE).exists()
        else [number, *rest]
        for row, (number, *rest) in zip(rows, cells, strict=True)
    ]
    counts = {state: sum(row.state == state for row in rows) for state in dict.fromkeys(row.state for row in rows)}
    states = ", ".join(f"{number} {state}" for state, number in counts.items())
    found = "No trial is finished." if best is None else f"Best: trial {best['number']} with {figure(best['value'])}."
    importance = importance_in_words(content)
    return Lead(
        title=f"Tuning of {', '.join(content['tune'])}",
        paragraphs=[
            f"Objective {content['objective']}: {content['measured']}.",
            f"{len(rows)} trials: {states}. {found}",
            "The best of several trials looks better than it is, because it was chosen by these numbers. Repeat it with other "
            "seeds, and judge it by images that no trial has used.",
            *([] if importance is None else [f"{importance[0].upper()}{importance[1:]}."]),
        ],
        head=head,
        rows=linked,
        charts=_charts(study, rows),
        commands=[] if best is None else [("run the best setting", best["command"])],
    )


def _charts(study: Study, rows: Sequence[Row]) -> list[Chart | Drawing]:
    finished = [row for row in rows if row.state == "finished" and row.value is not None]
    best = best_of(rows)
    if best is None or len(finished) < 2:
        return []
    title = TITLES[study.plan["settings"]["objective"]]
    low = min(row.value for row in finished if row.value is not None)
    leads: list[float | None] = []
    for row in rows:
        value = row.value if row.state == "finished" else None
        leads.append(max((one for one in (value, *leads[-1:]) if one is not None), default=None))
    drawn: list[Chart | Drawing] = [
        Chart(
            f"{title}: the best one so far, by trial",
            [Series("best so far", series_look(0), [leads])],
            words="{:.2f}".format,
            low=low,
            places=[row.number for row in rows],
            across="trial",
        )
    ]
    curves = [study.curve(row.number) for row in finished]
    if max(map(len, curves)) > 1:
        drawn.append(
            Chart(
                f"{title}: finished trials from the lowest to the highest, and the best one",
                [
                    Series("mean of finished trials", MUTED, curves),
                    Series(f"trial {best.number}", series_look(0), [study.curve(best.number)]),
                ],
                words="{:.2f}".format,
                low=min(map(min, curves)),
                across="epoch",
            )
        )
    for parameter in study.parameters:
        if isinstance(parameter, Range):
            marks = [
                Dot(float(row.parameters[parameter.name] or 0), float(row.value or 0), _kind(row, best))
                for row in rows
                if row.state in ("finished", "pruned") and row.value is not None
            ]
            drawn.append(scatter(f"Trials by {parameter.name}", parameter.name, title, marks, parameter.log))
    return drawn


def _kind(row: Row, best: Row) -> str:
    return "best" if row is best else row.state
