"""Colours by lightness, chroma and hue, and the curve by which a screen shows light."""

from __future__ import annotations

import numpy as np

_TO_CONE_ROOTS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_TO_LIGHT = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
_HALVINGS = 24
"""Of the interval in which the largest chroma lies: to a ten-millionth of it."""


def linear_rgb(lightness: float, chroma: float, hues: np.ndarray) -> np.ndarray:
    """Colours of Oklch as shares of red, green and blue light: hues in degrees [N] → [N, 3].

    Where a hue has no colour so strong in sRGB it gets its strongest of that lightness.

    Source: Ottosson, A perceptual color space for image processing (2020).
    """
    angle = np.deg2rad(np.asarray(hues, np.float64))

    def light(chromas: np.ndarray) -> np.ndarray:
        lab = np.stack(
            [np.full_like(angle, lightness), *(chromas * (np.cos(angle), np.sin(angle)))]
        )
        return ((_TO_CONE_ROOTS @ lab) ** 3).T @ _TO_LIGHT.T

    def shown(chromas: np.ndarray) -> np.ndarray:
        rgb = light(chromas)
        return np.asarray(((rgb >= 0) & (rgb <= 1)).all(1))

    low, high = np.zeros_like(angle), np.full_like(angle, chroma)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        inside = shown(middle)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return light(np.where(shown(np.full_like(angle, chroma)), chroma, low))


def srgb(light: np.ndarray) -> np.ndarray:
    """Shares of light in [0, 1] as the values that a picture holds, in [0, 1]: IEC 61966-2-1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
