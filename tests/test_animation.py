"""Frames to files that move, read back by pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from vae_core.imaging.animation import LONGEST_SIDE, MOST_PIXELS, animation, largest_scale


def frames(n: int, channels: int, side: int) -> np.ndarray:
    """Smooth pictures that differ from one to the next, uint8 [n, C, side, side]."""
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(3 * x + i / 3 + c) * np.cos(4 * y) for i in range(n) for c in range(channels)]
    return (128 + 120 * np.array(waves)).astype(np.uint8).reshape(n, channels, side, side)


def read(data: bytes, channels: int) -> np.ndarray:
    mode = "L" if channels == 1 else "RGB"
    with Image.open(io.BytesIO(data)) as image:
        pictures = [np.asarray(each.convert(mode)) for each in ImageSequence.Iterator(image)]
    return np.stack(pictures).reshape(len(pictures), *pictures[0].shape[:2], channels)


@pytest.mark.parametrize("kind", ["gif", "webp"])
@pytest.mark.parametrize("channels, error", [(1, 0), (3, 6)])
def test_every_frame_comes_back_enlarged_crisply(kind, channels, error):
    shown = frames(12, channels, 16)
    data = animation(shown, kind, frame_ms=60, scale=3)
    back = read(data, channels)
    expected = shown.transpose(0, 2, 3, 1).repeat(3, axis=1).repeat(3, axis=2)
    assert back.shape == expected.shape
    # A GIF has 256 colours; a WebP here has all of them.
    difference = np.abs(back.astype(int) - expected)
    assert difference.mean() <= (error if kind == "gif" else 0)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.format == kind.upper() and image.info["loop"] == 0
        assert image.info["duration"] == 60


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_smooth_frames_have_no_steps(kind):
    shown = frames(3, 1, 8)
    crisp, smooth = (
        read(animation(shown, kind, scale=8, smooth=smooth), 1).astype(int)
        for smooth in (False, True)
    )
    steps = [np.abs(np.diff(pictures, axis=2)).max() for pictures in (crisp, smooth)]
    assert steps[1] < steps[0] / 2


def test_one_palette_for_all_frames_does_not_flicker():
    still = np.repeat(frames(1, 3, 16), 5, axis=0)
    still[:, 0, 0, 0] = np.arange(5)  # pillow would merge frames that are the same
    back = read(animation(still, "gif"), 3).astype(int)
    assert np.abs(back[1:, 1:] - back[:-1, 1:]).max() == 0


def test_enlargement_is_bounded_by_side_and_by_all_pixels():
    assert largest_scale((2, 1, 28, 28)) == LONGEST_SIDE // 28
    assert largest_scale((240, 3, 64, 64)) ** 2 * 240 * 64 * 64 <= MOST_PIXELS
    assert largest_scale((240, 3, 512, 512)) == 1
    assert read(animation(frames(2, 1, 300), "gif", scale=1000), 1).shape[1] == 900
