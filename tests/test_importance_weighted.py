"""log p(x) by importance weights, held against what is known of it exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal

from vae_core.config import ModelConfig, parse_config
from vae_core.data import ArrayImages, ImageSet
from vae_core.data.batches import as_floats
from vae_core.families import build, complete
from vae_core.families.iwae import effective_draws, importance_bound
from vae_core.metrics.importance import (
    Weights,
    dequantised,
    log_weights,
    pictures_at_once,
    weigh,
)
from vae_core.metrics.measure import bits_per_dim
from vae_core.models import Bottleneck, GaussianMixture, GaussianPosterior, LatentModel, likelihoods
from vae_core.models.backbones import Backbone
from vae_core.runs import DataCard

SIDE, SIGMA = 8, 0.3


class Proposed(Bottleneck[GaussianPosterior]):
    """The exact posterior of a linear Gaussian model, its mean moved and its width doubled: a
    proposal that is wrong, and covers what it has to."""

    def __init__(self, loadings: Tensor) -> None:
        super().__init__()
        self.covariance = torch.linalg.inv(torch.eye(2) + loadings.T @ loadings / SIGMA**2)
        self.to_mean = self.covariance @ loadings.T / SIGMA**2

    def forward(self, features: Tensor) -> GaussianPosterior:
        mu = (features - 0.5) @ self.to_mean.T + 0.5 * self.covariance.diagonal().sqrt()
        return GaussianPosterior(mu, (2 * self.covariance.diagonal()).log().expand_as(mu))


def linear_gaussian() -> tuple[LatentModel, MultivariateNormal]:
    """x = ½ + W z + σ ε over 8×8 pixels, z ~ N(0, I) of two dimensions, and its p(x)."""
    loadings = 0.05 * torch.randn(SIDE**2, 2, generator=torch.Generator().manual_seed(3))
    decoder = nn.Linear(2, SIDE**2)
    with torch.no_grad():
        decoder.weight.copy_(loadings)
        decoder.bias.fill_(0.5)
    shape = (1, SIDE, SIDE)
    likelihood = likelihoods["gaussian"].build(ModelConfig(sigma=SIGMA, output="identity"))
    halves = Backbone(nn.Flatten(), SIDE**2, nn.Sequential(decoder, nn.Unflatten(1, shape)))
    model = LatentModel(shape, (2,), halves, Proposed(loadings), likelihood)
    covariance = loadings @ loadings.T + SIGMA**2 * torch.eye(SIDE**2)
    return model.eval(), MultivariateNormal(torch.full((SIDE**2,), 0.5), covariance)


def standard(model: LatentModel) -> Callable[[Tensor], Tensor]:
    """log p(z) of N(0, I)."""
    density = GaussianMixture.standard_normal(model.latent_size)
    return lambda z: density.log_prob(model.flatten(z))


def grey_images(n: int, seed: int = 0, shape: tuple[int, ...] = (1, SIDE, SIDE)) -> ImageSet:
    random = np.random.default_rng(seed)
    return ImageSet(ArrayImages(random.integers(0, 256, (n, *shape), dtype=np.uint8)))


def test_it_comes_to_the_exact_density_of_a_linear_gaussian_model() -> None:
    """Each of 40 images within what its own effective draws allow, and all of them on average."""
    model, exact = linear_gaussian()
    part = grey_images(40)
    found = weigh(model, part, 4000, standard(model))
    x = dequantised(
        as_floats(part.images.gather(np.arange(40)), model.device), torch.Generator().manual_seed(0)
    )
    expected = exact.log_prob(x.flatten(1)).double().numpy()
    error = np.sqrt(1 / found.effective)
    assert (error < 0.05).all() and (error > 1 / math.sqrt(4000)).all()
    assert (abs(found.log_p - expected) < 5 * error).all()
    assert abs((found.log_p - expected).mean()) < 4 * error.mean() / math.sqrt(40)
    assert (expected - found.elbo > 10 * error).all(), "one draw is far from it"
    assert (found.values == SIDE**2).all()


def test_the_mean_weight_is_p_of_x_and_its_logarithm_nears_it_from_below() -> None:
    """4000 times the same image: weights are unbiased with one draw already, the bound is below
    log p(x) by what their spread makes of it, and rises with k."""
    model, exact = linear_gaussian()
    x = torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    log_p = float(exact.log_prob(x.flatten(1)))
    many = x.expand(4000, -1, -1, -1)
    generator, gaps, errors = torch.Generator().manual_seed(2), [], []
    with torch.no_grad():
        for k in (1, 4, 16, 64):
            weights = Weights()
            log_w, _ = log_weights(
                model, model.encode(many), many, k, standard(model), None, generator
            )
            weights.add(log_w)
            bound = weights.log_mean()
            if k == 1:
                assert torch.equal(bound, weights.mean_log())
                ratio = (bound - log_p).exp()
                assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / math.sqrt(4000)
                assert float(ratio.std()) > 0.5, "the proposal has to be corrected"
                squared = float(ratio.var())
            gaps.append(log_p - float(bound.mean()))
            errors.append(float(bound.std()) / math.sqrt(4000))
    for i in range(3):
        assert gaps[i] - gaps[i + 1] > 3 * math.hypot(errors[i], errors[i + 1])
    # To first order the gap is Var w / 2k: Burda et al. (2016), and the delta method.
    assert gaps[3] == pytest.approx(squared / 128, abs=4 * errors[3])


@pytest.mark.parametrize("pieces", [[12], [1] * 12, [5, 4, 3]])
def test_weights_that_come_piece_by_piece_count_as_all_at_once(pieces: list[int]) -> None:
    log_w = 30 * torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
    log_w[:, 0] -= 4000  # far below what a float holds of w itself
    log_w[:, 1] += 4000
    log_w[:4, 2] = -math.inf  # an impossible draw, at the beginning too
    weights = Weights()
    for piece in log_w.split(pieces):
        weights.add(piece)
    assert weights.draws == 12
    exactly = log_w.double()
    torch.testing.assert_close(weights.log_mean(), importance_bound(exactly).float())
    torch.testing.assert_close(weights.effective(), effective_draws(exactly).float())
    torch.testing.assert_close(weights.mean_log(), log_w.mean(0))


@pytest.mark.parametrize(
    ("n", "k", "at_once"), [(3, 700, None), (300, 3, None), (10, 50, 7), (2, 9, 1000)]
)
def test_memory_knows_neither_k_nor_the_number_of_images(
    n: int, k: int, at_once: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is decoded at once is bounded, and altogether it is k of each image."""
    model, _ = linear_gaussian()
    decoded: list[int] = []
    decode = model.decode
    monkeypatch.setattr(model, "decode", lambda z: (decoded.append(len(z)), decode(z))[1])
    part, said = grey_images(n), []
    found = weigh(model, part, k, standard(model), at_once, 0, lambda m, share: said.append(share))
    assert sum(decoded) == n * k
    assert max(decoded) <= pictures_at_once(part) == 256
    assert len(found.log_p) == n and said
    assert (found.effective <= k * 1.001).all()


# --- bits of an image of 8 bits -------------------------------------------------------------------


def test_dequantised_values_lie_within_their_own_level() -> None:
    levels = torch.arange(256).repeat(40)
    x = dequantised(levels.view(1, 1, 1, -1) / 255, torch.Generator().manual_seed(0)).flatten()
    assert torch.equal((x * 256).floor().long(), levels)
    assert float((x * 256 - levels).mean()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("sigma", [0.003, 0.02, 0.3])
def test_bits_of_dequantised_values_bound_those_of_their_levels(sigma: float) -> None:
    """A decoder that says the same of every image: P(level) = Φ((l + 1)/256) − Φ(l/256) exactly."""
    likelihood = likelihoods["gaussian"].build(ModelConfig(sigma=sigma, output="identity"))
    constant = nn.Sequential(nn.Linear(2, SIDE**2), nn.Unflatten(1, (1, SIDE, SIDE)))
    nn.init.zeros_(constant[0].weight)
    nn.init.constant_(constant[0].bias, 0.5)
    halves = Backbone(nn.Flatten(), SIDE**2, constant)
    model = LatentModel((1, SIDE, SIDE), (2,), halves, Point(), likelihood)
    levels = np.random.default_rng(0).normal(128, 256 * sigma, (200, 1, SIDE, SIDE))
    part = ImageSet(ArrayImages(levels.clip(0, 255).astype(np.uint8)))
    found = weigh(model, part, 1, standard(model))
    bits = bits_per_dim(-found.log_p.mean(), SIDE**2, is_density=True)
    edges = torch.from_numpy(part.images.gather(np.arange(200))).double() / 256
    normal = Normal(torch.tensor(0.5).double(), torch.tensor(sigma).double())
    exact = -float((normal.cdf(edges + 1 / 256) - normal.cdf(edges)).log2().mean())
    assert bits > exact - 1e-3
    assert bits == pytest.approx(exact, abs={0.003: 0.2, 0.02: 0.01, 0.3: 0.001}[sigma])


class Point(Bottleneck[GaussianPosterior]):
    """The prior itself, whatever the image."""

    def forward(self, features: Tensor) -> GaussianPosterior:
        zeros = torch.zeros(len(features), 2)
        return GaussianPosterior(zeros, zeros)


# --- every kind of posterior and prior, against an integral over all latents ----------------------

KINDS: dict[str, dict[str, Any]] = {
    "vae": {"noise": 0.1},
    "full-covariance": {},
    "vamp": {"objective": {"components": 3}, "noise": 0.3},
    "conditional-vae": {},
    "spatial-vae": {"model": {"latent_dim": 1}, "objective": {"halvings": 2}},
    "hierarchical": {"model": {"latent_dim": 1}, "objective": {"levels": 2}, "noise": 0.25},
    "two-layers": {"model": {"latent_dim": 1}, "objective": {"upper_dim": 1}, "noise": 0.2},
}
"""Of two latent dimensions, but for maps: four places of one, and a place above four. noise: by how
much weights are moved, so that no proposal is hopeless and none is perfect."""


def made(family: str) -> LatentModel:
    """A model far from its start, so that posteriors are tilted and priors are mixed."""
    changes = dict(KINDS[family])
    noise = changes.pop("noise", 0.15)
    torch.manual_seed(0)
    sizes = {"latent_dim": 2, "options": {"channels": [6, 5, 4]}}
    if family == "spatial-vae":
        sizes["options"] = {"channels": [6, 5]}
    values = {"family": family, "model": sizes}
    config = complete(parse_config(values).updated(changes))
    card = DataCard(
        dataset="drawn", image_shape=(1, 8, 8), n_train=9, n_validation=9, label_names=tuple("abc")
    )
    model, _ = build(config, card)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    return model.eval()


@torch.no_grad()
def integrated(model: LatentModel, x: Tensor, seed: int) -> Tensor:
    """log p(x) of images [B, …] by quasi-Monte Carlo over the prior, 2¹³ points a part, [B]."""
    uniform = torch.quasirandom.SobolEngine(model.latent_size, scramble=True, seed=seed)
    points = torch.special.ndtri(uniform.draw(2**13).double().clamp(1e-9, 1 - 1e-9)).float()
    prior = model.prior()
    assert prior is not None
    found = []
    for mu, logvar in zip(prior.mu, prior.logvar, strict=True):
        logits = torch.cat([
            model.decode(model.unflatten(mu + (0.5 * logvar).exp() * part))
            for part in points.split(4096)
        ])  # fmt: skip
        likely = [-model.likelihood.nll(logits, image.expand_as(logits)) for image in x]
        found.append(torch.logsumexp(torch.stack(likely), 1) - math.log(len(points)))
    return torch.logsumexp(torch.stack(found), 0) - math.log(len(found))


@pytest.mark.parametrize("family", KINDS)
def test_it_comes_to_the_integral_over_all_latents(family: str) -> None:
    """Three images, each with its label where there are labels."""
    model, labels = made(family), np.array([0, 2, 1])
    prior = model.prior()
    assert prior is not None
    part = ImageSet(grey_images(3, seed=5).images, labels)
    found = weigh(model, part, 6000, lambda z: prior.log_prob(model.flatten(z)))
    x = as_floats(part.images.gather(np.arange(3)), model.device)
    told = [model.conditioned(torch.tensor([label])) for label in labels]
    expected, again = (
        torch.cat([integrated(m, each[None], seed) for m, each in zip(told, x, strict=True)])
        if model.labels
        else integrated(model, x, seed)
        for seed in (0, 1)
    )
    assert abs(expected - again).max() < 0.01, "the integral is not exact enough"
    expected = expected.numpy()
    error = np.sqrt(1 / found.effective)
    assert (error < 0.1).all()
    assert (abs(found.log_p - expected) < 4 * error + 0.01).all()
    assert (found.log_p - found.elbo > 0.05).all(), "one draw has to be corrected"
