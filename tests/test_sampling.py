"""Which images an epoch draws: every one, or every label equally often."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.engine import built_in, make_loop, tiny
from vae_core.config import TrainConfig
from vae_core.data import ArrayImages, Dataset, ImageSet, label_counts
from vae_core.data.batches import epoch_batches
from vae_core.data.images import subset
from vae_core.data.samples import skew_of
from vae_core.errors import UserError
from vae_core.training.events import Checkpoint
from vae_core.units import grouped


def of_labels(labels: list[int]) -> ImageSet:
    pixels = np.zeros((len(labels), 1, 2, 2), np.uint8)
    return ImageSet(ArrayImages(pixels), np.array(labels, np.int64))


def balanced(size: int = 8, seed: int = 0) -> TrainConfig:
    return TrainConfig(sampling="balanced", batch_size=size, seed=seed)


def test_shuffled_is_the_order_that_it_always_was() -> None:
    part = of_labels([0] * 20)
    order = np.concatenate(epoch_batches(part, TrainConfig(seed=3, batch_size=6), 5))
    assert (order == np.random.default_rng((3, 5)).permutation(20)).all()


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=60), st.integers(0, 5))
def test_every_label_is_drawn_as_often_and_every_image_of_it_too(
    labels: list[int], epoch: int
) -> None:
    part, n = of_labels(labels), len(labels)
    batches = epoch_batches(part, balanced(), epoch)
    order = np.concatenate(batches)
    assert len(order) == n and [len(each) for each in batches[:-1]] == [8] * (len(batches) - 1)
    assert part.labels is not None
    classes, drawn = np.unique(part.labels[order], return_counts=True)
    assert set(classes) == set(labels) and drawn.max() - drawn.min() <= 1
    times = np.bincount(order, minlength=n)
    for label in set(labels):
        own = times[part.labels == label]
        assert own.max() - own.min() <= 1
    again = np.concatenate(epoch_batches(part, balanced(), epoch))
    assert (order == again).all()


def test_what_frequent_labels_leave_out_is_another_share_in_each_epoch() -> None:
    part = of_labels([0] * 90 + [1] * 10)
    seen = [set(np.concatenate(epoch_batches(part, balanced(), e)).tolist()) for e in range(12)]
    assert all(len(each) == 60 for each in seen) and len(set.union(*seen)) == 100


def skewed() -> Dataset:
    """Digits of which one is rare."""
    dataset = built_in(tiny().data)
    labels = dataset.train.labels
    assert labels is not None
    rare = np.flatnonzero(labels == 3)[4:]
    return replace(dataset, train=subset(dataset.train, np.delete(np.arange(len(labels)), rare)))


def test_a_resumed_run_draws_what_an_uninterrupted_one_does() -> None:
    config, dataset = tiny(train={"sampling": "balanced", "checkpoint_every": 3}), skewed()

    def last(loop) -> dict[str, torch.Tensor]:
        saved = [event for event in loop.run() if isinstance(event, Checkpoint)]
        return saved[-1].state["modules"]["model"]

    whole = make_loop(config, dataset=dataset)
    saves = [deepcopy(event.state) for event in whole.run() if isinstance(event, Checkpoint)]
    ours = whole.model.state_dict()
    theirs = last(make_loop(config, saves[0], dataset))
    assert all(torch.equal(ours[name].cpu(), theirs[name]) for name in ours)
    shuffled = last(make_loop(tiny(), dataset=dataset))
    assert not all(torch.equal(ours[name].cpu(), shuffled[name]) for name in ours)


def test_without_labels_there_is_nothing_to_balance() -> None:
    dataset = built_in(tiny().data)
    bare = replace(dataset, train=replace(dataset.train, labels=None))
    with pytest.raises(UserError, match=r"train\.sampling: balanced needs labels"):
        make_loop(tiny(train={"sampling": "balanced"}), dataset=bare)


def test_the_skew_is_said_in_images_of_the_rarest_and_the_commonest_label() -> None:
    dataset = skewed()
    skew = skew_of(label_counts(dataset.train, dataset.label_names))
    assert skew is not None and str(skew).startswith("4 images of “3”, ") and skew.ratio > 5
    assert str(skew_of({"a": 1, "b": 2000, "none": 0})) == f"1 image of “a”, {grouped(2000)} of “b”"
    assert skew_of({"a": 4}) is None and skew_of({}) is None
