"""The embedded data set: photographs of hands that sign the digits 0 to 9 (see `signs/README.md`)."""

from __future__ import annotations

import json
from importlib import resources
from importlib.resources.abc import Traversable

import numpy as np
import torch
from PIL import Image

from adarts.config.settings import ImageSettings
from adarts.data.images import Images
from adarts.data.source import Source

_FOLDER = resources.files("adarts.data") / "signs"
_SIDE = 32


def load_signs(settings: ImageSettings) -> Source:
    """Decode both sheets of photographs, whatever the settings."""
    labels = json.loads((_FOLDER / "labels.json").read_text(encoding="utf-8"))
    train, test = (_sheet(_FOLDER / f"{part}.webp", labels[part]) for part in ("train", "test"))
    return Source("signs", tuple(labels["classes"]), train, test)


def _sheet(file: Traversable, counts: list[int]) -> Images:
    """A sheet holds the photographs row by row, ordered by class; the places after the last one are filler."""
    with file.open("rb") as stream, Image.open(stream, formats=("WEBP",)) as image:
        sheet = np.array(image.convert("RGB"))
    rows, columns = sheet.shape[0] // _SIDE, sheet.shape[1] // _SIDE
    tiles = sheet.reshape(rows, _SIDE, columns, _SIDE, 3).swapaxes(1, 2).reshape(-1, _SIDE, _SIDE, 3)
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return Images(torch.from_numpy(tiles[: len(labels)]).permute(0, 3, 1, 2), labels)
