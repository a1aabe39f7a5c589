"""scikit-learn's handwritten digits: 1797 images of 8×8 that need no download."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.dataset import Dataset
from vae_core.data.prepare import dataset_from_arrays
from vae_core.data.source import datasets
from vae_core.errors import UserError
from vae_core.progress import Progress


@datasets.register(
    "digits",
    label="Digits 8×8",
    blurb="1797 small handwritten digits. Built in; a model learns them in under a minute.",
    origin="built in",
    image_shape=(1, 32, 32),
    order=30,
)
def load_digits(config: DataConfig, progress: Progress) -> Dataset:
    """The digits with values 0..16 stretched to 0..255, enlarged smoothly."""
    values, labels = digits()
    pixels = np.rint(values * (255 / 16)).astype(np.uint8)[:, None]
    return dataset_from_arrays(
        "digits", config, progress, (pixels, labels), label_names=tuple("0123456789")
    )


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Values 0..16, float64 [1797, 8, 8], and labels, int64 [1797].

    Out of scikit-learn's own file: to import scikit-learn for it brings scipy and pandas along,
    130 MB and two seconds (`python -m benchmarks.server_memory`).
    """
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("scikit-learn, which the digits come with, is not installed.")
    file = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    rows = np.loadtxt(file, delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
