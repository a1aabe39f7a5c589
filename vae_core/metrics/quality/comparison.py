"""All measures of one set of pictures, against the images of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vae_core.errors import UserError
from vae_core.metrics.quality.estimate import Estimate
from vae_core.metrics.quality.frechet import frechet
from vae_core.metrics.quality.kernel_distance import kernel_distance, over_subsets
from vae_core.metrics.quality.manifold import LEAST_IMAGES, manifold
from vae_core.metrics.quality.memorisation import Nearest, authenticity, copying, nearest
from vae_core.progress import Progress, no_progress, within
from vae_core.runs.schemas import Count, Number, Short, Stored


class Figures(Stored):
    """What is measured of so many pictures, of which so many are different from each other.

    fid is None where images are too few for its covariances; copying, authenticity and that of the
    held-out images are None where being near a training image is no fault, as of reconstructions.
    """

    pictures: Count
    distinct: Count
    fid: Estimate | None
    kid: Estimate
    kid_subsets: dict[Short, Number]
    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate
    copying: Estimate | None = None
    authenticity: Estimate | None = None
    authenticity_of_held_out: Number = None


@dataclass(frozen=True)
class Reference:
    """Features of the images that pictures are held against: held_out float64 [N, D], which nobody
    has learned from, and training float64 [T, D], which the generator has."""

    held_out: np.ndarray
    training: np.ndarray

    def __post_init__(self) -> None:
        require(self.held_out, "held-out images")

    @cached_property
    def nearest(self) -> Nearest:
        """The training images nearest to the held-out ones."""
        return nearest(self.held_out, self.training)

    @cached_property
    def authenticity(self) -> float | None:
        """Of the held-out images: what to expect of pictures that are no copies."""
        return authenticity(self.nearest, self.training).value


def compare(
    made: np.ndarray,
    distinct: int,
    reference: Reference,
    may_copy: bool = False,
    progress: Progress = no_progress,
) -> Figures:
    """Measure pictures by their features float64 [M, D]; `distinct` of them show something of
    their own. `may_copy`: whether being near a training image is no fault.

    Raises:
        UserError: when they are too few, or their features are no numbers.
    """
    require(made, "pictures")
    held_out, training = reference.held_out, reference.training
    found: dict[str, Any] = {
        "fid": frechet(held_out, made, within(progress, 0.0, 0.3)),
        "kid": kernel_distance(held_out, made, within(progress, 0.3, 0.5)),
        "kid_subsets": asdict(over_subsets(held_out, made, progress=within(progress, 0.5, 0.6))),
        **vars(manifold(held_out, made, within(progress, 0.6, 0.7))),
    }
    if not may_copy:
        progress = within(progress, 0.7, 1.0)
        near = nearest(made, training, progress)
        found["copying"] = copying(near, reference.nearest)
        found["authenticity"] = authenticity(near, training, progress)
        found["authenticity_of_held_out"] = reference.authenticity
    return Figures(pictures=len(made), distinct=distinct, **found)


def require(features: np.ndarray, what: str) -> None:
    """Refuse what cannot be measured.

    Raises:
        UserError: when there are too few, or one has features that are no numbers.
    """
    if len(features) < LEAST_IMAGES:
        raise UserError(
            f"There are {len(features)} {what}, and neighbourhoods need {LEAST_IMAGES}. Take more."
        )
    if lost := int((~np.isfinite(features).all(1)).sum()):
        raise UserError(f"{lost} of the {len(features)} {what} have features that are no numbers.")
