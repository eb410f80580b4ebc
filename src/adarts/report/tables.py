"""Tables of results: cells with their spread over seeds, as HTML cells, CSV, LaTeX and plain text.

A table says of every column where its numbers come from. A cell without a number says so: "not measured" is a result, too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adarts.engine.files import write_atomically
from adarts.report.numbers import Spread
from adarts.report.statistics import Sample

Origin = Literal["", "published", "counted", "estimated", "measured"]
Cell = str | int | float | Sample | Spread | None

NOT_MEASURED = "not measured"
_LATEX = {"\\": r"\textbackslash{}", "±": r"$\pm$", "×": r"$\times$", "−": "$-$", "–": "--"} | {
    letter: f"\\{letter}" for letter in "&%$#_{}"
}


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: its heading.
        origin: where its numbers come from; empty for words.
        digits: digits after the point.
        spread: whether its cells are numbers over seeds; in a CSV file they have a column for each of n, mean, sd, low and high.
        is_below: whether its texts stand below the table, because they are long; in a CSV file it is a column as any other.
    """

    name: str
    origin: Origin = ""
    digits: int = 2
    spread: bool = False
    is_below: bool = False

    @property
    def heading(self) -> str:
        """Origin and name."""
        return f"{self.origin}: {self.name}" if self.origin else self.name

    def words(self, cell: Cell) -> str:
        """The cell as text. A sample of several seeds has its standard deviation and number."""
        if cell is None:
            return NOT_MEASURED
        if isinstance(cell, Sample | Spread):
            spread = "" if cell.sd is None else f" ± {cell.sd:.{self.digits}f}"
            return f"{cell.mean:.{self.digits}f}{spread} (n = {cell.n:,})"
        return f"{cell:,.{self.digits}f}" if isinstance(cell, float) else f"{cell:,}" if isinstance(cell, int) else cell


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: name of its files.
        title: its title.
        columns: its columns.
        rows: for each row, one cell a column.
        caption: budget, number of runs, and how to read it.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str

    @property
    def shown(self) -> list[Column]:
        """The columns of the table on a page."""
        return [column for column in self.columns if not column.is_below]

    def words(self) -> list[list[str]]:
        """The cells of the shown columns as text."""
        return [
            [column.words(cell) for column, cell in zip(self.columns, row, strict=True) if not column.is_below]
            for row in self.rows
        ]

    @property
    def notes(self) -> list[tuple[str, str]]:
        """The texts below the table, each with the first cell of its row."""
        return [
            (str(row[0]), column.words(cell))
            for row in self.rows
            for column, cell in zip(self.columns, row, strict=True)
            if column.is_below and cell
        ]

    def csv(self) -> str:
        """The table as a CSV file: plain numbers, with the parts of a spread in columns of their own."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(name for column in self.columns for name in _csv_names(column))
        for row in self.rows:
            writer.writerow(
                part for column, cell in zip(self.columns, row, strict=True) for part in _parts(column, cell)
            )
        return file.getvalue()

    def write(self, folder: Path) -> None:
        """Write ``NAME.csv`` and ``NAME.tex``."""
        write_atomically(folder / f"{self.name}.csv", self.csv().encode())
        write_atomically(folder / f"{self.name}.tex", self.latex().encode())

    def latex(self) -> str:
        """The table as LaTeX, for the package booktabs."""
        lines = [[column.heading for column in self.shown], *self.words()]
        head, *body = (" & ".join(map(latex, line)) + r" \\" for line in lines)
        kinds = "".join("r" if column.origin else "l" for column in self.shown)
        return "\n".join(
            [
                r"\begin{table}",
                rf"\caption{{{latex(self.title)}. {latex(self.caption)}}}",
                rf"\begin{{tabular}}{{{kinds}}}",
                r"\toprule",
                head,
                r"\midrule",
                *body,
                r"\bottomrule",
                r"\end{tabular}",
                *(rf"\par {latex(name)}: {latex(text)}" for name, text in self.notes),
                r"\end{table}",
                "",
            ]
        )


def latex(text: str) -> str:
    """Text as LaTeX."""
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _csv_names(column: Column) -> list[str]:
    return (
        [f"{column.heading}, {part}" for part in ("n", "mean", "sd", "low", "high")]
        if column.spread
        else [column.heading]
    )


def _parts(column: Column, cell: Cell) -> list[str]:
    if not column.spread:
        return [NOT_MEASURED if cell is None else repr(cell) if isinstance(cell, float) else str(cell)]
    if isinstance(cell, Sample | Spread):
        low, high = (isinstance(cell, Sample) and cell.interval) or (None, None)
        return [str(cell.n), *("" if part is None else f"{part:.6g}" for part in (cell.mean, cell.sd, low, high))]
    return ["0", NOT_MEASURED if cell is None else str(cell), "", "", ""]
