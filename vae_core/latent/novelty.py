"""How unlike what was learned from an image is: a number each, by several theories.

A score rises with strangeness and means something only beside the same score of other images.
Which theory finds what is strange depends on the data: plain likelihood prefers simple pictures
whatever they show (Nalisnick et al., Do Deep Generative Models Know What They Don't Know?, 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vae_core.data.dataset import Images
from vae_core.imaging.png import to_png
from vae_core.latent.search import NearestEncodings
from vae_core.latent.survey import Survey
from vae_core.progress import Progress, no_progress
from vae_core.registry import Entry, Registry

NEIGHBOURS = 10
MOST_MEASURED = 10_000
"""Images, evenly spread, from which the mean and the spread of a pixel are known."""

MOST_EXACT = 512
"""Latent dimensions up to which a full covariance is fitted."""

LEAST_VARIANCE = (1 / 255) ** 2
"""Of a pixel on the [0, 1] scale: one grey level; it may never have varied in what was learned."""

AT_ONCE = 256


@dataclass(frozen=True)
class PixelModel:
    """Every value of an image by itself: what all images of the set share, such as a background.

    mean, variance: float64 [C·H·W], on the [0, 1] scale. density: Gaussian, else Bernoulli.
    """

    mean: np.ndarray
    variance: np.ndarray
    density: bool

    @classmethod
    def fit(cls, images: Images, density: bool, progress: Progress = no_progress) -> PixelModel:
        """The moments of at most `MOST_MEASURED` of `images`."""
        count = images.shape[0]
        chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_MEASURED)).astype(np.int64))
        total = squares = np.zeros(int(np.prod(images.shape[1:])))
        for start in range(0, len(chosen), AT_ONCE):
            progress("Measuring the pixels", start / len(chosen))
            pixels = _flat(images, chosen[start : start + AT_ONCE])
            total, squares = total + pixels.sum(0), squares + np.square(pixels).sum(0)
        mean = total / len(chosen)
        variance = np.maximum(squares / len(chosen) - mean**2, LEAST_VARIANCE)
        return cls(mean, variance, density)

    def nll(self, pixels: np.ndarray) -> np.ndarray:
        """−log p of pixels [N, C·H·W] in [0, 1], in nats per image: [N]."""
        if self.density:
            terms = np.square(pixels - self.mean) / self.variance + np.log(
                2 * np.pi * self.variance
            )
            result: np.ndarray = 0.5 * terms.sum(1)
            return result
        p = np.clip(self.mean, 1 / 255, 1 - 1 / 255)
        return -(pixels @ np.log(p) + (1 - pixels) @ np.log1p(-p))


def _flat(images: Images, rows: np.ndarray) -> np.ndarray:
    return images.gather(rows).reshape(len(rows), -1) / 255.0


@dataclass(frozen=True)
class Reference:
    """What images are held against: encodings float32 [N, D] of images that were learned from.

    pixels: None where those images are not at hand.
    """

    survey: Survey
    pixels: PixelModel | None

    @cached_property
    def search(self) -> NearestEncodings:
        """Exact search among the encodings."""
        return NearestEncodings(self.survey.mu)

    @cached_property
    def precision(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre [D] and inverse covariance [D, D] of the encodings.

        The covariance is shrunk as far as their number asks; with very many dimensions the small
        ones are taken for one (probabilistic PCA).

        Source: Ledoit and Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance
        Matrices (2004); Tipping and Bishop, Probabilistic Principal Component Analysis (1999).
        """
        mu = self.survey.mu.astype(np.float64)
        if mu.shape[1] <= MOST_EXACT:
            from sklearn.covariance import LedoitWolf

            fitted = LedoitWolf().fit(mu)
            return fitted.location_, fitted.precision_
        from sklearn.decomposition import PCA

        reduced = PCA(min(64, len(mu) - 1), random_state=0).fit(mu)
        return reduced.mean_, reduced.get_precision()


@dataclass(frozen=True)
class Examined:
    """Images with what all scores are made of.

    survey: of N images. places, distances: [N, k], their nearest among the reference, itself left
    out where an image is one of them. complexity: nats of the shortest PNG, float64 [N]; shared:
    −log p under the reference's `PixelModel`, float64 [N] or None.
    """

    survey: Survey
    reference: Reference
    places: np.ndarray
    distances: np.ndarray
    complexity: np.ndarray | None
    shared: np.ndarray | None


def examine(
    survey: Survey,
    images: Images | None,
    reference: Reference,
    k: int = NEIGHBOURS,
    progress: Progress = no_progress,
) -> Examined:
    """Look at the images of a survey beside a reference; without them pixels say nothing.

    Raises:
        UserError: when encodings are not finite.
    """
    places, distances = _nearest_others(survey, reference, k, progress)
    complexity = shared = None
    if images is not None:
        complexity = np.empty(len(survey))
        shared = None if reference.pixels is None else np.empty(len(survey))
        for start in range(0, len(survey), AT_ONCE):
            progress("Measuring the pictures", start / len(survey))
            rows = np.arange(start, min(start + AT_ONCE, len(survey)))
            pictures = images.gather(rows)
            complexity[rows] = [png_nats(picture) for picture in pictures]
            if reference.pixels is not None and shared is not None:
                shared[rows] = reference.pixels.nll(pictures.reshape(len(rows), -1) / 255.0)
    return Examined(survey, reference, places, distances, complexity, shared)


def png_nats(picture: np.ndarray) -> float:
    """The length of an image uint8 [C, H, W] as PNG, in nats: how much there is to tell of it.

    Source: Serrà et al., Input Complexity and Out-of-Distribution Detection (2020), section 3.
    """
    planes = [picture] if len(picture) in (1, 3) else [plane[None] for plane in picture]
    return sum(len(to_png(plane, smallest=True)) for plane in planes) * 8 * float(np.log(2))


def _nearest_others(
    survey: Survey, reference: Reference, k: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of the reference that are other images, by what they show."""
    known, own = reference.survey.hashes, survey.hashes
    if known is None and np.array_equal(survey.mu, reference.survey.mu):  # the reference itself
        known = own = np.arange(len(survey))
    search = reference.search
    if known is None or own is None or not np.isin(own, known).any():
        return search.nearest(survey.mu, k, progress)
    places, distances = search.nearest(survey.mu, k + 1, progress)
    if places.shape[1] < 2:
        return places, distances
    same = known[places] == own[:, None]
    same &= np.cumsum(same, axis=1) == 1  # a copy under another name is another image
    same[~same.any(axis=1), -1] = True
    kept = ~same
    return places[kept].reshape(len(places), -1), distances[kept].reshape(len(places), -1)


Measure = Callable[[Examined], np.ndarray | None]

novelties: Registry[Entry[Measure]] = Registry("novelty score", Entry)
"""Functions `Examined -> [N]`, higher is stranger; None where what they need is not known."""


def scores(examined: Examined) -> dict[str, np.ndarray]:
    """Every score that can be told of these images: float64 [N] by name, higher is stranger.

    One that is no number for some of them, such as the KL to a prior that an older run did not
    keep, is told of none.
    """
    return finite_ones({entry.name: entry.build(examined) for entry in novelties})


def finite_ones(found: Mapping[str, np.ndarray | None]) -> dict[str, np.ndarray]:
    """Those that are known, and a number for every image, as float64."""
    return {
        name: np.asarray(each, np.float64)
        for name, each in found.items()
        if each is not None and np.isfinite(each).all()
    }


def tail_shares(values: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """The share of `normal` [M] that is at least as strange as each of values [N]: (0, 1], [N].

    Counted with the image itself, it is a p-value: of images like the normal ones a share of at
    most α comes out at α or less.

    Source: Bates et al., Testing for Outliers with Conformal p-Values (2023), equation 2.
    """
    above = len(normal) - np.searchsorted(np.sort(normal), values, side="left")
    shares: np.ndarray = (1 + above) / (1 + len(normal))
    return shares


def threshold(normal: np.ndarray, false_alarms: float) -> float:
    """The score above which lie at most `false_alarms` (a share) of normal [M] images."""
    return float(np.quantile(normal, 1 - false_alarms, method="higher"))


@novelties.register(
    "recon",
    label="Reconstruction error",
    blurb="−log p(x|z): what the decoder cannot draw.",
)
def _recon(examined: Examined) -> np.ndarray | None:
    return examined.survey.recon


@novelties.register(
    "nelbo",
    label="−ELBO",
    blurb="Reconstruction and KL: what the model holds for unlikely. Simple pictures look likely "
    "whatever they show.",
    paper="An and Cho (2015)",
)
def _nelbo(examined: Examined) -> np.ndarray | None:
    elbo = examined.survey.elbo
    return None if elbo is None else -elbo


@novelties.register(
    "kl",
    label="KL",
    blurb="How much has to be said of the image beyond the prior.",
)
def _kl(examined: Examined) -> np.ndarray | None:
    return examined.survey.kl


@novelties.register(
    "knn",
    label="Distance to neighbours",
    blurb="From its encoding to the tenth nearest training encoding.",
    paper="Sun et al. (2022)",
)
def _knn(examined: Examined) -> np.ndarray:
    result: np.ndarray = examined.distances[:, -1]
    return result


@novelties.register(
    "mahalanobis",
    label="Mahalanobis distance",
    blurb="From the centre of the training encodings, in their standard deviations.",
    paper="Lee et al. (2018)",
)
def _mahalanobis(examined: Examined) -> np.ndarray:
    center, precision = examined.reference.precision
    shift = examined.survey.mu - center
    return np.sqrt(np.maximum(np.einsum("nd,de,ne->n", shift, precision, shift, optimize=True), 0))


@novelties.register(
    "complexity",
    label="−ELBO beyond complexity",
    blurb="−ELBO less the length of the picture as PNG: simple pictures are no longer favoured.",
    paper="Serrà et al. (2020)",
)
def _complexity(examined: Examined) -> np.ndarray | None:
    nelbo = _nelbo(examined)
    return None if nelbo is None or examined.complexity is None else nelbo - examined.complexity


@novelties.register(
    "ratio",
    label="Likelihood ratio",
    blurb="−ELBO less what pixels alone explain, each by its own mean: the background no longer "
    "counts.",
    paper="Ren et al. (2019)",
)
def _ratio(examined: Examined) -> np.ndarray | None:
    nelbo = _nelbo(examined)
    return None if nelbo is None or examined.shared is None else nelbo - examined.shared
