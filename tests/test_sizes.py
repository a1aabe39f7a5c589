"""Nats told for each value of an image, against densities and probabilities in closed form."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine import trained
from vae_core.config import ModelConfig
from vae_core.losses import bernoulli_nll, gaussian_nll
from vae_core.metrics.measure import bits_per_dim
from vae_core.models.likelihoods import likelihoods
from vae_core.runs import Run


def test_a_uniform_density_costs_eight_bits_a_dimension() -> None:
    """Its log-density on [0, 1] is 0; each of 256 levels has probability 1/256."""
    assert bits_per_dim(0.0, 3 * 32 * 32, is_density=True) == 8.0


def test_a_gaussian_is_told_as_the_probability_of_a_level() -> None:
    """Of a narrow cell the probability is the density times its width, to second order."""
    sigma, mean = 0.2, 0.4
    levels = torch.arange(256).double()
    edges = torch.stack([levels / 256, (levels + 1) / 256])
    normal = torch.distributions.Normal(mean, sigma)
    low, high = normal.cdf(edges)
    x = ((edges[0] + edges[1]) / 2).view(1, 1, 16, 16)
    nats = float(gaussian_nll(torch.full_like(x, mean), x, sigma**2))
    expected = float(-(high - low).log2().mean())
    assert bits_per_dim(nats, 256, is_density=True) == pytest.approx(expected, abs=1e-4)


def test_a_coin_costs_a_bit() -> None:
    x = torch.tensor([0.0, 1.0]).repeat(1, 1, 8, 4)
    nats = float(bernoulli_nll(torch.zeros_like(x), x))
    assert bits_per_dim(nats, 64, is_density=False) == pytest.approx(1.0)


def test_a_larger_picture_of_the_same_pixels_has_the_same_bits() -> None:
    for values in (3 * 32 * 32, 3 * 64 * 64):
        assert bits_per_dim(-1.5 * values, values, is_density=True) == pytest.approx(
            8 - 1.5 / math.log(2)
        )


@pytest.mark.parametrize(
    ("name", "density", "learns", "compares"),
    [
        ("bernoulli", False, False, True),
        ("gaussian", True, False, False),
        ("gaussian-optimal", True, True, True),
        ("gaussian-pixel", True, False, False),
        ("laplace", True, False, False),
        ("laplace-optimal", True, True, True),
        ("continuous-bernoulli", True, False, True),
        ("discretised-logistic", False, True, True),
        ("logistic-mixture", False, False, True),
    ],
)
def test_a_likelihood_says_what_its_nats_are(
    name: str, density: bool, learns: bool, compares: bool
) -> None:
    likelihood = likelihoods[name].build(ModelConfig(sigma=0.5))
    assert (likelihood.is_density, likelihood.learns_noise) == (density, learns)
    assert (likelihood.incomparable == "") == compares


def test_a_fixed_sigma_is_measured_by_its_squared_error(tmp_path: Path) -> None:
    """−log N is ½·Σ(x − x̂)²/σ² + P·log(σ√2π), so the error can be had from the nats as well."""
    sigma = math.sqrt(0.5)
    run = trained(tmp_path, model={"likelihood": "gaussian", "sigma": sigma})
    summary = run.summary()
    values = int(np.prod(run.data_card().image_shape))
    constant = values * math.log(sigma * math.sqrt(2 * math.pi))
    mse = 2 * sigma**2 * (summary["recon"] - constant) / values
    assert summary["mse"] == pytest.approx(mse, rel=1e-4)
    assert "σ is fixed at 0.707" in summary["incomparable"]
    assert summary["sigma"] == pytest.approx(sigma)


def test_what_a_run_measured_is_told_for_each_value(finished: Run) -> None:
    summary = finished.summary()
    values = int(np.prod(finished.data_card().image_shape))
    assert summary["nats_per_pixel"] == pytest.approx(-summary["elbo"] / values)
    assert summary["bits_per_dim"] == pytest.approx(-summary["elbo"] / values / math.log(2))
    assert summary["incomparable"] == "" and 0 < summary["mse"] < 1
