"""Progress of a sweep: a live table on a terminal, or one line per event elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from adarts.report.numbers import duration
from adarts.sweeping.pages import figures_in_words
from adarts.sweeping.results import PointResult, State

_MARGIN = 3  # lines of the terminal not used for rows


class Watch(AbstractContextManager["Watch"]):
    """Shows the state of the points; inside ``with``, on a terminal, as a live table.

    Args:
        rows: the points.
        console: the console.
    """

    def __init__(self, rows: Sequence[PointResult[Any]], console: Console) -> None:
        self.rows = {row.point.name: row for row in rows}
        self.console = console
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=1)

    def add(self, rows: Sequence[PointResult[Any]]) -> None:
        """Show further points, too."""
        self.rows |= {row.point.name: row for row in rows}

    def started(self, name: str, where: str = "") -> None:
        """Report that a point was started, on this node."""
        row = self.rows[name]
        row.state, row.began = "running", time.monotonic()
        row.look()
        place, epoch = f" on {where}" if where else "", f" at epoch {_progress(row)}" if row.epochs else ""
        self._tell(f"started {name}{place}{epoch}")

    def again(self, name: str, reason: str) -> None:
        """Report that an unfinished point waits again."""
        self.rows[name].state = "waiting"
        self._tell(f"queued {name} again: {reason}")

    def ended(self, name: str, state: State, error: str | None = None, log: Path | None = None) -> None:
        """Report that a point ended."""
        row = self.rows[name]
        row.state, row.error, row.ran = state, error, _seconds(row)
        row.look()
        after = "" if row.ran is None else f" after {duration(round(row.ran))}"
        line = f"{state} {name}{after}, epoch {_progress(row)}"
        if error is not None:
            self._tell(f"{line}: {error} (log: {log})", always=True)
        else:
            self._tell(f"{line}: {figures_in_words(row.figures)}" if row.figures else line)

    def __enter__(self) -> Watch:
        if self.console.is_terminal:
            self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def _tell(self, line: str, always: bool = False) -> None:
        if always or not self.console.is_terminal:
            self.console.print(line)

    def _table(self) -> Table:
        for row in self.rows.values():
            if row.state == "running":
                row.look()
        return points_table(list(self.rows.values()), self.console.height - _MARGIN)


def points_table(rows: Sequence[PointResult[Any]], height: int) -> Table:
    """A table of all points; if they do not fit, only of running and failed ones. The caption counts all."""
    counts: Mapping[State, int] = Counter(row.state for row in rows)
    caption = ", ".join(f"{number} {state}" for state, number in counts.items())
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), caption=caption, caption_justify="left")
    for head in ("point", "state", "epoch", "figures", "time"):
        grid.add_column(head, no_wrap=head != "figures")
    shown = rows if len(rows) < height else [row for row in rows if row.state in ("running", "failed")][-height:]
    for row in shown:
        seconds = _seconds(row) if row.state == "running" else row.ran
        ran = "" if seconds is None else duration(round(seconds))
        grid.add_row(row.point.name, row.state, _progress(row), figures_in_words(row.figures), ran)
    return grid


def _seconds(row: PointResult[Any]) -> float | None:
    """The time since a search began; None for one that ended on its cluster before this process heard of it."""
    return None if row.began is None else time.monotonic() - row.began


def _progress(row: PointResult[Any]) -> str:
    """Finished epochs / all epochs."""
    return f"{row.epochs}/{row.point.epochs}"
