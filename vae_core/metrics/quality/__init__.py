"""How like held-out images a generator's pictures are: distances between features of both.

frechet.py           FID: two Gaussians
kernel_distance.py   KID: no assumption, no bias
manifold.py          precision, recall, density, coverage: fidelity and variety told apart
memorisation.py      pictures that are copies of training images
estimate.py          a figure and how far it varies
features/            what turns pictures into features, a file a kind
comparison.py        all of them at once
"""

from vae_core.metrics.quality.comparison import Figures, Reference, compare
from vae_core.metrics.quality.estimate import RESAMPLES, Estimate
from vae_core.metrics.quality.features import AUTO, Features, feature_kinds, features_of
from vae_core.metrics.wilson import LEVEL

__all__ = [
    "AUTO",
    "LEVEL",
    "RESAMPLES",
    "Estimate",
    "Features",
    "Figures",
    "Reference",
    "compare",
    "feature_kinds",
    "features_of",
]
