"""Presets beside the networks that they rebuild, written out in plain PyTorch: step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from itertools import islice

import numpy as np
import pytest
import torch

import benchmarks.published as benchmark
import vae_core.data.batches as data_batches
import vae_core.training.loop as loop_module
from benchmarks.published import batches, give_weights, tinted, train_twin
from benchmarks.twins import PUBLISHED, Notebook
from vae_core.config import DataConfig
from vae_core.data import ArrayImages, Dataset, ImageSet, feed, load_dataset
from vae_core.families import build, complete
from vae_core.presets import presets
from vae_core.training.events import Stepped
from vae_core.training.loop import Loop

STEPS = 6
BATCH = 8


COUNTS = {
    "cifar-vae": 4_032_643,
    "pytorch-vae": 3_937_635,
    "celeba-vae": 3_225_795,
    "course-vae": 422_058,
}


def digits_28() -> Dataset:
    return load_dataset(DataConfig(dataset="digits", image_size=28))


def few(dataset: Dataset, count: int) -> Dataset:
    pixels = dataset.train.images.gather(np.arange(count))
    return replace(dataset, train=ImageSet(ArrayImages(pixels)))


@pytest.mark.parametrize("name", PUBLISHED)
def test_twins_have_the_published_number_of_weights(name: str) -> None:
    twin = PUBLISHED[name].make()
    assert sum(p.numel() for p in twin.parameters()) == COUNTS[name]
    model, _ = build(complete(presets[name].config), presets[name].image_shape)
    assert model.weight_count() == COUNTS[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_outputs_are_the_twins_in_both_modes(name: str) -> None:
    """Order of layers, kernel sizes, activations: what equal counts do not tell apart."""
    torch.manual_seed(0)
    published, preset = PUBLISHED[name], presets[name]
    twin = published.make().double()
    model, _ = build(complete(preset.config), preset.image_shape)
    model.double()
    give_weights(twin, model)
    x = torch.rand(4, *preset.image_shape).double()
    for train in (True, True, False):  # running statistics move twice, and are used at last
        twin.train(train)
        model.train(train)
        picture, mu, logvar = twin(twin.seen(x), torch.Generator().manual_seed(1))
        picture = picture * twin.std + twin.mean  # pages do not see normalised pixels
        output = model(x, torch.Generator().manual_seed(1))
        torch.testing.assert_close(model.likelihood.mean(output.x_logits), picture)
        torch.testing.assert_close(output.posterior.mu, mu)
        torch.testing.assert_close(output.posterior.logvar, logvar)


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", [name for name in PUBLISHED if presets[name].image_shape[1] < 64])
def test_training_goes_as_the_twins(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same weights, with the same batches and noise, every loss is the published one
    times a stated constant: loss, clip, Adam's ε, weight decay and learning rate are theirs.

    In double precision: the first steps are wild, and what is rounded differently drifts apart.
    """

    def in_double(images: np.ndarray, device: torch.device) -> torch.Tensor:
        return torch.from_numpy(images).double() / 255

    measuring = import_module("vae_core.metrics.measure")  # its package has a function of that name
    for module in (loop_module, benchmark, data_batches, measuring):
        monkeypatch.setattr(module, "as_floats", in_double)
    monkeypatch.setattr(feed, "to_floats", lambda images: images.double() / 255)
    published, preset = PUBLISHED[name], presets[name]
    side = preset.image_shape[1]
    whole = digits_28() if side == 28 else tinted(side)
    dataset = few(whole, BATCH * STEPS)
    train = {"batch_size": BATCH, "epochs": 1, "log_every": 1}
    config = complete(preset.config.updated({"train": train}))
    torch.manual_seed(0)
    twin = published.make()
    model, objective = build(config, preset.image_shape)
    give_weights(twin, model)
    loop = Loop(config, dataset, model.to(memory_format=torch.channels_last), objective)
    theirs = train_twin(
        twin,
        published.loss,
        published.optimizer(twin.parameters()),
        islice(batches(dataset, config), STEPS),
        config.train.seed,
        published.clip,
    )
    ours = [event.total for event in loop.run() if isinstance(event, Stepped)]
    pixels = np.prod(preset.image_shape)
    constant = 0.5 * pixels * np.log(2 * np.pi * config.model.sigma**2)
    ours = [(each - constant) / published.times for each in ours]
    np.testing.assert_allclose(ours, list(theirs), rtol=1e-6)


def test_the_order_of_the_layers_is_seen() -> None:
    """The fault that this file was written for: as many weights, another network."""
    torch.manual_seed(0)
    preset = presets["cifar-vae"]
    swapped = preset.config.updated({"model": {"options": {"normalise": "before"}}})
    twin = Notebook()
    model, _ = build(complete(swapped), preset.image_shape)
    assert model.weight_count() == COUNTS["cifar-vae"]
    give_weights(twin, model)
    x = torch.rand(4, *preset.image_shape)
    mu = twin(x, torch.Generator().manual_seed(1))[1]
    assert not torch.allclose(model(x).posterior.mu, mu, atol=0.05)
