"""Which latent dimensions say nothing of the images."""

from __future__ import annotations

import numpy as np

LEAST_SHARE = 0.01
"""Of the variance of z that has to lie between images. Where the aggregated posterior has variance
1, as under N(0, I), this is Var(μ) > 0.01: Burda, Grosse and Salakhutdinov (2016), section 5.2."""

STILL = 1e-12
"""The share of the largest variance below which a code without a width counts as constant."""


def collapsed(mu: np.ndarray, logvar: np.ndarray | None) -> np.ndarray:
    """Dimensions whose mean hardly moves beside the width of the posteriors: bool [D].

    Free of scale: a latent of small numbers in a small posterior carries as much as a large one
    in a large one.

    Args:
        mu, logvar: of the posteriors of N images, [N, D]; logvar None for deterministic codes, of
            which those are collapsed that never vary.
    """
    between = mu.var(axis=0, dtype=np.float64)
    if logvar is None:
        still: np.ndarray = between <= STILL * between.max(initial=0.0)
        return still
    within = np.exp(logvar.astype(np.float64)).mean(axis=0)
    nothing: np.ndarray = between <= LEAST_SHARE * (between + within)
    return nothing
