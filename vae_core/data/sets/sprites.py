"""Sprites with known factors, drawn on the fly: the grid of dSprites, without its file.

Matthey et al. 2017, dSprites: 3 shapes × 6 scales × 40 orientations × 32 × 32 positions, 737 280
images. Here the orientations are 40 different ones: the original counts 0 and 2π both.
"""

from __future__ import annotations

from functools import cache
from math import ceil

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from vae_core.config import DataConfig
from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.grid import factors_at, limited
from vae_core.data.hashes import hash_rows, mixed
from vae_core.data.source import datasets
from vae_core.data.splits import split_dataset
from vae_core.errors import UserError
from vae_core.imaging.resize import with_channels
from vae_core.progress import Progress

SHAPES = ("square", "ellipse", "heart")
FACTORS = ("shape", "scale", "orientation", "x", "y")
GRID = (len(SHAPES), 6, 40, 32, 32)
COUNT = int(np.prod(GRID))
SIZES = (32, 64, 128)
"""Sides at which the 32 positions fall on few fractions of a pixel, so that stamps can be kept."""

_RADIUS = 15.5 / 64
"""Of the largest sprite, as a share of the side; the positions keep it inside the picture."""
_FIRST, _STEP = 16.5 / 64, 1 / 64
_SAMPLES = 5
"""Points a pixel and axis at which the edge is probed: 26 grey levels."""


def _square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(abs(u), abs(v)) <= 0.5**0.5


def _ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u * u + v * v / 0.55**2 <= 1


def _heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    # (a² + b² − 1)³ ≤ a² b³, moved so that it turns about its centre of mass.
    a, b = 1.3 * u, 0.294 - 1.3 * v
    aa, bb = a * a, b * b
    q = aa + bb - 1
    return q * q * q <= aa * bb * b


_INSIDE = (_square, _ellipse, _heart)
"""Each tells which points lie inside the shape, all within the unit circle; v points down."""


def _positions(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the 32 places along an axis: whole pixels [32], and what is left of a pixel [32]."""
    centres = (_FIRST + _STEP * np.arange(GRID[3])) * size
    whole = np.floor(centres)
    return whole.astype(np.int64), centres - whole


@cache
def _stamps(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Every sprite cut out, centred in a patch, for every fraction of a pixel that occurs.

    Returns:
        (stamps uint8 [3, 6, 40, fractions (x), fractions (y), P, P], which fraction each of the
        32 places has, int64 [32]).
    """
    fractions, which = np.unique(_positions(size)[1], return_inverse=True)
    half = ceil(_RADIUS * size)
    side = 2 * half + 1
    points = (np.arange(side * _SAMPLES) + 0.5) / _SAMPLES - half
    stamps = np.empty((*GRID[:3], len(fractions), len(fractions), side, side), np.uint8)
    for index in np.ndindex(*GRID[1:3], len(fractions), len(fractions)):
        scale, orientation, fx, fy = index
        radius = _RADIUS * size * (0.5 + 0.1 * scale)
        x = ((points - fractions[fx]) / radius)[None, :].astype(np.float32)
        y = ((points - fractions[fy]) / radius)[:, None].astype(np.float32)
        angle = 2 * np.pi * orientation / GRID[2]
        u = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
        v = np.float32(np.cos(angle)) * y - np.float32(np.sin(angle)) * x
        for shape, inside in enumerate(_INSIDE):
            probed = inside(u, v).reshape(side, _SAMPLES, side, _SAMPLES)
            covered = probed.sum(axis=(1, 3), dtype=np.float32) / _SAMPLES**2
            stamps[(shape, *index)] = np.rint(255 * covered)
    return stamps, which


class SpriteImages:
    """All 737 280 sprites, white on black; an image is drawn when it is asked for.

    Args:
        size: side in pixels, one of `SIZES`.
        channels: 1, or 3 for the same in three channels.
    """

    def __init__(self, size: int = 64, channels: int = 1) -> None:
        self.shape = (COUNT, channels, size, size)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The sprites at `indices` [B], in that order: uint8 [B, C, H, W]."""
        _, channels, size, _ = self.shape
        stamps, which = _stamps(size)
        half = stamps.shape[-1] // 2
        whole = _positions(size)[0] - half
        shape, scale, orientation, x, y = np.unravel_index(indices, GRID)
        out = np.zeros((len(shape), size, size), np.uint8)
        windows = sliding_window_view(out, stamps.shape[-2:], axis=(1, 2), writeable=True)
        drawn = stamps[shape, scale, orientation, which[x], which[y]]
        windows[np.arange(len(out)), whole[y], whole[x]] = drawn
        return with_channels(out[:, None], channels)

    def hashes(self) -> np.ndarray:
        """uint64 [737 280], equal where the pixels are: of the stamp and where it lies.

        A square comes back after a quarter of a turn and an ellipse after a half, so some are
        copies; two places differ by half a pixel and more, so those never are.
        """
        stamps, which = _stamps(self.shape[2])
        of_stamps = hash_rows(stamps.reshape(-1, *stamps.shape[-2:])).reshape(stamps.shape[:-2])
        drawn = of_stamps[:, :, :, which][..., which]  # [3, 6, 40, 32 (x), 32 (y)]
        channels = np.full(COUNT, self.shape[1])
        return mixed((drawn.ravel(), np.arange(COUNT) % (GRID[3] * GRID[4]), channels))


def factors_of(indices: np.ndarray) -> np.ndarray:
    """The factors (shape, scale, orientation, x, y) of sprites [N]: int64 [N, 5]."""
    return factors_at(indices, GRID)


@datasets.register(
    "sprites",
    label="Sprites",
    blurb="Squares, ellipses and hearts with known size, angle and place. Built in; shows whether "
    "a model finds the factors by itself.",
    origin="built in",
    image_shape=(1, 64, 64),
    order=40,
    paper="Matthey et al. 2017, dSprites: disentanglement testing sprites dataset",
)
def load_sprites(config: DataConfig, progress: Progress) -> Dataset:
    """The whole grid, or `limit` training sprites drawn evenly from it.

    Raises:
        UserError: for a size at which sprites are not drawn.
    """
    channels, size, width = datasets["sprites"].shape_for(config)
    if size not in SIZES or width != size:
        raise UserError(
            f"Sprites are drawn at {', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]} px, not at "
            f"{width}×{size} px; set data.image_size to one of these."
        )
    progress("Cutting out the sprites", None)
    _stamps(size)
    sprites = SpriteImages(size, channels)
    factors = factors_of(np.arange(COUNT))
    pool = ImageSet(sprites, factors[:, 0].copy(), factors, hashes=sprites.hashes())
    pool = limited(pool, config, len(SHAPES))
    return split_dataset(
        "sprites", pool, None, config, fixed=True, label_names=SHAPES, factor_names=FACTORS
    )
