"""Images shown otherwise than they lie there: mirrored, or shifted a little."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SHIFT = 1 / 16
"""Of a side: how far an image is shifted at most."""


def mirrored(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Images [B, C, H, W], each with a chance of one half with left and right exchanged."""
    which = random.random(len(images)) < 0.5
    return np.where(which[:, None, None, None], images[..., ::-1], images)


def shifted(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Images [B, C, H, W], each moved by whole pixels, evenly up to `SHIFT` of its sides either
    way; what comes in continues the pixels of its edge."""
    n, _, *sides = images.shape
    places = []
    for side in sides:
        most = max(1, round(side * SHIFT))
        by = random.integers(-most, most + 1, n)
        places.append(np.clip(np.arange(side) - by[:, None], 0, side - 1))
    rows, columns = places
    batch = np.arange(n)[:, None, None]
    # Advanced indices apart from each other put the channels last.
    moved = images.transpose(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]]
    return np.ascontiguousarray(moved.transpose(0, 3, 1, 2))


AUGMENTATIONS: dict[str, tuple[Callable[[np.ndarray, np.random.Generator], np.ndarray], ...]] = {
    "none": (),
    "flip": (mirrored,),
    "shift": (shifted,),
    "flip+shift": (mirrored, shifted),
}
"""What is done to a batch, one after the other, by the name that `train.augmentation` has."""


def augment(images: np.ndarray, name: str, seed: int, step: int) -> np.ndarray:
    """A batch uint8 [B, C, H, W] as step number `step` of a run with this seed is shown it.

    It depends on nothing else, so that a run that is resumed goes on as if it had not stopped.
    """
    changes = AUGMENTATIONS[name]
    if changes:
        random = np.random.default_rng((seed, step))
        for change in changes:
            images = change(images, random)
    return images
