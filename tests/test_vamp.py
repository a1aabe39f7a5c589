"""A learned mixture as prior: its density, its samples, and the divergence from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from vae_core.config import parse_config
from vae_core.data import ArrayImages, ImageSet
from vae_core.families import build, complete
from vae_core.latent.survey import survey
from vae_core.models.posterior import GaussianMixture
from vae_core.objective import MODEL
from vae_core.types import Context


def made(**objective: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    values = {"family": "vamp", "model": {"latent_dim": 2}, "objective": objective}
    model, objective_ = build(complete(parse_config(values)), (1, 8, 8))
    return model.eval(), objective_


def test_the_density_is_that_of_an_even_mixture() -> None:
    mu, logvar, z = torch.randn(5, 3), torch.randn(5, 3), torch.randn(7, 3)
    normals = Independent(Normal(mu, (0.5 * logvar).exp()), 1)
    expected = MixtureSameFamily(Categorical(torch.ones(5)), normals).log_prob(z)
    torch.testing.assert_close(GaussianMixture(mu, logvar).log_prob(z), expected)


def test_one_component_like_the_posterior_costs_nothing() -> None:
    """Where the only learned picture is the image itself, q(z|x) is the prior."""
    model, objective = made(components=1)
    x = torch.rand(1, 1, 8, 8) * 0.9 + 0.05
    with torch.no_grad():
        model.pseudo_logits.copy_(torch.logit(x))
    output = objective(model, x, Context(0, torch.Generator().manual_seed(0)))
    kl = objective.losses(x, output, Context(0))[MODEL]["kl"].value
    torch.testing.assert_close(kl, torch.zeros(1), atol=1e-4, rtol=0)


def test_the_divergence_is_the_mean_over_draws() -> None:
    model, objective = made(components=3, samples=4)
    x = torch.rand(2, 1, 8, 8)
    output = objective(model, x, Context(0, torch.Generator().manual_seed(0)))
    q, p = model.encode(x), model.prior()
    normals = Independent(Normal(p.mu, (0.5 * p.logvar).exp()), 1)
    log_p = MixtureSameFamily(Categorical(torch.ones(3)), normals).log_prob(output.z)
    log_q = Normal(q.mu, (0.5 * q.logvar).exp()).log_prob(output.z.view(4, 2, 2)).sum(2)
    expected = (log_q - log_p.view(4, 2)).mean(0)
    term = objective.losses(x, output, Context(0))[MODEL]["kl"]
    torch.testing.assert_close(term.value, expected)
    assert q.kl(p) is None


def test_samples_come_from_all_components_and_cool_onto_their_means() -> None:
    model, _ = made(components=4)
    mixture = model.prior()
    cold = model.sample_prior(2000, torch.Generator().manual_seed(0), temperature=0.0)
    nearest = torch.cdist(cold, mixture.mu).argmin(1)
    torch.testing.assert_close(cold, mixture.mu[nearest])
    assert nearest.bincount(minlength=4).float().div(2000).tolist() == pytest.approx(
        [0.25] * 4, abs=0.04
    )
    warm = model.sample_prior(20_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(warm.mean(0), mixture.mu.mean(0), atol=0.05, rtol=0)
    variance = mixture.logvar.exp().mean(0) + mixture.mu.var(0, correction=0)
    torch.testing.assert_close(warm.var(0), variance, atol=0.05, rtol=0)


def test_learned_pictures_stay_pictures() -> None:
    model, _ = made(components=2)
    with torch.no_grad():
        model.pseudo_logits.mul_(1000)
    assert model.pseudo_inputs().min() >= 0 and model.pseudo_inputs().max() <= 1


def test_the_kl_of_a_single_image_is_a_mean_of_draws_with_its_error() -> None:
    """Against an estimate from 3000 draws; one draw, which it used to be, is far off."""
    model, objective = made(components=3)
    with torch.no_grad():
        model.bottleneck.mu.weight.mul_(4)
    x = torch.rand(64, 1, 8, 8)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        posterior = model.encode(x)
        prior = model.prior()
        true = posterior.kl_draws(3000, prior, noise).mean(0)
        value, error = posterior.divergence(prior, noise)
    z = (value - true) / error
    assert 0.6 < float(z.std()) < 1.5 and float(z.abs().max()) < 5
    with torch.no_grad():
        single = posterior.kl_draws(1, prior, noise)[0]
        objective.eval()
        output = objective(model, x, Context(0, noise))
        kl = objective.losses(x, output, Context(0, noise))[MODEL]["kl"].value
    assert (single - true).std() > 2.5 * (value - true).std()
    assert float(((kl - true) / error).abs().max()) < 6


def test_a_survey_tells_how_well_each_kl_is_known() -> None:
    """Learned prior and several levels are estimated; a closed form has no error."""
    images = ArrayImages(np.random.default_rng(0).integers(0, 256, (8, 1, 8, 8), np.uint8))
    for family in ("vamp", "hierarchical", "vae"):
        torch.manual_seed(0)
        values = {"family": family, "model": {"latent_dim": 2, "backbone": "conv"}}
        model, objective = build(complete(parse_config(values)), (1, 8, 8))
        found = survey(model, objective, ImageSet(images, None), (), "train", Context(0))
        assert found.kl is not None
        if family == "vae":
            assert found.kl_error is None
        else:
            assert found.kl_error is not None and (found.kl_error > 0).all()
            np.testing.assert_array_equal(found.rows(np.array([3])).kl_error, found.kl_error[[3]])
