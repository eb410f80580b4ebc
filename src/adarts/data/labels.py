"""Read the labels of image files from a table: a CSV file with one row per image."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adarts.data.decode import SUFFIXES
from adarts.data.layout import Layout, Photo, Validation, counted, listed, part_of, printable, require_classes, use_of
from adarts.errors import DataError

ENDINGS = frozenset({".csv", ".tsv"})
"""Endings of tables."""

_FILE = [
    "filename",
    "file_name",
    "file",
    "image",
    "img",
    "image_id",
    "image_name",
    "img_name",
    "path",
    "filepath",
    "id",
    "name",
]
_LABEL = ["label", "labels", "class", "class_name", "classname", "category", "target", "species", "breed", "tag", "y"]
_DIGITS = 100  # of a number; Python reads no numbers of thousands of digits
_PART = ["split", "set", "subset", "part", "partition"]


def table_in(root: Path) -> Path | None:
    """The table of labels in a folder whose images have no class folders; None if there is none.

    Raises:
        DataError: several tables could be meant.
    """
    tables = [entry for entry in sorted(root.iterdir()) if entry.suffix.lower() in ENDINGS and entry.name[0] != "."]
    chosen = [table for table in tables if table.stem.lower() in ("labels", "train", "metadata")]
    if len(tables) > 1 and len(chosen) != 1:
        names = listed(table.name for table in tables)
        raise DataError(
            f"{root} has several tables, {names}; name the one with the labels: folder:{root / tables[0].name}"
        )
    return next(iter(chosen or tables), None)


def find_table(table: Path, validation: Validation) -> Layout:
    """Find the images that a table names, with their classes and parts.

    The columns are known by their names (such as filename and label), or are the first two. A file is named by its path from the
    table's folder, or by its name alone, with or without ending. A column ``split`` may divide the images into parts.

    Args:
        table: the file.
        validation: use of validation images if there is a test set as well.

    Raises:
        DataError: the table is unusable; the message names the line.
    """
    rows = _rows(table)
    files = _Files(table.parent)
    columns = _columns(table, rows[0], files)
    found: dict[Path, tuple[str, str]] = {}
    for number, row in enumerate(rows, 1):
        if number == 1 and columns.titled:
            continue
        where = f"{table}, line {number}"
        if len(row) <= max(columns.file, columns.label, columns.part or 0) or not row[columns.label]:
            raise DataError(f"{where}: a row needs a file and a label, not {','.join(row)[:60]!r}")
        part = "train" if columns.part is None else part_of(row[columns.part])
        if part is None:
            raise DataError(f"{where}: the part must be train, val or test, not {row[columns.part or 0][:60]!r}")
        path, label = files.find(row[columns.file]), row[columns.label]
        if found.setdefault(path, (part, label)) != (part, label):
            raise DataError(
                f"{where}: {row[columns.file]} is listed twice, as {' '.join(found[path])} and {part} {label}"
            )
    classes = _sorted({label for _, label in found.values()})
    require_classes(table, classes, "no rows")
    parts = sorted({part for part, _ in found.values()})
    use, notes = use_of({part: f"'{part}'" for part in parts}, validation, str(table))
    if columns.part is None:
        notes = []
    if rest := files.unused(found):
        notes.append(f"passed over {counted(len(rest), 'image')} without a label, such as {rest[0]}")
    photos = [
        Photo(path, place, classes.index(label))
        for path, (part, label) in found.items()
        if (place := use[part]) is not None
    ]
    photos.sort(key=lambda photo: (photo.part == "test", photo.label, photo.path))
    return Layout(table.parent, tuple(classes), tuple(photos), (f"labels from {table.name}", *notes), {})


def _rows(table: Path) -> list[list[str]]:
    """The rows that are not empty, with the separator that the first line has most of."""
    try:
        content = table.read_bytes()
    except OSError as error:
        raise DataError(f"{table} cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    lines = text.splitlines()
    separator = max(",;\t", key=lines[0].count) if lines else ","
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    except csv.Error as error:
        raise DataError(f"{table} is not a table: {error}") from error
    if not any(map(any, rows)):
        raise DataError(f"{table} is empty")
    return [row for row in rows if any(row)]


@dataclass(frozen=True)
class _Columns:
    file: int
    label: int
    part: int | None
    titled: bool
    """Whether the first row holds the names of the columns."""


def _columns(table: Path, head: Sequence[str], files: _Files) -> _Columns:
    if len(head) < 2:
        raise DataError(f"{table}: it needs two columns, the file and the label, not {','.join(head)[:60]!r}")
    names = [name.casefold() for name in head]
    file, label, part = (
        next((names.index(name) for name in known if name in names), None) for known in (_FILE, _LABEL, _PART)
    )
    if label is not None and file not in (None, label):
        return _Columns(file, label, part, titled=True)
    if len(head) > 2:
        raise DataError(
            f"{table}: which column is the label? Name two of them filename and label; they are {', '.join(head)}"
        )
    return _Columns(0, 1, None, titled=not files.knows(head[0]))


class _Files:
    """The image files below a folder, by path, by name, and by name without ending."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths: dict[str, Path] = {}
        self.names: dict[str, Path | None] = {}  # None: several files have this name, so it needs its folder
        for folder, names, files in os.walk(root):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for path in (Path(folder, name) for name in sorted(files)):
                if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                    place = path.relative_to(root)
                    self.paths[str(place)] = path
                    for name in {path.name, path.stem, str(place.with_suffix(""))}:
                        self.names[name] = None if name in self.names else path

    def knows(self, name: str) -> bool:
        return (self.root / name).is_file() or name in self.names

    def find(self, name: str) -> Path:
        """The file of a row, which may be missing."""
        exact = self.root / name
        return exact if exact.is_file() else self.names.get(name) or exact

    def unused(self, used: Mapping[Path, object]) -> list[str]:
        """The images that no row names."""
        return [printable(name) for name, path in self.paths.items() if path not in used]


def _sorted(labels: Iterable[str]) -> list[str]:
    """Labels in the order of the alphabet, or of their values if all are whole numbers."""
    labels = sorted(labels)
    return sorted(labels, key=int) if all(label.isdecimal() and len(label) < _DIGITS for label in labels) else labels
