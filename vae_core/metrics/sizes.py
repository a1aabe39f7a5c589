"""Nats of an image told so that other sizes of images, and other people's papers, compare."""

from __future__ import annotations

import math

GREY_LEVELS = 256
"""Of 8-bit images: a density over [0, 1] counts volumes, a paper counts levels."""


def nats_per_value(nats: float, values: float) -> float:
    """−ELBO of an image of `values` = C·H·W numbers, for each of them."""
    return nats / values


def bits_per_dim(nats: float, values: float, *, is_density: bool) -> float:
    """−ELBO of an image in bits for each of its `values` = C·H·W numbers.

    Args:
        is_density: of pixels on the [0, 1] scale. A level of an 8-bit image is 1/256 of it wide,
            so that its probability is the density over 256: 8 bits more. A discrete probability
            (Bernoulli) is taken as it is.

    Source: Theis, van den Oord and Bethge, A note on the evaluation of generative models (2016),
    section 3.1.
    """
    return nats_per_value(nats, values) / math.log(2) + is_density * math.log2(GREY_LEVELS)
