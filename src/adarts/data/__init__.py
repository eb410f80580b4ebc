"""Images: where they come from, how they are divided, and how they become batches."""

from adarts.data.augmentation import Augmentation
from adarts.data.batches import Batches
from adarts.data.images import ImageData, Images
from adarts.data.load import load_images
from adarts.data.splits import hold_out, search_split

__all__ = ["Augmentation", "Batches", "ImageData", "Images", "hold_out", "load_images", "search_split"]
