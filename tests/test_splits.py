"""Which images are learned from: a partition by content that added files and copies leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_core.config import DataConfig
from vae_core.data import ArrayImages, Dataset, ImageSet, StoredImages
from vae_core.data.hashes import content_hashes, hash_rows, hashed, mixed, occurrence
from vae_core.data.images import SubsetImages
from vae_core.data.sets.sprites import COUNT, SIZES, SpriteImages
from vae_core.data.splits import held_out, split_dataset, subsample
from vae_core.errors import UserError

SPREAD = np.uint64(0x9E3779B97F4A7C15)

contents = st.lists(st.integers(1, 2**64 - 1), min_size=2, max_size=80, unique=True).map(
    lambda values: np.array(values, np.uint64)
)
fractions = st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.9])


def labels_for(count: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.integers(0, 4), min_size=count, max_size=count).map(np.array)


@given(contents, fractions, st.booleans(), st.data())
def test_every_class_of_two_is_on_both_sides(
    hashes: np.ndarray, fraction: float, fixed: bool, data: st.DataObject
) -> None:
    labels = data.draw(labels_for(len(hashes)))
    held = held_out(hashes, labels, fraction, fixed)
    assert held.any() and not held.all()
    for label in np.unique(labels):
        mine = held[labels == label]
        if len(mine) > 1:
            assert mine.any() and not mine.all()
        elif len(np.unique(labels)) < len(labels):
            assert not mine.any(), "a single image is learned from"
        if fixed:
            count = len(mine)
            assert len(mine) == 1 or mine.sum() == min(max(1, round(fraction * count)), count - 1)


@given(contents, fractions, st.booleans(), st.data())
def test_copies_lie_on_one_side_whatever_their_labels(
    hashes: np.ndarray, fraction: float, fixed: bool, data: st.DataObject
) -> None:
    twice = np.concatenate([hashes, hashes])
    labels = data.draw(labels_for(len(twice)))
    held = held_out(twice, labels, fraction, fixed)
    assert (held[: len(hashes)] == held[len(hashes) :]).all()


@given(contents, fractions, st.integers(1, 2**64 - 1), st.data())
def test_an_added_image_makes_no_older_one_a_validation_image(
    hashes: np.ndarray, fraction: float, new: int, data: st.DataObject
) -> None:
    if new in hashes:
        return
    labels = data.draw(labels_for(len(hashes)))
    label = data.draw(st.integers(0, 4))
    before = held_out(hashes, labels, fraction, fixed=False)
    after = held_out(
        np.append(hashes, np.uint64(new)), np.append(labels, label), fraction, fixed=False
    )[:-1]
    if len(np.unique(labels)) < len(labels):  # else one of them had to be held out
        assert (before == after)[labels != label].all()
    mine = labels == label
    below = (hashes < np.uint64(int(fraction * 2**64)))[mine]
    if mine.sum() > 1 and not below.all():  # else one was kept to learn from all the same
        assert not (after & ~before)[mine].any()
    if below.any() and not below.all():
        assert (before == after)[mine].all()


@given(contents, st.data())
def test_order_and_names_of_labels_do_not_matter(hashes: np.ndarray, data: st.DataObject) -> None:
    labels = data.draw(labels_for(len(hashes)))
    held = held_out(hashes, labels, 0.2, fixed=False)
    order = data.draw(st.permutations(range(len(hashes))))
    again = held_out(hashes[order], 10 - labels[order], 0.2, fixed=False)
    assert (again == held[order]).all()


@given(contents, st.integers(2, 60), st.data())
def test_thinning_is_by_content_and_shared_among_the_classes(
    hashes: np.ndarray, limit: int, data: st.DataObject
) -> None:
    labels = data.draw(labels_for(len(hashes)))
    kept = subsample(hashes, labels, limit)
    assert len(kept) == min(limit, len(hashes)) and (np.diff(kept) > 0).all()
    counts, given = (np.bincount(x, minlength=5) for x in (labels, labels[kept]))
    assert (np.abs(given - counts * len(kept) / len(hashes)) <= 5).all()
    if limit >= 5:
        assert (given[counts > 0] > 0).all()
    shorter = np.delete(np.arange(len(hashes)), kept[0])
    again = subsample(hashes[shorter], labels[shorter], limit)
    lost = set(hashes[kept]) - set(hashes[shorter][again])
    assert len(lost) <= 6, "one image less changes few of those taken"


def test_thinning_takes_what_differs_before_copies() -> None:
    hashes = np.repeat(np.arange(1, 11, dtype=np.uint64) * SPREAD, 3)
    assert len(np.unique(hashes[subsample(hashes, None, 10)])) == 10


# --- hashes ----------------------------------------------------------------------------------


def test_hashes_are_of_the_pixels_and_of_the_shape(tmp_path: object) -> None:
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (2500, 1, 4, 6), np.uint8)
    array[7] = array[2400]
    hashes = content_hashes(ArrayImages(array))
    assert hashes.dtype == np.uint64 and hashes[7] == hashes[2400]
    assert len(np.unique(hashes)) == 2499
    assert hashes[0] != hash_rows(array.reshape(2500, 1, 6, 4))[0]
    assert abs((hashes < np.uint64(2**63)).mean() - 0.5) < 0.05
    assert (content_hashes(ArrayImages(array)) == hashes).all()


def test_hashes_of_stored_images_are_kept_beside_them(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "images.npy"
    array = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8), np.uint8)
    np.save(path, array)
    expected = content_hashes(ArrayImages(array))
    assert (content_hashes(StoredImages(path)) == expected).all()
    kept = path.with_suffix(".hashes.npy")
    assert (np.load(kept) == expected).all()
    np.save(kept, expected[::-1])
    assert (content_hashes(StoredImages(path)) == expected[::-1]).all(), "read, not made again"
    few = SubsetImages(StoredImages(path), np.array([3, 1]))
    assert (content_hashes(few) == expected[::-1][[3, 1]]).all(), "the whole knows them"
    kept.write_bytes(b"cut")
    assert (content_hashes(StoredImages(path)) == expected).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_hashes_of_sprites_tell_the_same_copies_as_their_pixels(size: int, channels: int) -> None:
    sprites = SpriteImages(size, channels)
    rng = np.random.default_rng(0)
    # All orientations at a few places, so that there are copies among them.
    few = np.ravel_multi_index(
        np.meshgrid(range(3), [0, 5], range(40), rng.integers(0, 32, 3), [4, 5], indexing="ij"),
        (3, 6, 40, 32, 32),
    ).ravel()
    known = sprites.hashes()
    assert known.shape == (COUNT,)
    quick, slow = known[few], hash_rows(sprites.gather(few))
    pairs = np.unique(np.stack([quick, slow], axis=1), axis=0)
    assert len(pairs) == len(np.unique(quick)) == len(np.unique(slow)) < len(few)


def test_occurrences_and_mixed_columns() -> None:
    assert occurrence(np.array([5, 3, 5, 5, 3])).tolist() == [0, 0, 1, 2, 1]
    a, b = np.arange(100).repeat(100), np.tile(np.arange(100), 100)
    assert len(np.unique(mixed((a, b)))) == 10_000
    assert mixed((a, b))[1] != mixed((b, a))[1]


# --- parts -----------------------------------------------------------------------------------


def images(*values: int, labels: list[int] | None = None) -> ImageSet:
    array = np.array(values, np.uint8)[:, None, None, None].repeat(64, axis=3)
    return ImageSet(ArrayImages(array), None if labels is None else np.array(labels))


def shown(part: ImageSet | None) -> list[int]:
    assert part is not None
    return [int(v) for v in part.images.gather(np.arange(len(part)))[:, 0, 0, 0]]


def parts(
    pool: ImageSet, test: ImageSet | None = None, own: ImageSet | None = None, **config: object
) -> Dataset:
    return split_dataset("x", pool, test, DataConfig.model_validate(config), validation=own)


def test_a_part_that_the_source_brings_stays_whole_and_is_not_learned_from() -> None:
    found = parts(images(*range(20)), test=images(90, 3, 91), own=images(5, 80, 90))
    assert shown(found.test) == [90, 3, 91]
    assert shown(found.validation) == [5, 80]
    assert shown(found.train) == [i for i in range(20) if i not in (3, 5)]
    assert found.notes == (
        "Validation: 1 image is an exact copy of a test image and left out.",
        "Training: 2 images are exact copies of held-out images and left out.",
    )


def test_validation_is_never_the_test_part() -> None:
    found = parts(images(*range(100)), test=images(200, 201), validation_fraction=0)
    assert set(shown(found.validation)) <= set(range(100)) and len(found.validation) >= 1
    assert "5 % of the training images are held out" in found.notes[-1]


def test_the_last_files_are_held_out_where_that_is_asked_for() -> None:
    found = parts(images(*range(60), 55), validation="last", validation_fraction=1 / 6)
    assert shown(found.validation) == [*range(51, 60), 55]
    assert shown(found.train) == list(range(51))
    again = parts(images(3, *range(20)), validation="last", validation_fraction=18 / 21)
    assert shown(again.train) == [0, 1], "copies of what is held out are not learned from"
    assert "1 image is an exact copy of a validation image" in again.notes[-1]


def test_too_few_different_images() -> None:
    for pool, message in (
        (images(), "There are no images"),
        (images(1), "There is only one image"),
        (images(4, 4, 4), "All 3 images are copies of one"),
    ):
        with pytest.raises(UserError, match=message):
            parts(pool)
    with pytest.raises(UserError, match="There are no images"):
        parts(images(1, 2), test=images(1, 2))


def test_a_limit_is_kept_and_what_it_leaves_out_is_known() -> None:
    found = parts(images(*range(100), labels=[i % 4 for i in range(100)]), limit=12)
    assert len(found.train) == 12
    assert found.train.labels is not None and np.bincount(found.train.labels).tolist() == [3] * 4
    assert len(found.left_out) == 100 - 12 - len(found.validation)
    assert hashed(found.train.images).tolist() == np.asarray(found.train.hashes).tolist()
