"""A picture or a drawing that is no part of a data set, brought to what a model was trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from vae_core.config import Binarisation, DataConfig
from vae_core.data.binarised import black_and_white
from vae_core.data.hashes import hash_rows
from vae_core.data.shaping import target_of
from vae_core.errors import UserError
from vae_core.imaging.decode import decode
from vae_core.imaging.fit import Target
from vae_core.imaging.kinds import NotAnImage

LEAST_BOX = 0.25
"""Share of the side: ink that is smaller in the data set is drawn as large as this."""


MEASURED = 500
"""Images that the ink is measured on: 0.1 s. MNIST's centres, which spread by 0.3 px, are then
known to 0.02 px."""


def read_picture(file: BinaryIO, config: DataConfig, shape: tuple[int, int, int]) -> np.ndarray:
    """Read a picture file as the images of a run were: uint8 of `shape` (C, H, W).

    Args:
        config: of the run, whose window, way to resize and binarisation it shares.

    Raises:
        UserError: when the file is no picture, is damaged, is too large, or has other channels.
    """
    picture = _read(file, target_of(config, shape))
    return black_and_white(picture[None], hash_rows(picture[None]), config.binarise)[0]


def read_drawing(file: BinaryIO, size: int = 512) -> np.ndarray:
    """Read a drawing, bright on black: uint8 [size, size].

    Raises:
        UserError: as `read_picture`.
    """
    return _read(file, Target(size, size, "fit", 1))[0]


def _read(file: BinaryIO, target: Target) -> np.ndarray:
    try:
        return decode(file, target)
    except (NotAnImage, MemoryError) as error:
        most = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise UserError(
            f"This file cannot be read as a picture: {error or 'too large'}. "
            f"Use a picture such as PNG, JPEG, WebP, AVIF or TIFF of at most {most} million pixels."
        ) from None


@dataclass(frozen=True)
class Ink:
    """Where the ink of images lies, measured on many of them.

    ground, colour: [C] in 0..255, of the paper and of the strokes.
    box: mean longer side of the ink's bounding box, as a share of the image's longer side.
    center: mean (y, x) of the ink, as shares of height and width.
    by_mass: whether the images are centred by the ink's centre of mass, or by its box.
    paper: share of the images whose whole edge is ground; about 1 where images are drawings.
    """

    ground: np.ndarray
    colour: np.ndarray
    box: float
    center: tuple[float, float]
    by_mass: bool
    paper: float


def measure_ink(images: np.ndarray) -> Ink:
    """Find out how the ink of images of one kind lies: uint8 [N, C, H, W], such as thumbnails.

    At most `MEASURED` of them are looked at, evenly spread.

    Of the two ways to centre (mass and box), it is the one that leaves the center in place from
    image to image. MNIST comes out as it was made: a box of 20 px of 28, centred by mass.

    Raises:
        UserError: when no image shows anything.
    """
    images = images[:: -(-len(images) // MEASURED)]
    height, width = images.shape[2:]
    edges = (images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1])
    edge = np.concatenate(edges, axis=-1)  # [N, C, 2·(H+W)]
    ground = np.median(edge, axis=(0, 2))
    off = np.abs(images - ground[None, :, None, None]).max(axis=1).astype(np.float32)
    strongest = off.max(axis=(1, 2))
    shown = strongest > 0.1 * strongest.max()
    if not strongest.max():
        raise UserError("The images of this run show no ink to draw like.")
    off = off[shown] / strongest[shown, None, None]
    boxes = np.stack([_box(one) for one in off])
    masses = np.stack([_mass(one) for one in off])
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    by_mass = bool(masses.std(axis=0).sum() <= middles.std(axis=0).sum())
    y, x = (masses if by_mass else middles).mean(axis=0)
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1).mean()
    colour = np.median(images[shown].transpose(0, 2, 3, 1)[off > 0.9], axis=0)
    plain = (np.abs(edge - ground[None, :, None]).max(axis=(1, 2)) < 0.1 * strongest.max()).mean()
    share = float(longer / max(height, width))
    center = (float(y / height), float(x / width))
    return Ink(ground, colour, share, center, by_mass, float(plain))


def fit_drawing(
    strokes: np.ndarray, ink: Ink, shape: tuple[int, int, int], binarise: Binarisation = "none"
) -> np.ndarray:
    """A drawing, uint8 [h, w], bright on black, as an image like those `ink` was measured on.

    Resampled once, antialiased, to fractions of a pixel: uint8 of `shape` (C, H, W).

    Raises:
        UserError: when the drawing is empty.
    """
    if strokes.max(initial=0) < 32:
        raise UserError("The drawing is empty; draw something first.")
    weight = strokes.astype(np.float32) / strokes.max()
    top, left, bottom, right = _box(weight)
    y, x = _mass(weight) if ink.by_mass else ((top + bottom) / 2, (left + right) / 2)
    _, height, width = shape
    box = max(ink.box, LEAST_BOX) * max(height, width)
    scale = max(bottom - top, right - left) / box  # pixels of the drawing in one of the image
    pad = math.ceil(scale * max(height, width)) + 1  # so that the window lies inside
    upper = y + pad - ink.center[0] * height * scale
    before = x + pad - ink.center[1] * width * scale
    window = (before, upper, before + width * scale, upper + height * scale)
    padded = Image.fromarray(np.pad(strokes, pad))
    small = padded.resize((width, height), Image.Resampling.BICUBIC, window)
    alpha = np.asarray(small, np.float32)
    alpha = alpha / max(1.0, alpha.max())  # a thin line is as bright as a thick one
    mixed = ink.ground[:, None, None] + alpha * (ink.colour - ink.ground)[:, None, None]
    image = np.rint(mixed).astype(np.uint8)[None]
    return black_and_white(image, hash_rows(image), binarise)[0]


def _box(weight: np.ndarray) -> np.ndarray:
    """(top, left, bottom, right) of what is above half in [H, W]: half is where a blurred edge
    was before it was blurred."""
    rows, columns = (np.flatnonzero((weight > 0.5).any(axis=axis)) for axis in (1, 0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], np.float64)


def _mass(weight: np.ndarray) -> np.ndarray:
    """(y, x) of the centre of mass of [H, W]; the first pixel reaches from 0 to 1."""
    total, height, width = weight.sum(), *weight.shape
    y = weight.sum(axis=1) @ (np.arange(height) + 0.5) / total
    x = weight.sum(axis=0) @ (np.arange(width) + 0.5) / total
    return np.array([y, x])
