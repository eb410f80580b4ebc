"""Images: loading, splitting and batching.

The names are imported on first use, because :mod:`adarts.data.decode` must be usable without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adarts.data.augmentation import Augmentation
    from adarts.data.batches import Batches
    from adarts.data.given import Data, as_source
    from adarts.data.images import ImageData, Images
    from adarts.data.load import load_images, read_source, register_data, settings_of
    from adarts.data.source import Source
    from adarts.data.splits import hold_out, search_split

__all__ = [
    "Augmentation",
    "Batches",
    "Data",
    "ImageData",
    "Images",
    "Source",
    "as_source",
    "hold_out",
    "load_images",
    "read_source",
    "register_data",
    "search_split",
    "settings_of",
]

_PLACES = {
    "augmentation": ("Augmentation",),
    "batches": ("Batches",),
    "given": ("Data", "as_source"),
    "images": ("ImageData", "Images"),
    "load": ("load_images", "read_source", "register_data", "settings_of"),
    "source": ("Source",),
    "splits": ("hold_out", "search_split"),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"adarts.data.{module}"), name)
    raise AttributeError(f"module 'adarts.data' has no attribute '{name}'")
