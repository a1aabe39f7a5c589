"""Which images are learned from and which are kept aside: told by what an image shows.

An image is assigned by a hash of its pixels, so that neither its name nor the images beside it
decide: an added file moves no other into another part, and exact copies lie on one side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vae_core.choices import Choice
from vae_core.config import DataConfig
from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.hashes import hashed_part, occurrence
from vae_core.data.images import subset
from vae_core.errors import UserError
from vae_core.settings import is_open

SHARE = "data.validation_fraction"
LEAST_FRACTION = 0.05
"""Held out where the configuration names no share: something has to be there to measure on."""

WISHED_IMAGES, LARGEST_FRACTION = 50, 0.2
"""Held out where the share is left to the data: so many images, but no more of few than this."""

Rule = Callable[[ImageSet, float, bool], np.ndarray]


def held_out(
    hashes: np.ndarray, labels: np.ndarray | None, fraction: float, fixed: bool
) -> np.ndarray:
    """Which images are kept aside, class by class: a mask, bool [N].

    Of a set that stays as it is (`fixed`) the images with the lowest hashes, `fraction` of each
    class; of one that may grow all whose hash lies in the lowest `fraction` of what a hash can
    be. So an added image moves no other one, but for what follows: each class with two different
    images or more has one on either side, as far as pictures that lie in several classes allow.

    Args:
        hashes: uint64 [N], equal where images are copies; copies are never parted.
        labels: int64 [N], or None where there are no classes.
    """
    distinct, content = np.unique(hashes, return_inverse=True)
    classes = [np.sort(content)] if labels is None else _by_class(content, labels)
    share = np.searchsorted(distinct, np.uint64(min(int(fraction * 2**64), 2**64 - 1)))
    held = np.zeros(len(distinct), bool)
    for members in classes:  # contents in ascending order of their hashes, one for each image
        first_kept = members[min(round(fraction * len(members)), len(members) - 1)]
        held[members[members < (first_kept if fixed else share)]] = True
        held[members[0]] = True
    for members in classes:  # the last word: what cannot be learned need not be measured
        if held[members].all():
            held[members[-1]] = False
    if not held.any() and len(distinct) > 1:  # classes of one image each
        held[0] = True
    mask: np.ndarray = held[content]
    return mask


def _by_class(content: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    order = np.lexsort((content, labels))
    ends = np.flatnonzero(np.diff(labels[order])) + 1
    return np.split(content[order], ends)


def by_content(pool: ImageSet, fraction: float, fixed: bool) -> np.ndarray:
    """The images that `held_out` names: bool [N]."""
    return held_out(pool.known_hashes, pool.labels, fraction, fixed)


def by_order(pool: ImageSet, fraction: float, fixed: bool) -> np.ndarray:
    """The last images in the order of the files, as published recipes have it: bool [N]."""
    count = len(pool)
    return np.arange(count) >= count - min(max(1, round(count * fraction)), count - 1)


RULES: dict[str, Rule] = {"content": by_content, "last": by_order}
"""How validation images are chosen, by the name that `data.validation` has for it."""


def subsample(hashes: np.ndarray, labels: np.ndarray | None, limit: int | None) -> np.ndarray:
    """At most `limit` of N images: the lowest hashes of each class, in proportion to its size.

    Copies come after everything that differs. Every class has one where `limit` allows. An added
    image changes one of those taken, not all of them.

    Returns:
        int64 indices, ascending.
    """
    count = len(hashes)
    if limit is None or limit >= count:
        return np.arange(count)
    classes = np.zeros(count, np.int64) if labels is None else labels
    order = np.lexsort((hashes, occurrence(hashes), classes))
    _, start, sizes = np.unique(classes[order], return_index=True, return_counts=True)
    rank = (np.arange(count) - np.repeat(start, sizes)) / np.repeat(sizes, sizes)
    taken = order[np.lexsort((hashes[order], rank))[:limit]]
    return np.sort(taken)


def split_dataset(
    name: str,
    pool: ImageSet,
    test: ImageSet | None,
    config: DataConfig,
    *,
    validation: ImageSet | None = None,
    fixed: bool = False,
    label_names: tuple[str, ...] = (),
    factor_names: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Three parts that share no image, made of the training images `pool` as `config` asks.

    `test` and `validation` are the source's own parts, where it has some: they stay whole, and
    what is an exact copy of an image in them is not learned from. Where there is no such
    validation part, a share of `pool` becomes it, never the test part.

    Args:
        fixed: the source is the same everywhere and always, such as MNIST: exact shares are held
            out. Else files may be added, and none of them shall move another.

    Raises:
        UserError: when fewer than two different images are left to learn from and to measure on.
    """
    pool = hashed_part(pool)
    test, validation = (each and hashed_part(each) for each in (test, validation))
    if validation is not None and test is not None:
        validation, notes = _without(validation, (test,), notes, "Validation", "test")
    if not len(pool):
        raise _too_few(0)
    own_parts = [each for each in (validation, test) if each is not None]
    pool, notes = _without(pool, own_parts, notes, "Training", "held-out")
    distinct = len(np.unique(pool.known_hashes))
    if distinct < (1 if validation is not None else 2):
        raise _too_few(len(pool))
    if distinct < len(pool):
        copies = len(pool) - distinct
        notes += (f"{_copies(copies, 'another', 'others')}; copies lie on one side of the split.",)
    choices: tuple[Choice, ...] = ()
    if validation is None:
        fraction = config.validation_fraction
        if is_open(fraction):
            fraction = validation_share(len(pool))
            choices = (Choice(SHARE, fraction, _why_share(len(pool), fraction)),)
        if fraction == 0:
            fraction = LEAST_FRACTION
            notes += (
                "The validation share is 0, so 5 % of the training images are held out to "
                "measure on; test images are for the end.",
            )
        held = RULES[config.validation](pool, fraction, fixed)
        validation, pool = (subset(pool, np.flatnonzero(each)) for each in (held, ~held))
        pool, notes = _without(pool, (validation,), notes, "Training", "validation")
        if not len(pool):
            raise _too_few(len(validation))
    kept = subsample(pool.known_hashes, pool.labels, config.limit)
    left_out = np.delete(pool.known_hashes, kept)
    return Dataset(
        name,
        subset(pool, kept) if len(left_out) else pool,
        validation,
        test,
        label_names,
        factor_names,
        notes,
        fixed=fixed,
        left_out=left_out,
        resolved=config.model_copy(update={"validation_fraction": fraction}) if choices else None,
        choices=choices,
    )


def validation_share(images: int) -> float:
    """The share of so many training images to keep aside: some 50 of them where there are few."""
    share = min(LARGEST_FRACTION, WISHED_IMAGES / max(1, images))
    return round(max(LEAST_FRACTION, share), 3)


def _why_share(images: int, share: float) -> str:
    if share > LEAST_FRACTION:
        return (
            f"Of {images} images {share:.0%} are kept aside: some {WISHED_IMAGES} would be "
            f"enough to measure on, and {LARGEST_FRACTION:.0%} is the most that few can spare."
        )
    return f"{LEAST_FRACTION:.0%} of {images} images are enough to measure on."


def _without(
    image_set: ImageSet, others: Sequence[ImageSet], notes: tuple[str, ...], own: str, their: str
) -> tuple[ImageSet, tuple[str, ...]]:
    """`image_set` without what lies in `others` too, and a note that says how many that were."""
    copies = np.zeros(len(image_set), bool)
    for other in others:
        copies |= np.isin(image_set.known_hashes, other.known_hashes)
    if not copies.any():
        return image_set, notes
    count = int(copies.sum())
    note = f"{own}: {_copies(count, f'a {their} image', f'{their} images')} and left out."
    return subset(image_set, np.flatnonzero(~copies)), (*notes, note)


def _copies(count: int, of_one: str, of_many: str) -> str:
    if count == 1:
        return f"1 image is an exact copy of {of_one}"
    return f"{count} images are exact copies of {of_many}"


def _too_few(count: int) -> UserError:
    what = {0: "There are no images", 1: "There is only one image"}.get(
        count, f"All {count} images are copies of one"
    )
    return UserError(
        f"{what}; at least 2 different ones are needed, one to learn from and one to measure on. "
        "Add images."
    )
