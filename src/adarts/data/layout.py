"""Find the parts, the classes and the image files of a folder; nothing is decoded.

A folder holds a folder for each class, or parts (train, val, test) that do. The notes name everything that is passed over.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from unicodedata import normalize

from adarts.data.decode import SUFFIXES
from adarts.errors import DataError

Validation = Literal["train", "omit"]
"""Use of validation images beside a test set: added to the training images, or left out."""

_LISTED = 10  # names in one note

_EXTRA = r"(?:seg|set|data|dataset|images?|imgs?|split|\d{4})"
_PARTS = {
    part: re.compile(rf"(?:{_EXTRA}[\W_]*)*(?:{words})(?:[\W_]*{_EXTRA})*")
    for part, words in {
        "train": "train(?:ing)?|trn",
        "val": "val(?:id(?:ation)?)?|dev(?:elopment)?",
        "test": "test(?:ing)?|tst|eval(?:uation)?",
    }.items()
}
_SYSTEM = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "__pycache__", "lost+found", "$recycle.bin", "checkpoints"}


@dataclass(frozen=True)
class Photo:
    """An image file.

    Attributes:
        path: the file.
        part: ``train``, ``test``, or empty if the folder is not divided.
        label: index of its class.
    """

    path: Path
    part: str
    label: int


@dataclass(frozen=True)
class Layout:
    """Classes and image files of a folder.

    Attributes:
        root: the folder.
        classes: names of the classes.
        photos: image files in a fixed order.
        notes: what was passed over or decided.
        strangers: by (part, label), the endings of files in the class folder that are not images.
    """

    root: Path
    classes: tuple[str, ...]
    photos: tuple[Photo, ...]
    notes: tuple[str, ...]
    strangers: Mapping[tuple[str, int], Counter[str]]

    @property
    def parts(self) -> tuple[str, ...]:
        """``("train", "test")``, or ``("",)`` if the folder is not divided."""
        return ("train", "test") if any(photo.part for photo in self.photos) else ("",)

    def place(self, path: Path) -> str:
        """A file's path below the root, as printable text."""
        return printable(os.path.relpath(path, self.root) if path.is_relative_to(self.root) else str(path))


def part_of(name: str) -> str | None:
    """The part (train, val or test) that the name of a folder or split stands for, in any case; None for other names."""
    return next((part for part, pattern in _PARTS.items() if pattern.fullmatch(name.casefold())), None)


def printable(text: str) -> str:
    """A file name as text in its composed Unicode form; bytes that are not UTF-8 are shown by their number."""
    return normalize("NFC", os.fsencode(text).decode(errors="backslashreplace"))


def find_folder(root: Path, validation: Validation) -> Layout:
    """Find the images of a folder with a folder for each class, or with parts that have these.

    Args:
        root: the folder.
        validation: use of the validation images if there is a test set as well.

    Raises:
        DataError: the structure is unusable; the message says what to change.
    """
    search = _Search(root)
    top = search.unwrapped(root)
    folders = search.folders(top)
    parts: dict[str, Path] = {}
    for name, (folder, *_) in folders.items():
        part = part_of(name)
        if part and search.has_classes(folder):
            if part in parts:
                raise DataError(
                    f"{root}: {parts[part].name}/ and {folder.name}/ both look like the {part} part; keep one"
                )
            parts[part] = folder
    if parts:
        if others := [name for name, (folder, *_) in folders.items() if folder not in parts.values()]:
            search.note(f"passed over, no part with class folders: {listed(f'{name}/' for name in others)}")
        search.stray(top)
        tree = {part: search.classes(folder) for part, folder in parts.items()}
    else:
        tree = _turned(search, folders) or {"": _undivided(root, folders)}
        search.stray(top)
    return _layout(search, root, _assigned(search, root, tree, parts, validation))


Tree = dict[str, dict[str, list[Path]]]
"""Part -> class -> its folders."""


@dataclass
class _Search:
    """Lists folders, and remembers what is passed over."""

    root: Path
    notes: list[str] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    strays: list[Path] = field(default_factory=list)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def folders(self, path: Path) -> dict[str, list[Path]]:
        """The folders in a folder, by name; names that differ only in their Unicode form are one name."""
        found: dict[str, list[Path]] = {}
        for entry in sorted(path.iterdir()):
            if entry.is_dir() and not is_system(entry.name):
                found.setdefault(printable(entry.name), []).append(entry)
        return found

    def has_classes(self, path: Path) -> bool:
        return bool(self.folders(path))

    def unwrapped(self, path: Path) -> Path:
        """The folder itself, or the innermost one if each level holds a single folder and no images, as archives often do."""
        while len(inner := [one for those in self.folders(path).values() for one in those]) == 1:
            if not self.folders(inner[0]) or any(is_image(entry) for entry in path.iterdir()):
                break
            path = inner[0]
        return path

    def classes(self, path: Path) -> dict[str, list[Path]]:
        """The classes of a part."""
        inner = self.unwrapped(path)
        self.stray(inner)
        return self.folders(inner)

    def stray(self, path: Path) -> None:
        """Remember images beside the class folders, and hidden entries."""
        for entry in sorted(path.iterdir()):
            if is_system(entry.name):
                self._pass(entry)
            elif is_image(entry):
                self.strays.append(entry)

    def files(self, path: Path) -> Iterator[Path]:
        """All files below a folder in a fixed order, also behind linked folders, but no hidden and system files."""
        seen = {os.path.realpath(path)}
        for folder, names, files in os.walk(path, followlinks=True, onerror=_raise):
            here = Path(folder)
            kept = []
            for name in sorted(names):
                real = os.path.realpath(here / name)
                if is_system(name):
                    self._pass(here / name)
                elif real not in seen:  # a link to a folder above would never end
                    seen.add(real)
                    kept.append(name)
            names[:] = kept
            for name in sorted(files):
                if is_system(name):
                    self.passed[printable(name) if not name.startswith("._") else "._*"] += 1
                else:
                    yield here / name

    def _pass(self, entry: Path) -> None:
        """Remember a hidden entry; a folder with the number of images in it."""
        if not entry.is_dir():
            self.passed[printable(entry.name)] += 1
            return
        images = sum(is_image(Path(name)) for _, _, files in os.walk(entry) for name in files)
        held = f" ({counted(images, 'image')})" if images else ""
        self.passed[f"{printable(entry.name)}/{held}"] += 1


def _undivided(root: Path, folders: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """The classes of a folder without parts."""
    if folders and all(part_of(name) for name in folders):
        raise DataError(
            f"{root}: {listed(f'{name}/' for name in folders)} hold no class folders, so no image has a label; put the images "
            "into train/CLASS/ and test/CLASS/, or write a labels.csv with the columns filename,label"
        )
    if unlabeled := [name for name in folders if part_of(name) == "test"]:
        raise DataError(
            f"{root}: is {unlabeled[0]}/ a class, or are these images for a test? Rename the class, or move the folder away"
        )
    return folders


def _turned(search: _Search, folders: dict[str, list[Path]]) -> Tree | None:
    """The tree of class folders that each hold the parts, as in CLASS/train/ and CLASS/test/; None for other folders."""
    tree: Tree = {}
    for name, those in folders.items():
        for folder in those:
            inner = search.folders(folder)
            if not {part_of(part) for part in inner} >= {"train"} or not all(map(part_of, inner)) or len(inner) < 2:
                return None
            search.stray(folder)
            for part, paths in inner.items():
                tree.setdefault(str(part_of(part)), {}).setdefault(name, []).extend(paths)
    return tree or None


def use_of(names: Mapping[str, str], validation: Validation, where: str) -> tuple[dict[str, str | None], list[str]]:
    """How the parts of a data set are used: the rule for train, val and test.

    The test part is the test set, or else the validation part. Validation images beside a test set are added to the training
    images or left out. Without both, there is no test set yet.

    Args:
        names: part (train, val, test) -> its name in messages.
        validation: use of validation images beside a test set.
        where: the data set in messages.

    Returns:
        Part -> ``train``, ``test``, empty if nothing is divided, None if left out; and notes.

    Raises:
        DataError: there are no training images.
    """
    if "train" not in names:
        raise DataError(f"{where} has {listed(names.values())} only; it needs training images as well")
    if len(names) == 1:
        return {"train": ""}, [f"only {names['train']}, no test set"]
    if "test" not in names:
        return {"train": "train", "val": "test"}, [f"{names['val']} is the test set"]
    if "val" not in names:
        return {"train": "train", "test": "test"}, []
    if validation == "omit":
        return {"train": "train", "val": None, "test": "test"}, [
            f"left out {names['val']}; {names['test']} is the test set"
        ]
    added = f"{names['val']} is added to the training images; {names['test']} is the test set"
    return {"train": "train", "val": "train", "test": "test"}, [added]


def _assigned(search: _Search, root: Path, tree: Tree, parts: Mapping[str, Path], validation: Validation) -> Tree:
    """The tree with the parts train and test, or with one undivided part."""
    if "" in tree:
        search.note("no train/ and test/ folders")
        return {"": _checked(root, tree[""])}
    names = {part: f"{parts[part].name if part in parts else part}/" for part in tree}
    use, notes = use_of(names, validation, str(root))
    search.notes += notes
    train = _checked(root, tree["train"])
    found: Tree = {use["train"] or "": train}
    for part in ("val", "test"):
        if use.get(part) == "test":
            _require_same(root, train, tree[part], names["train"], names[part])
            found["test"] = tree[part]
        elif use.get(part) == "train":
            if more := sorted(set(tree[part]) - set(train)):
                raise DataError(
                    f"{root}: {names[part]} has classes that {names['train']} does not have: {listed(more)}"
                )
            found["train"] = {label: [*those, *tree[part].get(label, [])] for label, those in train.items()}
    return found


def _checked(root: Path, classes: dict[str, list[Path]]) -> dict[str, list[Path]]:
    require_classes(root, list(classes), "no class folders")
    return classes


def require_classes(root: Path, classes: Sequence[str], none: str) -> None:
    """Refuse fewer than two classes."""
    if len(classes) < 2:
        what = f"only one class, {classes[0]}" if classes else none
        raise DataError(f"{root} has {what}; a classifier needs at least two classes")


def _require_same(root: Path, train: Iterable[str], test: Iterable[str], name: str, other: str) -> None:
    first, second = set(train), set(test)
    if unlike := sorted(first ^ second):
        where = ", ".join(f"{one} (only in {name if one in first else other})" for one in unlike)
        same = len({one.casefold() for one in unlike}) < len(unlike)
        hint = "; some differ only in upper and lower case" if same else ""
        raise DataError(f"{root}: {name} and {other} must have the same classes: {where}{hint}")


def _layout(search: _Search, root: Path, tree: Tree) -> Layout:
    """List the image files of the classes."""
    classes = tuple(next(iter(tree.values())))
    photos: list[Photo] = []
    strangers: dict[tuple[str, int], Counter[str]] = {}
    other: list[Path] = []
    for part, folders in tree.items():
        for label, name in enumerate(classes):
            files = [file for folder in folders[name] for file in search.files(folder)]
            photos += [Photo(file, part, label) for file in files if is_image(file)]
            rest = [file for file in files if not is_image(file)]
            strangers[part, label] = Counter(file.suffix.lower() or "no ending" for file in rest)
            other += rest
    layout = Layout(root, classes, tuple(photos), (), strangers)
    if other:
        search.note(
            f"passed over {counted(len(other), 'file')} that {_are(other)} not images, such as {layout.place(other[0])}"
        )
    if search.strays:
        names = listed(map(layout.place, search.strays))
        search.note(f"passed over {counted(len(search.strays), 'image')} outside the class folders: {names}")
    if search.passed:
        names = listed(name if n == 1 else f"{name} ({n} times)" for name, n in search.passed.items())
        search.note(f"passed over hidden and system files: {names}")
    return Layout(root, classes, layout.photos, tuple(search.notes), strangers)


def listed(names: Iterable[str]) -> str:
    """The names separated by commas; of many, the first ones and the number of the others."""
    names = list(names)
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def counted(number: int, what: str) -> str:
    """``1 image`` or ``2 images``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _are(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"


def is_system(name: str) -> bool:
    """Whether a file or folder is hidden, or written by a system or a tool."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def is_image(path: Path) -> bool:
    """Whether a file has the ending of an image."""
    return path.suffix.lower() in SUFFIXES


def _raise(error: OSError) -> None:
    raise error
