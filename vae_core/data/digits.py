"""scikit-learn's handwritten digits: 1797 images of 8×8 that need no download."""

from __future__ import annotations

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.arrays import bring_to, shape_asked
from vae_core.data.dataset import Dataset, ImageSet, Progress
from vae_core.data.hashes import content_hashes
from vae_core.data.images import ArrayImages
from vae_core.data.source import source
from vae_core.data.splits import assemble


@source(
    "digits",
    label="Digits 8×8",
    blurb="1797 small handwritten digits. Built in; a model learns them in under a minute.",
    origin="built in",
    image_shape=(1, 32, 32),
)
def load_digits(config: DataConfig, progress: Progress) -> Dataset:
    """The digits with values 0..16 stretched to 0..255, enlarged smoothly."""
    from sklearn.datasets import load_digits as load  # slow to import; the first page does not wait

    bunch = load()
    small = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    images = bring_to(small, shape_asked(config, (1, 32, 32)), progress, "Enlarging the digits")
    # Of the small ones, so that the parts are the same at every size.
    hashes = content_hashes(ArrayImages(small))
    pool = ImageSet(ArrayImages(images), bunch.target.astype(np.int64), hashes=hashes)
    return assemble("digits", pool, None, config, fixed=True, label_names=tuple("0123456789"))
