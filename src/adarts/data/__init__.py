"""Images: loading, splitting and batching."""

from adarts.data.augmentation import Augmentation
from adarts.data.batches import Batches
from adarts.data.given import Data, as_source
from adarts.data.images import ImageData, Images
from adarts.data.load import load_images, register_data, settings_of
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
    "register_data",
    "search_split",
    "settings_of",
]
