"""What logits mean."""

from __future__ import annotations

import pytest
import torch

from vae_core.config import ModelConfig
from vae_core.models.likelihoods import Gaussian, OptimalGaussian, resolve_likelihood


def test_auto_is_bernoulli_for_grey_and_a_learned_sigma_for_colour() -> None:
    assert resolve_likelihood("auto", 1) == "bernoulli"
    assert resolve_likelihood("auto", 3) == "gaussian-optimal"
    assert resolve_likelihood("gaussian", 3) == "gaussian"


def test_identity_output_undoes_the_normalisation() -> None:
    config = ModelConfig(output="identity", pixel_mean=0.1307, pixel_std=0.3081)
    x = torch.rand(2, 1, 8, 8)
    logits = (x - 0.1307) / 0.3081
    torch.testing.assert_close(Gaussian(config).mean(logits), x)


def test_optimal_sigma_learns_the_noise_of_the_data() -> None:
    """Images of a known noise around the decoder's mean: the kept variance is that noise."""
    generator = torch.Generator().manual_seed(0)
    likelihood = OptimalGaussian(ModelConfig(output="identity"))
    mean = torch.full((64, 3, 16, 16), 0.5)
    for _ in range(50):
        noise = 0.2 * torch.randn(mean.shape, generator=generator)
        likelihood.nll(mean, mean + noise)
    assert float(likelihood.variance) == pytest.approx(0.04, rel=0.01)


def test_optimal_sigma_measures_single_images_with_the_kept_variance() -> None:
    likelihood = OptimalGaussian(ModelConfig(output="identity"))
    mean = torch.full((4, 1, 8, 8), 0.5)
    likelihood.nll(mean, mean + 0.1)
    kept = float(likelihood.variance)
    likelihood.eval()
    together = likelihood.nll(mean, torch.rand(4, 1, 8, 8, generator=torch.Generator()))
    assert together.shape == (4,)
    assert float(likelihood.variance) == kept == pytest.approx(0.01)


def test_a_perfect_copy_stays_finite() -> None:
    likelihood = OptimalGaussian(ModelConfig(output="identity"))
    x = torch.rand(2, 1, 8, 8)
    assert likelihood.nll(x, x).isfinite().all()
