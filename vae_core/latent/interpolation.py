"""Paths from one point of the latent space to another."""

from __future__ import annotations

import numpy as np

PARALLEL = 1e-6
"""Sine of the angle below which the great circle through two points is not defined by them."""


def lerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points on the straight line from a [D] to b [D] at the shares t [T] of the way: [T, D]."""
    return (1 - t)[:, None] * a + t[:, None] * b


def slerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points on the arc from a [D] to b [D] at the shares t [T] of its angle: [T, D].

    The length goes from |a| to |b| in a straight line. Samples of N(0, I) in many dimensions lie
    near a sphere, which straight lines leave. Where the two point the same or opposite ways, or
    one is zero, there is no such arc and the path is the straight line.

    Source: Shoemake, Animating Rotation with Quaternion Curves (1985), section 3.3; White,
    Sampling Generative Networks (2016), section 2.1, for its use in latent spaces.
    """
    lengths = np.array([np.linalg.norm(a), np.linalg.norm(b)])
    if min(lengths) == 0:
        return lerp(a, b, t)
    from_a, from_b = a / lengths[0], b / lengths[1]
    angle = np.arccos(np.clip(from_a @ from_b, -1.0, 1.0))
    if np.sin(angle) < PARALLEL:
        return lerp(a, b, t)
    turned = np.sin((1 - t) * angle)[:, None] * from_a + np.sin(t * angle)[:, None] * from_b
    return lerp(lengths[:1], lengths[1:], t) * (turned / np.sin(angle))


PATHS = {"linear": lerp, "spherical": slerp}


def interpolate(a: np.ndarray, b: np.ndarray, steps: int, path: str = "linear") -> np.ndarray:
    """`steps` points evenly spread from a [D] to b [D], both included, along one of PATHS: float32
    [steps, D]."""
    return PATHS[path](a, b, np.linspace(0.0, 1.0, steps)).astype(np.float32)
