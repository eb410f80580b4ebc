"""Decode one image to the pixels of a network's input, or give the reason why it is unreadable. It needs no torch."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

_SUFFIXES = {  # no EPS, which starts another program
    "JPEG": ".jpg .jpeg .jpe .jfif .jif",
    "PNG": ".png .apng",
    "BMP": ".bmp .dib",
    "GIF": ".gif",
    "WEBP": ".webp",
    "TIFF": ".tif .tiff",
    "PPM": ".ppm .pgm .pbm .pnm",
    "AVIF": ".avif",
    "JPEG2000": ".jp2 .j2k .jpx",
}
_FORMATS = tuple(_SUFFIXES)
SUFFIXES = frozenset(" ".join(_SUFFIXES.values()).split())
"""Endings of the files that are read as images, in lower case."""

GRAY_MODES = frozenset(("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F"))
"""Pillow's names of the pixel formats without colors."""

MAX_PIXELS = 89_478_485
"""Larger images are refused as decompression bombs (Pillow warns from this size on)."""


class Unreadable(Exception):
    """An image that cannot be used; the message says why."""


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before its pixels are decoded.

    Attributes:
        format: Pillow's name, such as ``JPEG``.
        mode: Pillow's name of the pixel format, such as ``RGB``, ``L`` (gray), ``P`` (palette), ``CMYK`` or ``I;16``.
        size: width and height as stored.
        turned: whether the file asks for a turn or a reflection, as cameras do (the EXIF tag Orientation).
        animated: whether the file holds several pictures, of which only the first one is used.
    """

    format: str
    mode: str
    size: tuple[int, int]
    turned: bool
    animated: bool

    @property
    def is_gray(self) -> bool:
        """Whether no pixel can have a color."""
        return self.mode in GRAY_MODES


def read_header(path: Path) -> Header:
    """Read the header of an image file.

    Raises:
        Unreadable: the file is not an image, or too large.
    """
    with _opened(path, MAX_PIXELS) as image:
        return Header(image.format or "", image.mode, image.size, _orientation(image) != 1, _is_animated(image))


def decode(
    source: Path | BinaryIO, size: tuple[int, int], channels: int = 3, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Decode an image as (height, width, channels): turned upright, center-cropped to the shape, scaled to the size.

    Transparent parts become white; 16 bits become 8. With one channel, colors become their luma (ITU-R BT.601).

    Args:
        source: a file, or its content as a stream that can seek.
        size: (height, width) of the result.
        channels: 3 for RGB, 1 for gray.
        max_pixels: images with more pixels are refused before they are decoded.

    Raises:
        Unreadable: the image is broken or too large, or its pixel format is not supported.
    """
    if channels not in (1, 3):
        raise Unreadable(f"the pictures of image files have 1 or 3 channels, not {channels}")
    return fitted(upright(source, max_pixels), size, channels)


def upright(source: Path | BinaryIO, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image in its own size as RGB, turned upright; the first step of :func:`decode`, with the same errors."""
    with _opened(source, max_pixels) as image:
        try:
            image.load()
            turn = _TURNS.get(_orientation(image))
            return to_rgb(image if turn is None else image.transpose(turn))
        except Unreadable:
            raise
        except Exception as error:  # decoders may raise anything for a broken file
            raise Unreadable(_reason(error)) from error


def fitted(rgb: Image.Image, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """The pixels (height, width, channels) of an image, center-cropped to the shape of the size and scaled to it.

    With one channel, colors become their luma (ITU-R BT.601).
    """
    height, width = size
    if rgb.size != (width, height):
        rgb = ImageOps.fit(rgb, (width, height), Image.Resampling.BICUBIC)
    return np.asarray(rgb) if channels == 3 else np.asarray(rgb.convert("L"))[..., None]


_ORIENTATION = 0x0112
_TURNS = {  # EXIF 2.32, section 4.6.4: how to turn the stored picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _orientation(image: Image.Image) -> int:
    """The EXIF tag Orientation; 1, upright, if there is none or it cannot be read. Nothing else in the metadata matters."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged metadata must not refuse the pixels
        return 1
    return value if value in _TURNS else 1


def _is_animated(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # the first picture may be intact
        return False


def _opened(source: Path | BinaryIO, max_pixels: int) -> Image.Image:
    try:
        image = _identified(source)
    except UnidentifiedImageError as error:
        bytes_ = source.stat().st_size if isinstance(source, Path) else source.seek(0, os.SEEK_END)
        reason = "not an image" if bytes_ else "an empty file"
        raise Unreadable(reason) from error
    except Image.DecompressionBombError as error:
        raise Unreadable(f"a decompression bomb: more than {2 * MAX_PIXELS:,} pixels") from error
    except Exception as error:  # as in upright
        raise Unreadable(_reason(error)) from error
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise Unreadable(f"a decompression bomb: {width}x{height} pixels")
    return image


def _identified(source: Path | BinaryIO) -> Image.Image:
    """Open an image; a PNG whose texts or color profile Pillow refuses is opened without them."""
    try:
        return Image.open(source, formats=_FORMATS)
    except ValueError:
        content = source.read_bytes() if isinstance(source, Path) else _all_of(source)
        if not content.startswith(_PNG):
            raise
        return Image.open(io.BytesIO(_without_texts(content)), formats=("PNG",))


_PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def _without_texts(png: bytes) -> bytes:
    """A PNG without the chunks of its texts and its color profile: each chunk is length, kind, content, checksum."""
    kept, place = [_PNG], len(_PNG)
    while place < len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4])
        if png[place + 4 : place + 8] not in _TEXTS:
            kept.append(png[place:end])
        place = end
    return b"".join(kept)


def _all_of(stream: BinaryIO) -> bytes:
    stream.seek(0)
    return stream.read()


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to RGB: transparent parts become white, 16 bits 8.

    Raises:
        Unreadable: its pixels have more bits, or no known range.
    """
    if image.mode.startswith("I"):  # 16-bit gray, which convert() would clip to white
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise Unreadable("32-bit pixels")
        scaled = values.astype(np.uint32)
        scaled += 128  # in place: eight bytes for each pixel of a large image fill the memory
        scaled //= 257
        image = Image.fromarray(scaled.astype(np.uint8))
    elif image.mode == "F":
        raise Unreadable("floating-point pixels")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    """The first line of a decoder's message; without the path, which stands beside it."""
    said = getattr(error, "strerror", None) or str(error)
    return (said or type(error).__name__).splitlines()[0]
