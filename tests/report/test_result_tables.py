"""Tables of results as text, CSV and LaTeX."""

from __future__ import annotations

import csv
import io

from adarts.report.numbers import Spread
from adarts.report.statistics import Sample
from adarts.report.tables import NOT_MEASURED, Column, Table

TABLE = Table(
    "t",
    "50 % & more_or_less",
    [
        Column("system"),
        Column("error (%)", "published"),
        Column("accuracy", "estimated", spread=True),
        Column("steps", "counted", 0),
        Column("note", is_below=True),
    ],
    [
        ["A & B, the first", 2.5, Sample((93.0, 94.0)), 1200, ""],
        ["B", "–", None, 3.0, "a long_remark"],
        ["floor", None, Spread(1000, 93.1, 0.54), "–", ""],
        ["one", 3.0, Sample((90.126,)), None, ""],
    ],
    "n = 2",
)


def test_words_say_the_spread_its_number_and_what_was_not_measured() -> None:
    assert TABLE.words() == [
        ["A & B, the first", "2.50", "93.50 ± 0.71 (n = 2)", "1,200"],
        ["B", "–", NOT_MEASURED, "3"],
        ["floor", NOT_MEASURED, "93.10 ± 0.54 (n = 1,000)", "–"],
        ["one", "3.00", "90.13 (n = 1)", NOT_MEASURED],
    ]


def test_a_csv_file_has_plain_numbers_with_every_part_in_its_own_column() -> None:
    head, first, second, floor, one = csv.reader(io.StringIO(TABLE.csv()))
    assert (
        head[:3] == ["system", "published: error (%)", "estimated: accuracy, n"]
        and len({*map(len, (head, first, one))}) == 1
    )
    assert first[:5] == ["A & B, the first", "2.5", "2", "93.5", "0.707107"]
    assert [float(end) for end in first[5:7]] == [87.1469, 99.8531]  # 93.5 ± 12.706 * 0.5
    assert second[2:7] == ["0", NOT_MEASURED, "", "", ""] and floor[2:7] == ["1000", "93.1", "0.54", "", ""]
    assert one[2:7] == ["1", "90.126", "", "", ""]


def test_latex_has_its_special_letters_escaped() -> None:
    text = TABLE.latex()
    assert r"\caption{50 \% \& more\_or\_less. n = 2}" in text and r"\begin{tabular}{lrrr}" in text
    assert r"A \& B, the first & 2.50 & 93.50 $\pm$ 0.71 (n = 2) & 1,200 \\" in text


def test_notes_stand_below_the_table_and_in_a_column_of_the_csv_file() -> None:
    assert TABLE.notes == [("B", "a long_remark")]
    assert r"\par B: a long\_remark" in TABLE.latex().partition(r"\end{tabular}")[2]
    assert [line["note"] for line in csv.DictReader(io.StringIO(TABLE.csv()))] == ["", "a long_remark", "", ""]
