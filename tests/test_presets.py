"""Recipes rebuild what they say they rebuild."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from vae_core.auto import usual
from vae_core.errors import UserError
from vae_core.families import build, complete
from vae_core.losses import gaussian_kl
from vae_core.models import LatentModel, Output
from vae_core.objective import MODEL
from vae_core.presets import presets
from vae_core.types import Context, total


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("course-ae", 421_413),
        ("course-vae", 422_058),
        # 28 hidden units fewer, each with two rows of 1568 weights, a bias, and its codes.
        ("course-ae-100", 421_413 - 28 * (2 * 1568 + 2 + 5 + 5)),
        ("course-vae-100", 422_058 - 28 * (2 * 1568 + 2 + 5 + 5 + 5)),
        ("cifar-vae", 2_407_168 + 1_625_475),
    ],
)
def test_networks_have_the_published_number_of_weights(name: str, weights: int) -> None:
    preset = presets[name]
    model, _ = build(usual(complete(preset.config)), preset.image_shape)
    assert model.weight_count() == weights


@pytest.mark.parametrize("name", [preset.name for preset in presets])
def test_every_preset_builds_and_decodes(name: str) -> None:
    preset = presets[name]
    model, _ = build(usual(complete(preset.config)), preset.image_shape)
    assert model.decode(model.sample_prior(2)).shape == (2, *preset.image_shape)
    assert preset.config.preset == name


def course_loss(model: LatentModel, x: Tensor, output: Output) -> Tensor:
    """MSE + 0.1·KL, both means over batch and dimensions, on normalised pixels, times P/2."""
    normalised = (x - 0.1307) / 0.3081
    return (mse_loss(output.x_logits, normalised) + 0.1 * kl_of(output).mean()) * 784 / 2


def cifar_loss(model: LatentModel, x: Tensor, output: Output) -> Tensor:
    """MSE + 0.001·KL, both means over batch and dimensions, times P."""
    mse = mse_loss(output.x_logits.sigmoid(), x)
    return (mse + 0.001 * kl_of(output).mean()) * 3 * 32 * 32


def celeba_loss(model: LatentModel, x: Tensor, output: Output) -> Tensor:
    """MSE + 0.00025·KL, the latter summed over dimensions, times P."""
    mse = mse_loss(output.x_logits.sigmoid(), x)
    return (mse + 0.00025 * kl_of(output).sum(1).mean()) * 3 * 64 * 64


def kl_of(output: Output) -> Tensor:
    return gaussian_kl(output.posterior.mu, output.posterior.logvar)


@pytest.mark.parametrize(
    ("name", "loss"),
    [("course-vae", course_loss), ("cifar-vae", cifar_loss), ("celeba-vae", celeba_loss)],
)
def test_presets_minimise_the_published_loss(
    name: str, loss: Callable[[LatentModel, Tensor, Output], Tensor]
) -> None:
    """The gradients are those of the published loss, written out, times a stated constant."""
    preset = presets[name]
    torch.manual_seed(0)
    model, objective = build(usual(complete(preset.config)), preset.image_shape)
    model, objective = model.double(), objective.double()
    x = torch.rand(4, *preset.image_shape).double()
    output = model(x, torch.Generator().manual_seed(0))
    gradient = torch.autograd.grad(
        total(objective.losses(x, output, Context(0))[MODEL]),
        list(model.parameters()),
        retain_graph=True,
    )
    expected = torch.autograd.grad(loss(model, x, output), list(model.parameters()))
    for ours, theirs in zip(gradient, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_course_training_settings() -> None:
    train = presets["course-vae"].config.train
    assert (train.epochs, train.batch_size, train.adam_betas) == (10, 512, (0.5, 0.999))


def test_cifar_training_settings() -> None:
    """A gradient P times the notebook's is clipped at a norm P times its own."""
    config = presets["cifar-vae"].config
    train = config.train
    assert (train.optimizer, train.learning_rate, train.weight_decay) == ("adamw", 1e-3, 1e-5)
    assert (train.batch_size, train.gradient_clip) == (32, 3072.0)
    assert config.model.logvar_range == (-10.0, 10.0)
    assert config.objective["beta"] == pytest.approx(0.001 * 3072 / 128)


def test_celeba_training_settings() -> None:
    config = presets["celeba-vae"].config
    train = config.train
    assert (train.optimizer, train.learning_rate, train.batch_size) == ("adam", 0.005, 64)
    assert (train.decay, train.decay_factor, train.seed) == ("exponential", 0.95, 1265)
    assert config.objective["beta"] == pytest.approx(0.00025 * 12_288)


@pytest.mark.parametrize("name", ["cifar-vae", "celeba-vae", "course-vae"])
def test_published_and_translated_weights_are_both_told(name: str) -> None:
    preset = presets[name]
    assert "kl." in preset.published
    assert f"β = {preset.config.objective['beta']:.4g}" in preset.published


def test_an_unknown_preset_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'course-vae'"):
        presets["course-vea"]
