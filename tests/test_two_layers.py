"""Two stochastic layers: what is weighed is what the paper writes, layer by layer."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.distributions import Bernoulli, Normal

from vae_core.config import parse_config
from vae_core.families import build
from vae_core.families.two_layers import TwoLayerModel, TwoLayerPosterior
from vae_core.objective import MODEL
from vae_core.types import Context


def made(**objective: Any) -> tuple[TwoLayerModel, Any]:
    """A small one, moved far from its start."""
    torch.manual_seed(0)
    values = {
        "family": "two-layers",
        "model": {"backbone": "mlp", "latent_dim": 3, "options": {"hidden": [8]}},
        "objective": {"upper_dim": 2, "upper_hidden": [6], **objective},
    }
    model, told = build(parse_config(values), (1, 8, 8))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    assert isinstance(model, TwoLayerModel)
    return model, told


@pytest.mark.parametrize("compete", [True, False])
def test_its_weights_are_those_of_the_layers(compete: bool) -> None:
    """log w is log p(x|h₁) + log p(h₁|h₂) + log p(h₂) − log q(h₁|x) − log q(h₂|h₁)."""
    model, objective = made(samples=5, compete=compete)
    x = (torch.rand(4, 1, 8, 8) < 0.5).float()
    context = Context(0, torch.Generator().manual_seed(0))
    output = objective(model, x, context)
    q, between = output.posterior, model.bottleneck
    z = output.z.unflatten(0, (5, 4))
    h2 = z[..., :2]
    m, logvar = between.write(h2)
    p1 = Normal(m, (0.5 * logvar).exp())
    h1 = p1.loc + p1.scale * z[..., 2:]
    mu, logvar = between.read(h1)
    pixels = Bernoulli(logits=model.decoder(h1.flatten(0, 1)).unflatten(0, (5, 4)))
    log_w = (
        pixels.log_prob(x.expand(5, *x.shape)).flatten(2).sum(2)
        + p1.log_prob(h1).sum(2)
        + Normal(0.0, 1.0).log_prob(h2).sum(2)
        - Normal(q.lower.mu, (0.5 * q.lower.logvar).exp()).log_prob(h1).sum(2)
        - Normal(mu, (0.5 * logvar).exp()).log_prob(h2).sum(2)
    )
    expected = torch.logsumexp(log_w, 0) - math.log(5) if compete else log_w.mean(0)
    terms = objective.losses(x, output, context)[MODEL]
    torch.testing.assert_close(terms["bound"].value, -expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(
        terms["recon"].value + terms["kl"].value, -log_w.mean(0), rtol=1e-4, atol=1e-3
    )


def test_the_density_of_draws_is_that_of_points() -> None:
    model, _ = made()
    q = model.encode(torch.rand(4, 1, 8, 8))
    z, log_q = q.draws(7, torch.Generator().manual_seed(0))
    assert z.shape == (7, 4, 5) and model.posterior is TwoLayerPosterior
    torch.testing.assert_close(q.log_prob(z), log_q, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(q.sample(torch.Generator().manual_seed(1)), q.draws(
        1, torch.Generator().manual_seed(1))[0][0])  # fmt: skip
    assert (q.log_prob(q.mode()[None]) > q.log_prob(q.mode()[None] + 3)).all()
