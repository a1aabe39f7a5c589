"""What can be read from codes: the label of an image, by a line between classes and by neighbours.

Everything is learned from training images and asked of others. Settings (the penalty, the number of
neighbours) are chosen on a fifth of the training images that is held out for it, alike for codes
and for what they are compared with.

Source: Alain and Bengio, Understanding Intermediate Layers Using Linear Classifier Probes (2017);
intervals: Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vae_core.data import Progress, no_progress
from vae_core.imaging.resize import thumbnails
from vae_core.metrics.wilson import wilson

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
"""C of a logistic regression, the inverse of its penalty on squared weights."""

NEIGHBOURS = (1, 3, 5, 10, 20)

MOST_ITERATIONS = 500

SIDE = 32
"""Of the pictures whose pixels codes are compared with; larger ones are averaged down."""


@dataclass(frozen=True)
class Labelled:
    """N images: features float [N, D] and labels int64 [N]."""

    features: np.ndarray
    labels: np.ndarray

    def rows(self, chosen: np.ndarray) -> Labelled:
        """Some of them, by their places [M]."""
        return Labelled(self.features[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Accuracy:
    """The share of `images` whose label was told, and its 95 % interval over images like them.
    `setting`: the penalty's inverse C, or the number of neighbours, that was chosen."""

    value: float
    low: float
    high: float
    images: int
    setting: float


class _Classifier(Protocol):
    def fit(self, features: np.ndarray, labels: np.ndarray) -> object: ...
    def predict(self, features: np.ndarray) -> np.ndarray: ...


def linear_probe(known: Labelled, unseen: Labelled, progress: Progress = no_progress) -> Accuracy:
    """How well a logistic regression tells the labels of unseen images. Features are centred and
    divided by one number, so that none is made larger than it is beside the others."""
    from sklearn.linear_model import LogisticRegression

    def make(penalty: float) -> _Classifier:
        return LogisticRegression(C=penalty, max_iter=MOST_ITERATIONS)

    return _best(make, PENALTIES, *scaled(known, unseen), progress)


def neighbour_probe(
    known: Labelled, unseen: Labelled, progress: Progress = no_progress
) -> Accuracy:
    """How well the majority of the nearest images, by Euclidean distance, tells the labels."""
    from sklearn.neighbors import KNeighborsClassifier

    def make(neighbours: float) -> _Classifier:
        return KNeighborsClassifier(int(neighbours), algorithm="brute")

    fewest = len(known.labels) - len(known.labels) // 5
    return _best(make, [k for k in NEIGHBOURS if k <= fewest], known, unseen, progress)


def _best(
    make: Callable[[float], _Classifier],
    settings: Sequence[float],
    known: Labelled,
    unseen: Labelled,
    progress: Progress,
) -> Accuracy:
    """Of the setting that does best on a fifth of the known images, learned from all of them; of
    several the first."""
    from sklearn.exceptions import ConvergenceWarning

    order = np.random.default_rng(0).permutation(len(known.labels))
    held_out, rest = np.split(order, [max(1, len(order) // 5)])
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of a penalty that is next to none
        for done, setting in enumerate(settings):
            progress("Reading the labels from features", done / (len(settings) + 1))
            found.append(_correct(make(setting), known.rows(rest), known.rows(held_out)))
        progress("Reading the labels from features", len(settings) / (len(settings) + 1))
        best = settings[int(np.argmax(found))]
        correct = _correct(make(best), known, unseen)
    return Accuracy(
        correct / len(unseen.labels), *wilson(correct, len(unseen.labels)), len(unseen.labels), best
    )


def _correct(classifier: _Classifier, known: Labelled, unseen: Labelled) -> int:
    if len(np.unique(known.labels)) == 1:  # of which scikit-learn makes no classifier
        return int((unseen.labels == known.labels[0]).sum())
    classifier.fit(known.features, known.labels)
    return int((classifier.predict(unseen.features) == unseen.labels).sum())


def scaled(known: Labelled, unseen: Labelled) -> tuple[Labelled, Labelled]:
    """Both, less the mean of the known ones and over the root of their mean variance. Where there
    are more features than known images, in the coordinates that these span: a penalty on squared
    weights minds no rotation."""
    mean = known.features.mean(axis=0, dtype=np.float64)
    a, b = known.features - mean, unseen.features - mean
    size = np.sqrt((a**2).mean()) or 1.0
    a, b = a / size, b / size
    if a.shape[1] > len(a):
        axes = np.linalg.svd(a, full_matrices=False)[2].T
        a, b = a @ axes, b @ axes
    return Labelled(a, known.labels), Labelled(b, unseen.labels)


def pixels(images: np.ndarray) -> np.ndarray:
    """uint8 [N, C, H, W] as features in [0, 1], float32 [N, D], of pictures of `SIDE` at most."""
    small = thumbnails(images, SIDE)
    return small.reshape(len(small), -1).astype(np.float32) / 255


def principal(known: np.ndarray, unseen: np.ndarray, dims: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of both [N, D] on at most `dims` principal axes of the known ones."""
    from sklearn.decomposition import PCA

    fitted = PCA(min(dims, *known.shape), random_state=0).fit(known)
    return fitted.transform(known), fitted.transform(unseen)
