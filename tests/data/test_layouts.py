"""Layouts of folders as people have them, and tables of labels."""

import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from adarts.config.settings import ImageSettings
from adarts.data import ImageData, load_images
from adarts.data.layout import part_of
from adarts.errors import DataError


def fill(*folders: Path, count: int = 3) -> None:
    """Pictures of one color each, no two alike."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            color = sum(map(ord, str(folder)[-12:])) * 7919 + number * 104729
            Image.new("RGB", (8, 8), (color % 256, color // 256 % 256, color // 65536 % 256)).save(
                folder / f"{number}.png"
            )


def load(root: Path | str, **settings: object) -> ImageData:
    return load_images(f"folder:{root}", ImageSettings.model_validate(settings), 0)


def counts(data: ImageData) -> tuple[int, int]:
    return len(data.train), len(data.test)


def divided(root: Path, *parts: str) -> Path:
    for part in parts:
        fill(root / part / "cat", root / part / "dog")
    return root


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Training", "train"), ("train_set", "train"), ("seg_train", "train"), ("train2017", "train"), ("TRAIN", "train"),
        ("images-train", "train"), ("Testing", "test"), ("test set", "test"), ("testset", "test"), ("evaluation", "test"),
        ("valid", "val"), ("Validation", "val"), ("dev", "val"), ("val2012", "val"), ("trains", None), ("trainer", None),
        ("invalid", None), ("device", None), ("2017", None), ("set", None), ("cat", None),
    ],
)  # fmt: skip
def test_names_of_parts(name: str, part: str | None) -> None:
    assert part_of(name) == part


@pytest.mark.parametrize(
    "parts", [("Train", "Test"), ("training_set", "test_set"), ("train", "val"), ("TRAIN", "valid")]
)
def test_two_parts(tmp_path: Path, parts: tuple[str, str]) -> None:
    data = load(divided(tmp_path, *parts))
    assert (data.classes, counts(data)) == (("cat", "dog"), (6, 6))
    assert (f"{parts[1]}/ is the test set" in data.notes) == (parts[1] in ("val", "valid"))


def test_three_parts(tmp_path: Path) -> None:
    divided(tmp_path, "train", "validation", "test")
    data = load(tmp_path)
    assert counts(data) == (12, 6)
    assert "validation/ is added to the training images; test/ is the test set" in data.notes
    data = load(tmp_path, validation="omit")
    assert counts(data) == (6, 6)
    assert "left out validation/; test/ is the test set" in data.notes
    fill(tmp_path / "validation/cow")
    with pytest.raises(DataError, match="validation/ has classes that train/ does not have: cow"):
        load(tmp_path)


def test_an_unlabeled_part_is_passed_over(tmp_path: Path) -> None:
    fill(divided(tmp_path, "train", "val") / "test")
    data = load(tmp_path)
    assert counts(data) == (6, 6)
    assert "passed over, no part with class folders: test/" in data.notes


def test_parts_without_classes_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "one/Train", tmp_path / "one/Test")
    with pytest.raises(DataError, match=r"Test/, Train/ hold no class folders.*write a labels\.csv"):
        load(tmp_path / "one")
    fill(tmp_path / "two/cat", tmp_path / "two/dog", tmp_path / "two/test")
    with pytest.raises(DataError, match="is test/ a class, or are these images for a test"):
        load(tmp_path / "two")
    divided(tmp_path / "three", "val", "test")
    with pytest.raises(DataError, match="has test/, val/ only; it needs training images"):
        load(tmp_path / "three")
    divided(tmp_path / "four", "train", "training", "test")
    with pytest.raises(DataError, match="train/ and training/ both look like the train part"):
        load(tmp_path / "four")


def test_a_class_may_have_the_name_of_a_part(tmp_path: Path) -> None:
    fill(tmp_path / "train", tmp_path / "bus", tmp_path / "valid")
    assert load(tmp_path).classes == ("bus", "train", "valid")


def test_folders_around_and_within(tmp_path: Path) -> None:
    inner = divided(tmp_path / "archive/photos", "seg_train/seg_train", "seg_test/seg_test")
    fill(inner / "seg_train/seg_train/cat/more/deep")
    assert counts(load(tmp_path)) == (9, 6)


def test_parts_within_each_class(tmp_path: Path) -> None:
    fill(*(tmp_path / name / part for name in ("cat", "dog") for part in ("train", "test")))
    data = load(tmp_path)
    assert (data.classes, counts(data)) == (("cat", "dog"), (6, 6))


def test_linked_folders_are_used_once(tmp_path: Path) -> None:
    fill(tmp_path / "d/cat", tmp_path / "d/dog", tmp_path / "more")
    (tmp_path / "d/cat/more").symlink_to(tmp_path / "more")
    (tmp_path / "d/cat/around").symlink_to(tmp_path / "d/cat")
    assert sum(counts(load(tmp_path / "d"))) == 9


def test_whatever_is_passed_over_is_noted(tmp_path: Path) -> None:
    fill(divided(tmp_path, "train", "test") / "train/.net")
    for name in ("train/stray.png", "root.jpg", "train/cat/.DS_Store", "test/dog/Thumbs.db", "train/cat/._0.png"):
        (tmp_path / name).touch()
    fill(tmp_path / "train/cat/.ipynb_checkpoints", tmp_path / "train/dog/__MACOSX", count=1)
    strays, hidden, *_ = (note for note in load(tmp_path).notes if note.startswith("passed over"))
    assert strays == "passed over 2 images outside the class folders: root.jpg, train/stray.png"
    names = set(hidden.removeprefix("passed over hidden and system files: ").split(", "))
    assert names == {
        ".net/ (3 images)", ".ipynb_checkpoints/ (1 image)", "__MACOSX/ (1 image)", "._*", ".DS_Store", "Thumbs.db",
    }  # fmt: skip


def test_names_with_spaces_and_in_any_form(tmp_path: Path) -> None:
    for form, part in (("NFC", "train"), ("NFD", "test")):
        fill(*(tmp_path / part / unicodedata.normalize(form, name) for name in ("café noir", "Grüner Tee")))
    data = load(tmp_path)
    assert (data.classes, counts(data)) == (("Grüner Tee", "café noir"), (6, 6))
    (tmp_path / "test" / unicodedata.normalize("NFD", "Grüner Tee")).rename(tmp_path / "test/grüner tee")
    with pytest.raises(DataError, match=r"only in test/.*some differ only in upper and lower case"):
        load(tmp_path)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    fill(tmp_path / "a", Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9")))
    data = load(tmp_path)
    assert data.classes == ("a", "caf\\xe9")
    str(data.record()).encode()


# tables of labels


def table(root: Path, text: str, name: str = "labels.csv", images: str = "images") -> Path:
    fill(root / images, count=6)
    (root / name).write_text(text)
    return root


ROWS = "".join(f"{number}.png,{'cat' if number % 2 else 'dog'}\n" for number in range(6))


@pytest.mark.parametrize(
    "text",
    [
        ROWS,
        "filename,label\n" + ROWS,
        "photo name,what it is\n" + ROWS,
        "\ufeffid;extra;Class\n" + "".join(f"{n};x;{'cat' if n % 2 else 'dog'}\n" for n in range(6)),
        "label\tfile\n" + "".join(f"{'cat' if n % 2 else 'dog'}\timages/{n}.png\n" for n in range(6)),
    ],
    ids=["no head", "usual head", "by position", "ids without ending", "tabs and paths"],
)
def test_a_table_of_labels(tmp_path: Path, text: str) -> None:
    for root in (table(tmp_path, text), tmp_path / "labels.csv"):
        data = load(root)
        assert data.classes == ("cat", "dog")
        assert [train + test for _, train, test in data.class_counts] == [3, 3]
        assert "labels from labels.csv" in data.notes


def test_a_table_with_parts(tmp_path: Path) -> None:
    rows = [f"{n}.png,{n % 2},{part}" for n, part in enumerate(["Train", "train", "val", "val", "test", "test"])]
    data = load(table(tmp_path, "file,class,split\n" + "\n".join(rows)))
    assert data.class_counts == [("0", 2, 1), ("1", 2, 1)]
    assert "'val' is added to the training images; 'test' is the test set" in data.notes
    assert counts(load(tmp_path, validation="omit")) == (2, 2)


def test_classes_that_are_numbers_are_in_their_order(tmp_path: Path) -> None:
    data = load(table(tmp_path, "".join(f"{n}.png,{[9, 10, 100][n % 3]}\n" for n in range(6))))
    assert data.classes == ("9", "10", "100")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("0.png\n", "needs two columns"),
        ("a,b,c\n1,2,3\n", "which column is the label.*they are a, b, c"),
        (ROWS + "0.png,cat\n", "line 7: 0.png is listed twice, as train dog and train cat"),
        (ROWS + "7.png\n", "line 7: a row needs a file and a label"),
        ("file,label,split\n0.png,cat,today\n", "line 2: the part must be train, val or test, not 'today'"),
        ("file,label\n0.png,cat\n1.png,cat\n", "only one class, cat"),
        (ROWS + "gone.png,cat\n", r"1 of 7 images cannot be read.*gone.png \(.*No such file"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(table(tmp_path, text))


def test_images_without_a_row_are_noted_and_names_may_need_their_folder(tmp_path: Path) -> None:
    root = table(tmp_path, "".join(f"images/{n}.png,{n % 2}\n" for n in range(4)), "train.csv")
    fill(root / "more", count=2)
    data = load(root / "train.csv")
    assert sum(counts(data)) == 4
    assert "passed over 4 images without a label, such as images/4.png" in data.notes
    (root / "train.csv").write_text("".join(f"{n}.png,{n % 2}\n" for n in range(4)))
    with pytest.raises(DataError, match=r"2 of 4 images cannot be read.* 0\.png.* 1\.png"):
        load(root / "train.csv")
