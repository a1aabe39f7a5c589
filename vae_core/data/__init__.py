"""Data sets: images as uint8 [N, C, H, W], gathered by index, with labels or factors.

A data set is one file in `sets` that registers itself; `load_dataset` is the way in.
"""

from vae_core.data.dataset import Dataset, Images, ImageSet
from vae_core.data.images import ArrayImages
from vae_core.data.npy import StoredImages
from vae_core.data.samples import hold_outs, label_counts, sample_images
from vae_core.data.source import DatasetEntry, datasets, load_dataset
from vae_core.data.uploads import Announced, Upload, begin_upload
from vae_core.progress import Progress, no_progress

datasets.discover("vae_core.data.sets", plugins="vae_core.datasets")

__all__ = [
    "Announced",
    "ArrayImages",
    "Dataset",
    "DatasetEntry",
    "ImageSet",
    "Images",
    "Progress",
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
