"""Recipes rebuild what they say they rebuild."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vae_core.errors import UserError
from vae_core.families import build, complete
from vae_core.losses import gaussian_kl
from vae_core.objectives.objective import MODEL
from vae_core.presets import get_preset, presets
from vae_core.types import Context, total


@pytest.mark.parametrize(("name", "weights"), [("course-ae", 421_413), ("course-vae", 422_058)])
def test_course_networks_have_the_published_number_of_weights(name: str, weights: int) -> None:
    preset = get_preset(name)
    model, _ = build(complete(preset.config), preset.image_shape)
    assert model.weight_count() == weights


@pytest.mark.parametrize("name", presets)
def test_every_preset_builds_and_decodes(name: str) -> None:
    preset = get_preset(name)
    model, _ = build(complete(preset.config), preset.image_shape)
    assert model.decode(model.sample_prior(2)).shape == (2, *preset.image_shape)
    assert preset.config.preset == name


def test_course_vae_minimises_the_course_loss() -> None:
    """MSE + 0.1·KL, both means over batch and dimensions, on normalised pixels, times P/2."""
    preset = get_preset("course-vae")
    torch.manual_seed(0)
    model, objective = build(complete(preset.config), preset.image_shape)
    model, objective = model.double(), objective.double()
    x = torch.rand(16, 1, 28, 28).double()
    output = model(x, torch.Generator().manual_seed(0))
    gradient = torch.autograd.grad(
        total(objective.losses(x, output, Context(0))[MODEL]),
        list(model.parameters()),
        retain_graph=True,
    )
    normalised = (x - 0.1307) / 0.3081
    kl = gaussian_kl(output.posterior.mu, output.posterior.logvar)
    course = nn.functional.mse_loss(output.x_logits, normalised) + 0.1 * kl.mean()
    expected = torch.autograd.grad(course * 784 / 2, list(model.parameters()))
    for ours, theirs in zip(gradient, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_course_training_settings() -> None:
    train = get_preset("course-vae").config.train
    assert (train.epochs, train.batch_size, train.adam_betas) == (10, 512, (0.5, 0.999))


def test_an_unknown_preset_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'course-vae'"):
        get_preset("course-vea")
