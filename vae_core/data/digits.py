"""scikit-learn's handwritten digits: 1797 images of 8×8 that need no download."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.arrays import bring_to, shape_asked
from vae_core.data.dataset import Dataset, ImageSet, Progress
from vae_core.data.hashes import content_hashes
from vae_core.data.images import ArrayImages
from vae_core.data.source import source
from vae_core.data.splits import assemble
from vae_core.errors import UserError


@source(
    "digits",
    label="Digits 8×8",
    blurb="1797 small handwritten digits. Built in; a model learns them in under a minute.",
    origin="built in",
    image_shape=(1, 32, 32),
)
def load_digits(config: DataConfig, progress: Progress) -> Dataset:
    """The digits with values 0..16 stretched to 0..255, enlarged smoothly."""
    values, labels = digits()
    small = np.rint(values * (255 / 16)).astype(np.uint8)[:, None]
    images = bring_to(small, shape_asked(config, (1, 32, 32)), progress, "Enlarging the digits")
    # Of the small ones, so that the parts are the same at every size.
    hashes = content_hashes(ArrayImages(small))
    pool = ImageSet(ArrayImages(images), labels, hashes=hashes)
    return assemble("digits", pool, None, config, fixed=True, label_names=tuple("0123456789"))


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
