"""The importance-weighted bound and the gradient that was rewritten."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tests.test_families import at, made, settings
from vae_core.families import build
from vae_core.families.iwae import effective_draws, importance_bound
from vae_core.objective import MODEL, Objective


def test_one_draw_is_the_elbo_and_equal_draws_count_in_full() -> None:
    log_w = torch.tensor([[-3.0, 2.0]])
    torch.testing.assert_close(importance_bound(log_w), log_w[0])
    same = torch.tensor([[1.0, -40.0]]).double().expand(6, -1)
    torch.testing.assert_close(importance_bound(same), same[0])
    torch.testing.assert_close(effective_draws(same), torch.tensor([6.0, 6.0]).double())
    alone = torch.tensor([[0.0], [-1000.0]])
    torch.testing.assert_close(importance_bound(alone), torch.tensor([-math.log(2.0)]))
    torch.testing.assert_close(effective_draws(alone), torch.tensor([1.0]))


def iwae(samples: int, gradient: str = "plain") -> tuple[object, Objective]:
    torch.manual_seed(0)
    config = settings("iwae").updated({"objective": {"samples": samples, "gradient": gradient}})
    return build(config, (1, 16, 16))


def test_the_bound_is_above_the_elbo_and_rises_with_k() -> None:
    """On a model whose posteriors are wrong, 600 independent draws of each bound."""
    model, _ = iwae(1)
    with torch.no_grad():  # wide posteriors around the wrong place: room for the bound to gain
        model.bottleneck.mu.bias.fill_(1.0)  # type: ignore[attr-defined]
        for parameter in model.decoder.parameters():  # type: ignore[attr-defined]
            parameter.mul_(2.0)
    x = torch.rand(600, 1, 16, 16)
    means, errors = [], []
    for k in (1, 4, 16):
        _, objective = iwae(k)
        with torch.no_grad():
            terms = objective.losses(x, objective(model, x, at()), at())[MODEL]
        bound = -terms["bound"].value
        means.append(float(bound.mean()))
        errors.append(float(bound.std()) / math.sqrt(len(x)))
        assert 1.0 <= float(terms["effective_draws"].value.mean()) <= k
        if k == 1:
            elbo = -(terms["recon"].value + terms["kl"].value)
            spread = float((elbo - bound).std()) / math.sqrt(len(x))
            assert abs(float((elbo - bound).mean())) < 4 * spread
    for (low, e1), (high, e2) in zip(
        zip(means, errors, strict=True), list(zip(means, errors, strict=True))[1:], strict=False
    ):
        assert high - low > 3 * math.hypot(e1, e2)


def test_the_doubly_reparameterised_gradient_has_the_same_mean() -> None:
    """Encoder and decoder, 3000 noises: equal within errors; the decoder's is the very same."""
    plain_model, plain = iwae(4)
    doubly_model, doubly = iwae(4, "doubly reparameterised")
    x = torch.rand(1, 1, 16, 16).expand(3000, -1, -1, -1)

    def gradients(model: object, objective: Objective) -> tuple[Tensor, Tensor]:
        context = at(batch=len(x))
        output = objective(model, x, context)
        mu = output.posterior.mu
        bound = objective.losses(x, output, context)[MODEL]["bound"].value
        last = next(iter(reversed(list(model.decoder.parameters()))))  # type: ignore[attr-defined]
        return torch.autograd.grad(bound.sum(), (mu, last))

    (of_mu, of_last), (of_mu_2, of_last_2) = (
        gradients(plain_model, plain),
        gradients(doubly_model, doubly),
    )
    torch.testing.assert_close(of_last, of_last_2)
    assert not torch.allclose(of_mu, of_mu_2)
    error = torch.hypot(of_mu.std(0), of_mu_2.std(0)) / math.sqrt(len(x))
    assert ((of_mu.mean(0) - of_mu_2.mean(0)).abs() < 4 * error).all()


def test_several_draws_calm_the_reconstruction_without_moving_it() -> None:
    model, _ = made("vae")
    x = torch.rand(1, 1, 16, 16).expand(400, -1, -1, -1)

    def recon(samples: int) -> Tensor:
        config = settings("vae").updated({"objective": {"samples": samples}})
        _, objective = build(config, (1, 16, 16))
        with torch.no_grad():
            return objective.losses(x, objective(model, x, at()), at())[MODEL]["recon"].value

    one, many = recon(1), recon(16)
    assert many.std() < 0.4 * one.std()
    assert abs(float(one.mean() - many.mean())) < 4 * float(one.std()) / 20
