"""Folders of images: what people have, what is broken in it, and what is said about it."""

import shutil
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from adarts.config.settings import ImageSettings
from adarts.data import ImageData, Images, load_images
from adarts.data import memory as memory_module
from adarts.data.decode import Unreadable, decode, read_header
from adarts.errors import DataError


def picture(seed: int, size: tuple[int, int] = (12, 12)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def fill(root: Path, counts: dict[str, int], size: tuple[int, int] = (12, 12)) -> Path:
    """Folders of so many pictures, no two alike."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture(zlib.crc32(f"{name}{number}".encode()), size).save(root / name / f"{number:03}.png")
    return root


def load(root: Path, seed: int = 0, **settings: object) -> ImageData:
    return load_images(f"folder:{root}", ImageSettings(**settings), seed)  # type: ignore[arg-type]


def refused(root: Path, match: str, **settings: object) -> None:
    with pytest.raises(DataError, match=match) as caught:
        load(root, **settings)
    assert "\n" not in str(caught.value)


def test_train_and_test(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"cat": 5, "dog": 4})
    fill(tmp_path / "test", {"cat": 2, "dog": 3})
    data = load(tmp_path)
    assert data.classes == ("cat", "dog")
    assert torch.bincount(data.train.labels).tolist() == [5, 4]
    assert torch.bincount(data.test.labels).tolist() == [2, 3]
    assert data.image_size == (12, 12)
    first = np.asarray(Image.open(tmp_path / "train/cat/000.png"))
    assert np.array_equal(data.train.pixels[0].permute(1, 2, 0).numpy(), first)


def test_one_folder_is_split_alike_in_every_run(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 30, "b": 60, "c": 2})
    data = load(tmp_path, test_fraction=0.3)
    a, b, c = torch.bincount(data.test.labels).tolist()
    assert 4 <= a <= 14 and 10 <= b <= 26 and c == 1
    assert torch.bincount(data.train.labels).tolist() == [30 - a, 60 - b, 1]
    assert data.fingerprint == load(tmp_path, seed=5, test_fraction=0.3).fingerprint
    assert any(f"{a + b + c} images held out as the test set" in note for note in data.notes)
    assert not any("stand in the training part" in note for note in data.notes)


def rows(images: Images) -> set[bytes]:
    return {image.tobytes() for image in images.rows.numpy()}


def test_images_added_later_move_no_other(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 20, "b": 20}, (40, 40))
    before = load(tmp_path)
    fill(tmp_path, {"a/new": 15, "c": 9}, (40, 40))
    for size in (None, 16):
        before, after = load(tmp_path, size=size), load(tmp_path, size=size)
    (tmp_path / "b/000.png").rename(tmp_path / "b/zzz.png")
    for part, other in (("train", "test"), ("test", "train")):
        assert rows(getattr(before, part)) <= rows(getattr(after, part))
        assert not rows(getattr(after, part)) & rows(getattr(after, other))


def test_equal_images_are_named_and_stay_on_one_side(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 8, "b": 8})
    for number in range(8):
        Image.open(tmp_path / f"a/{number:03}.png").save(tmp_path / f"a/copy{number}.bmp")
    shutil.copy(tmp_path / "a/000.png", tmp_path / "b/stranger.png")
    data = load(tmp_path)
    assert not rows(data.train) & rows(data.test)
    assert ("a/000.png", "a/copy0.bmp", "b/stranger.png") in data.duplicates and len(data.duplicates) == 8
    assert "9 images equal to another one, such as a/copy0.bmp to a/000.png" in data.notes
    assert "1 image in two classes at once, such as a/000.png and b/stranger.png" in data.notes


def test_folders_within_classes_hidden_and_other_files(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 4, "a/more": 3, "a/.ipynb_checkpoints": 2, "b": 4, ".cache": 2})
    (tmp_path / "b" / "notes.txt").write_text("hello")
    (tmp_path / "README.md").write_text("hello")
    data = load(tmp_path)
    assert (len(data.train) + len(data.test), data.num_classes) == (11, 2)
    assert "passed over 1 file that is not images, such as b/notes.txt" in data.notes
    assert "passed over hidden and system files: .cache/ (2 images), .ipynb_checkpoints/ (2 images)" in data.notes


# the structure


def test_no_folder_and_a_file(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "no folder")
    (tmp_path / "file.zip").touch()
    refused(tmp_path / "file.zip", "is a file")


def test_too_few_classes(tmp_path: Path) -> None:
    refused(tmp_path, "no class folders")
    refused(fill(tmp_path, {"only": 3}), "only one class, only")


def test_empty_classes_are_named(tmp_path: Path) -> None:
    fill(tmp_path / "flat", {"a": 3, "b": 0, "c": 0})
    refused(tmp_path / "flat", "fewer than two usable images in the classes b, c")
    fill(tmp_path / "flat", {"b": 1, "c": 2})
    refused(tmp_path / "flat", "fewer than two usable images in the class b")
    fill(tmp_path / "parts/train", {"a": 3, "b": 3})
    fill(tmp_path / "parts/test", {"a": 3, "b": 0})
    cure = "; add images or remove the folder"
    refused(tmp_path / "parts", f"parts: no usable image in the class b among the test images{cure}")
    fill(tmp_path / "parts/train", {"c": 0})
    fill(tmp_path / "parts/test", {"c": 0})
    refused(
        tmp_path / "parts",
        f"no usable image in the class b among the test images{cure}; no usable image in the class c{cure}",
    )


def test_parts_that_do_not_match(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 2, "b": 2, "c": 2})
    assert "no train/ and test/ folders" in load(tmp_path).notes
    fill(tmp_path / "test", {"a": 2, "b": 2, "d": 2})
    refused(tmp_path, r"c \(only in train/\), d \(only in test/\)")


# broken images


def test_broken_images_are_all_named_and_counted(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 6, "b": 6}, size=(40, 40))
    (tmp_path / "a/000.png").write_bytes(b"")
    (tmp_path / "a/001.png").write_text("<html>404</html>")
    whole = (tmp_path / "b/000.png").read_bytes()
    (tmp_path / "b/000.png").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path, r"3 of 12 .*a/000\.png \(an empty file\), a/001\.png \(not an image\), b/000\.png \(.*truncated")
    refused(
        tmp_path,
        r"3 of 12 .*more than --max-broken 2: .*; mend them, or leave them out with --max-broken 3",
        max_broken=2,
    )
    data = load(tmp_path, max_broken=3)
    assert len(data.train) + len(data.test) == 9
    left_out = [note for note in data.notes if note.startswith("left out")]
    assert [note.split(":")[0].removeprefix("left out ") for note in left_out] == [
        "a/000.png",
        "a/001.png",
        "b/000.png",
    ]


def test_leaving_broken_images_out_changes_no_other(tmp_path: Path) -> None:
    clean, dirty = fill(tmp_path / "clean", {"a": 6, "b": 6}), fill(tmp_path / "dirty", {"a": 6, "b": 6})
    whole = (dirty / "a/aaa.png", (dirty / "a/000.png").read_bytes())
    whole[0].write_bytes(whole[1][:-30])
    assert load(dirty, max_broken=1).fingerprint == load(clean).fingerprint


def test_a_link_to_nowhere_is_a_broken_image(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "a/gone.png").symlink_to("nowhere.png")
    refused(tmp_path, r"a/gone\.png \(.*No such file")


def test_a_class_of_broken_images(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 3, "b": 3})
    for file in (tmp_path / "b").iterdir():
        file.write_bytes(b"x")
    refused(tmp_path, "usable images in the class b", max_broken=10)
    for file in (tmp_path / "a").iterdir():
        file.write_bytes(b"x")
    refused(tmp_path, "usable images in the classes a, b", max_broken=10)


def bomb(width: int, height: int) -> bytes:
    """The head of a PNG of this size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 50_000])
def test_a_decompression_bomb_is_called_so(tmp_path: Path, side: int) -> None:
    fill(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "a/bomb.png").write_bytes(bomb(side, side))
    refused(tmp_path, r"a/bomb\.png \(a decompression bomb")


def test_a_program_behind_an_image_name_is_not_started(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "a/script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    refused(tmp_path, r"a/script\.png \(not an image\)")


# kinds of images


def read(tmp_path: Path, image: Image.Image, name: str = "x.png", **options: object) -> np.ndarray:
    image.save(tmp_path / name, **options)
    return decode(tmp_path / name, (8, 8))


def test_gray(tmp_path: Path) -> None:
    assert (read(tmp_path, Image.new("L", (8, 8), 77)) == 77).all()


@pytest.mark.parametrize("mode", ["L", "1", "LA", "I;16"])
def test_a_folder_of_gray_images_has_one_channel(tmp_path: Path, mode: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.new("L", (8, 8), 60 * number).convert(mode).save(tmp_path / name / f"{number}.png")
    data = load(tmp_path)
    assert data.in_channels == 1 and ("images", "8x8, gray") in data.facts()
    assert load(tmp_path, channels=3).in_channels == 3
    picture(0, (8, 8)).save(tmp_path / "a" / "color.png")
    mixed = load(tmp_path)
    assert mixed.in_channels == 3 and "8 of 9 images are gray and read as RGB" in " ".join(mixed.notes)
    assert load(tmp_path, channels=1).in_channels == 1


def test_colors_are_made_gray_as_pillow_does() -> None:
    pixels = torch.randint(0, 256, (3, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    gray = Images(pixels, torch.arange(3)).recolored(1).pixels[1, 0]
    expected = Image.fromarray(pixels[1].permute(1, 2, 0).contiguous().numpy()).convert("L")
    assert np.array_equal(gray.numpy(), np.asarray(expected))


def test_one_channel(tmp_path: Path) -> None:
    """Gray pictures keep their values; colors become their luma."""
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4)
    image.save(tmp_path / "gray.png")
    assert (decode(tmp_path / "gray.png", (8, 8), channels=1)[..., 0] == np.asarray(image)).all()
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "red.png")
    assert (decode(tmp_path / "red.png", (8, 8), channels=1) == 76).all()
    with pytest.raises(Unreadable, match="1 or 3 channels, not 4"):
        decode(tmp_path / "red.png", (8, 8), channels=4)


def test_a_stream_is_decoded_like_its_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(tmp_path / "x.jpg")
    content = (tmp_path / "x.jpg").read_bytes()
    assert (decode(BytesIO(content), (8, 8)) == decode(tmp_path / "x.jpg", (8, 8))).all()
    for broken, reason in ((b"", "an empty file"), (b"no picture", "not an image"), (content[:400], "(?i)truncated")):
        with pytest.raises(Unreadable, match=reason):
            decode(BytesIO(broken), (8, 8))
    with pytest.raises(Unreadable, match="a decompression bomb: 60x40 pixels"):
        decode(BytesIO(content), (8, 8), max_pixels=2399)


def test_one_bit(tmp_path: Path) -> None:
    assert (read(tmp_path, Image.new("1", (8, 8), 1)) == 255).all()


@pytest.mark.parametrize(("mode", "clear", "solid"), [("RGBA", (9, 9, 9, 0), (1, 2, 3, 255)), ("LA", (9, 0), (5, 255))])
def test_transparent_parts_become_white(
    tmp_path: Path, mode: str, clear: tuple[int, ...], solid: tuple[int, ...]
) -> None:
    image = Image.new(mode, (8, 8), clear)
    image.paste(solid, (0, 0, 8, 4))
    rgb = read(tmp_path, image)
    assert (rgb[4:] == 255).all()
    assert (rgb[:4] == (solid[:3] if mode == "RGBA" else solid[0])).all()


def test_palettes(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 10, 20, 30])
    assert (read(tmp_path, image) == (10, 20, 30)).all()
    assert (read(tmp_path, image, "clear.png", transparency=1) == 255).all()


def test_sixteen_bits(tmp_path: Path) -> None:
    values = np.array([[0, 257, 0x8080, 0xFFFF]] * 8, dtype=np.uint16).repeat(2, axis=1)
    for name in ("x.png", "x.tiff"):
        rgb = read(tmp_path, Image.fromarray(values), name)
        assert rgb[0, ::2, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(("kind", "reason"), [(np.int32, "32-bit"), (np.float32, "floating-point")])
def test_pixels_without_a_known_range_are_refused(tmp_path: Path, kind: type, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(tmp_path, Image.fromarray(np.full((8, 8), -70_000, kind)), "x.tiff")


def test_print_colors(tmp_path: Path) -> None:
    rgb = read(tmp_path, Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "x.jpg")
    assert (rgb >= 250).all()


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """EXIF data of entries (tag, type, count, value)."""
    body = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4)


@pytest.mark.parametrize(
    "other", [(0x128, 2, 4, b"abc\0"), (0x100, 9, 1, b"\xff" * 4)], ids=["unit as text", "negative width"]
)
def test_only_the_orientation_is_read_of_damaged_metadata(tmp_path: Path, other: tuple[int, int, int, bytes]) -> None:
    entries = sorted([(0x112, 3, 1, struct.pack("<HH", 6, 0)), other])
    rgb = read(tmp_path, picture(1, (8, 8)), exif=exif(*entries))
    assert np.array_equal(rgb, np.rot90(np.asarray(picture(1, (8, 8))), -1))


def test_long_texts_and_profiles_of_a_png_do_not_refuse_its_pixels(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "A" * 1_100_000, zip=True)
    for options in ({"pnginfo": texts}, {"icc_profile": b"x" * 1_100_000}):
        rgb = read(tmp_path, picture(1, (8, 8)), **options)
        assert np.array_equal(rgb, np.asarray(picture(1, (8, 8))))


def test_endings_in_any_case_and_of_any_program(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 4, "b": 2})
    for number, (ending, form) in enumerate({"JFIF": "JPEG", "jpe": "JPEG", "PNG": "PNG", "avif": "AVIF"}.items()):
        picture(number).save(tmp_path / f"b/x.{ending}", form)
    assert sum(load(tmp_path).record()["classes"][1][part] for part in ("train", "test")) == 6
    for name in ("b/p.heic", "b/q.HEIC"):
        (tmp_path / name).touch()
    for file in (tmp_path / "b").glob("[!pq]*"):
        file.unlink()
    refused(tmp_path, r"in the class b \(2 files \.heic\); add images or remove the folder")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    upright = picture(1, (8, 8))
    turns = {  # how the picture lies in the file
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    turn = turns[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    rgb = read(tmp_path, upright if turn is None else upright.transpose(turn), exif=exif)
    assert np.array_equal(rgb, np.asarray(upright))


# sizes


def test_the_center_square_is_scaled(tmp_path: Path) -> None:
    wide = Image.new("RGB", (64, 16), "red")
    wide.paste("blue", (20, 0, 44, 16))  # wider than the square, since scaling looks beyond its edge
    rgb = read(tmp_path, wide)
    assert (rgb == (0, 0, 255)).all()
    assert read_header(tmp_path / "x.png").size == (64, 16)


@pytest.mark.parametrize(
    ("size", "chosen", "expected", "said"),
    [
        ((96, 96), None, 96, None),
        ((97, 97), None, 64, "97x97"),
        ((200, 100), None, 64, "200x100"),
        ((20, 30), None, 20, "20x30"),
        ((5, 4), None, 8, "5x4"),
        ((20, 20), 16, 16, "scaled and center-cropped to 16x16"),
        ((20, 20), 20, 20, None),
    ],
)
def test_the_size(tmp_path: Path, size: tuple[int, int], chosen: int | None, expected: int, said: str | None) -> None:
    data = load(fill(tmp_path, {"a": 2, "b": 2}, size), size=chosen)
    assert data.image_size == (expected, expected)
    scaled = [note for note in data.notes if "scaled" in note]
    assert not scaled if said is None else said in scaled[0]


def test_mixed_sizes(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 3}, (30, 20))
    data = load(fill(tmp_path, {"b": 3}, (20, 20)))
    assert data.image_size == (20, 20)
    assert any("2 different sizes scaled and center-cropped to 20x20" in note for note in data.notes)


def test_more_images_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, {"a": 3, "b": 3})
    monkeypatch.setattr(memory_module, "available_memory", lambda: 10_000)
    refused(tmp_path, r"6 images of 200x200 need .*smaller --images\.size", size=200)
