"""The interval of a share that was counted."""

from __future__ import annotations

import math
from statistics import NormalDist

LEVEL = 0.95
"""How often an interval holds what it is of."""

DEVIATIONS = NormalDist().inv_cdf(0.5 + LEVEL / 2)
"""Standard deviations on either side of a normal's mean that hold so much of it."""


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Ends of the interval, at `LEVEL`, of a share of which `hits` of n were seen; the share itself
    lies in it.

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927).
    """
    share, squared = hits / n, DEVIATIONS**2
    centre = (share + squared / (2 * n)) / (1 + squared / n)
    half = math.sqrt(share * (1 - share) / n + squared / (4 * n**2)) / (1 + squared / n)
    half *= DEVIATIONS
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))
