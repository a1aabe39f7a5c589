"""Data sets: images as uint8 [N, C, H, W], gathered by index, with labels or factors.

A source is one file that registers itself here; `load_dataset` is the way in.
"""

from importlib import import_module

from vae_core.data.dataset import Dataset, Images, ImageSet, Progress, no_progress
from vae_core.data.images import ArrayImages
from vae_core.data.samples import hold_outs, label_counts, sample_images
from vae_core.data.source import Source, datasets, load_dataset
from vae_core.data.stored import StoredImages
from vae_core.data.uploads import Announced, Upload, begin_upload

SOURCES = ("torchvision_sets", "digits", "sprites", "celeba", "folder")
"""The files that register data sets, in the order in which a form lists them."""

for _source in SOURCES:
    import_module(f"{__name__}.{_source}")

__all__ = [
    "Announced",
    "ArrayImages",
    "Dataset",
    "ImageSet",
    "Images",
    "Progress",
    "Source",
    "StoredImages",
    "Upload",
    "begin_upload",
    "datasets",
    "hold_outs",
    "label_counts",
    "load_dataset",
    "no_progress",
    "sample_images",
]
