"""Where a latent vector lies among the encodings of its run, and how likely its model finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from latent_workbench.live.cache import RunCache
from latent_workbench.live.models import ready_torch
from latent_workbench.live.protocol import Location
from vae_core.errors import UserError
from vae_core.runs import Run, layout

if TYPE_CHECKING:
    from vae_core.latent.region import Region
    from vae_core.models.posterior import GaussianMixture

ENCODINGS = layout.ENCODINGS


def load_region(run: Run) -> Region:
    """The region that the run's cached encodings fill.

    Raises:
        UserError: when they are damaged, or the model diverged and they are not finite.
    """
    ready_torch()
    from vae_core.latent.encodings import load_encodings
    from vae_core.latent.region import Region

    encodings = load_encodings(run)
    if not np.isfinite(encodings.mu).all():
        raise UserError(f"The encodings of run {run.id!r} are not finite.")
    return Region(encodings.mu, encodings.logvar)


class RegionCache(RunCache["Region"]):
    """The regions used last, each keyed by its run and the version of its encodings."""

    def __init__(self, size: int = 4) -> None:
        super().__init__(load_region, ENCODINGS, size)


def locate(
    region: Region, density: GaussianMixture | None, z: np.ndarray, nearest: int
) -> Location:
    """Where z [D] lies in `region` and under the prior, and the `nearest` encodings beside it."""
    one = z.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # a vector may lie as far out as floats go
        return Location(region.place(one), log_density(density, one), *region.nearest(z, nearest))


def log_density(density: GaussianMixture | None, z: np.ndarray) -> float:
    """log p(z) of one z [D] in nats; NaN where there is no density."""
    if density is None:
        return float("nan")
    return float(density.log_prob(ready_torch().from_numpy(z)[None])[0])
