"""Decode one image to the pixels of a network's input, or give the reason why it is unreadable. It needs no torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"})
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # no EPS, which starts another program

MAX_PIXELS = 89_478_485
"""Larger images are refused as decompression bombs (Pillow warns from this size on)."""


class Unreadable(Exception):
    """An image that cannot be used; the message says why."""


def measure(path: Path) -> tuple[int, int]:
    """Width and height as stored, read from the file's header.

    Raises:
        Unreadable: the file is not an image, or too large.
    """
    with _opened(path, MAX_PIXELS) as image:
        return image.size


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
    with _opened(source, max_pixels) as image:
        try:
            image.load()
            rgb = _rgb(ImageOps.exif_transpose(image))
        except Unreadable:
            raise
        except Exception as error:  # decoders may raise anything for a broken file
            raise Unreadable(_reason(error)) from error
    height, width = size
    if rgb.size != (width, height):
        rgb = ImageOps.fit(rgb, (width, height), Image.Resampling.BICUBIC)
    return np.asarray(rgb) if channels == 3 else np.asarray(rgb.convert("L"))[..., None]


def _opened(source: Path | BinaryIO, max_pixels: int) -> Image.Image:
    try:
        image: Image.Image = Image.open(source, formats=_FORMATS)
    except UnidentifiedImageError as error:
        bytes_ = source.stat().st_size if isinstance(source, Path) else source.seek(0, os.SEEK_END)
        reason = "not an image" if bytes_ else "an empty file"
        raise Unreadable(reason) from error
    except Image.DecompressionBombError as error:
        raise Unreadable(f"a decompression bomb: more than {2 * MAX_PIXELS:,} pixels") from error
    except Exception as error:  # as in decode
        raise Unreadable(_reason(error)) from error
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise Unreadable(f"a decompression bomb: {width}x{height} pixels")
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit gray, which convert() would clip to white
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise Unreadable("32-bit pixels")
        image = Image.fromarray(np.round(values / 257).astype(np.uint8))
    elif image.mode == "F":
        raise Unreadable("floating-point pixels")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    """The first line of a decoder's message."""
    return (str(error) or type(error).__name__).splitlines()[0]
