"""Levels of latents: their divergences, what may be held, and in what units they are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from vae_core.config import parse_config
from vae_core.errors import UserError
from vae_core.families import build, complete
from vae_core.objective import MODEL
from vae_core.types import Context


def made(shape: Any = (1, 16, 16), latent_dim: int = 2, **objective: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    values = {
        "family": "hierarchical",
        "model": {"latent_dim": latent_dim, "options": {"channels": [6, 5, 4]}},
        "objective": objective,
    }
    model, objective_ = build(complete(parse_config(values)), shape)
    with torch.no_grad():  # so that priors and divergences are far from trivial
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval(), objective_


def test_levels_lie_at_the_coarsest_maps_the_coarsest_first() -> None:
    model, _ = made(levels=3)
    assert model.latent_shapes == ((2, 2, 2), (2, 4, 4), (2, 8, 8))
    assert model.latent_size == 2 * (4 + 16 + 64)
    z = torch.arange(2.0 * model.latent_size).view(2, -1)
    assert [part.shape[1:] for part in model.split(z)] == list(model.latent_shapes)
    assert torch.equal(model.join(model.split(z)), z)


def test_the_divergence_is_that_between_posterior_and_prior_of_every_level() -> None:
    """Worked out again in the latents' own units, level by level along the drawn path."""
    model, objective = made(levels=2)
    x = torch.rand(3, 1, 16, 16)
    output = model(x, torch.Generator().manual_seed(0))
    maps = [model.encoder[0](x)]
    maps += [model.encoder[1](maps[0])]
    maps += [model.encoder[2](maps[1])]
    h = model.top.expand(3, -1, -1, -1)
    kls = []
    for level, e, seen in zip(model.bottleneck, model.split(output.z), maps[::-1], strict=False):
        m, logvar = level.prior(h).chunk(2, 1)
        s = (0.5 * logvar).exp()
        mu, logvar = level.both(torch.cat([h, seen], 1)).chunk(2, 1)
        q, p = Normal(m + s * mu, s * (0.5 * logvar).exp()), Normal(m, s)
        kls.append(kl_divergence(q, p).flatten(1))
        h = h + level.into(m + s * e)
        h = model.decoder[len(kls) - 1](h)
    torch.testing.assert_close(output.posterior.kl(), torch.cat(kls, 1))
    torch.testing.assert_close(output.x_logits, model.decoder[2](h))

    terms = objective.losses(x, output, Context(0))[MODEL]
    torch.testing.assert_close(terms["kl"].value, sum(kl.sum(1) for kl in kls))
    for i, kl in enumerate(kls, 1):
        torch.testing.assert_close(terms[f"kl_level_{i}"].value, kl.sum(1))
        assert terms[f"kl_level_{i}"].weight == 0
        assert (kl.sum(1) > 0.1).all()


def test_decoding_a_drawn_path_gives_what_the_pass_gave() -> None:
    model, _ = made(levels=2)
    output = model(torch.rand(3, 1, 16, 16), torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.decode(output.z), output.x_logits)


def test_a_drawn_path_is_one_of_its_posterior() -> None:
    """z is μ + σ·ε of the very path whose μ and σ are told, and not of the modes'."""
    model, _ = made(levels=2)
    x = torch.rand(3, 1, 16, 16)
    output = model(x, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    noise = [torch.randn((3, *shape), generator=generator) for shape in model.latent_shapes]
    q = output.posterior
    torch.testing.assert_close(output.z, q.mu + (0.5 * q.logvar).exp() * model.join(noise))
    again = model.encode(x).sample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(again, output.z)
    assert not torch.allclose(model.encode(x).mu, q.mu)


def test_draws_have_the_density_of_their_own_path() -> None:
    """Level by level: the posterior of a finer one is that given what was drawn above it."""
    model, _ = made(levels=2)
    x = torch.rand(3, 1, 16, 16)
    q = model.encode(x)
    z, log_q = q.draws(4, torch.Generator().manual_seed(0))
    assert z.shape == (4, 3, model.latent_size) and log_q.shape == (4, 3)
    for each, told in zip(z, log_q, strict=True):
        levels = iter(model.split(each))
        path, again, _ = model._infer(model._read(x), lambda q, levels=levels: next(levels))
        assert torch.equal(again, each)
        expected = Normal(path.mu, (0.5 * path.logvar).exp()).log_prob(each).sum(1)
        torch.testing.assert_close(told, expected)
    assert (q.log_prob(z) - log_q).abs().min() > 0.01, "the path of the modes has another"


def test_finer_levels_answer_to_coarser_ones() -> None:
    """The same finer z means something else under another coarse one: they are conditional."""
    model, _ = made(levels=2)
    z = model.sample_prior(1, torch.Generator().manual_seed(0))
    coarse, fine = model.split(z)
    moved = model.join([coarse + 1, fine])
    flat = model.join([coarse, fine * 0])
    flat_moved = model.join([coarse + 1, fine * 0])
    effect = model.decode(z) - model.decode(flat)
    effect_moved = model.decode(moved) - model.decode(flat_moved)
    assert (effect - effect_moved).abs().max() > 1e-3


def test_levels_are_drawn_at_the_temperature() -> None:
    model, _ = made(levels=2)
    coarse, fine = model.split(model.sample_prior(4000, torch.Generator().manual_seed(0), 0.5))
    assert float(fine.std()) == pytest.approx(0.5, abs=0.01)
    assert float(coarse.std()) == pytest.approx(0.5, abs=0.02)
    frozen = model.sample_prior(2, None, 0.0)
    assert not frozen.any()


def test_several_draws_average_over_several_paths() -> None:
    model, objective = made(levels=2, samples=3)
    x = torch.rand(2, 1, 16, 16)
    output = objective(model, x, Context(0, torch.Generator().manual_seed(0)))
    assert len(output.z) == 6
    kl = objective.losses(x, output, Context(0))[MODEL]["kl"].value
    torch.testing.assert_close(kl, output.posterior.kl().sum(1).view(3, 2).mean(0))


def test_more_levels_than_halvings_are_refused_by_name() -> None:
    values = {"family": "hierarchical", "objective": {"levels": 5}}
    sentence = r"objective\.levels: 5 levels are too many; .*8×8 3 times"
    with pytest.raises(UserError, match=sentence):
        build(complete(parse_config(values)), (1, 8, 8))
    with pytest.raises(UserError, match=r"objective\.levels.*greater than or equal to 2"):
        complete(parse_config({"family": "hierarchical", "objective": {"levels": 1}}))


@pytest.mark.parametrize("family", ["hierarchical", "spatial-vae", "vq-vae", "fsq"])
def test_a_backbone_without_maps_is_refused_by_name(family: str) -> None:
    values = {"family": family, "model": {"backbone": "mlp"}}
    sentence = r"model\.backbone: mlp keeps no places apart.*conv, conv-bn, deep-conv, resnet"
    with pytest.raises(UserError, match=sentence):
        build(complete(parse_config(values)), (1, 16, 16))


WARMING: dict[str, Any] = {"beta": 2.0, "schedule": "linear", "schedule_steps": 10}


def test_levels_are_balanced_by_what_a_latent_carries_while_beta_warms_up() -> None:
    """NVAE's coefficients, written out: (mean KL of the level + 0.01) / size, 1 on average; held
    still, so that no gradient flows through them."""
    model, objective = made(levels=2, kl_balance=True, **WARMING)
    x = torch.rand(3, 1, 16, 16)
    output = model(x, torch.Generator().manual_seed(0))
    rates = objective.rates(output)
    carried = torch.stack([rate.mean() + 0.01 for rate in rates]) / torch.tensor([8.0, 32.0])
    gamma = (carried / carried.mean()).detach()
    assert (gamma - 1).abs().min() > 0.1
    terms = objective.losses(x, output, Context(4))[MODEL]
    expected = gamma[0] * rates[0] + gamma[1] * rates[1]
    paid = terms["kl"].value + terms["kl_balance"].value
    torch.testing.assert_close(paid, expected)
    assert terms["kl_balance"].weight == terms["kl"].weight == pytest.approx(0.8)
    torch.testing.assert_close(terms["kl"].value, rates[0] + rates[1])

    weights = [level.both[2].bias for level in model.bottleneck]
    theirs = torch.autograd.grad(expected.mean(), weights, retain_graph=True)
    ours = torch.autograd.grad(paid.mean(), weights, retain_graph=True)
    torch.testing.assert_close(ours, theirs)

    over = objective.losses(x, output, Context(10))[MODEL]["kl_balance"]
    assert not over.value.any() and over.weight == 2.0


def test_balancing_without_a_warm_up_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"objective\.kl_balance: .*objective\.schedule to linear"):
        made(levels=2, kl_balance=True)


def test_the_largest_singular_values_are_those_of_every_layer() -> None:
    model, objective = made(levels=2, spectral=0.5)
    objective.train()
    x = torch.rand(3, 1, 16, 16)
    for _ in range(200):
        found = objective.singular_values()
    layers = [each for each in model.modules() if hasattr(each, "weight")]
    expected = torch.stack(
        [
            torch.linalg.matrix_norm(
                each.weight.transpose(0, int(isinstance(each, torch.nn.ConvTranspose2d))).flatten(
                    1
                ),
                2,
            )
            for each in layers
        ]
    )
    assert len(expected) == len(list(objective.buffers())) > 8
    torch.testing.assert_close(found, expected.sum(), rtol=1e-3, atol=0.0)
    term = objective.losses(x, model(x), Context(0))[MODEL]["spectral"]
    assert term.weight == 0.5 and term.value.shape == (3,)
    (gradient,) = torch.autograd.grad(term.value.mean(), layers[0].weight)
    u, _, vh = torch.linalg.svd(layers[0].weight.flatten(1), full_matrices=False)
    torch.testing.assert_close(gradient.flatten(1), u[:, :1] @ vh[:1], rtol=0.05, atol=0.02)


def test_measuring_leaves_the_singular_vectors_as_they_are() -> None:
    model, objective = made(levels=2, spectral=0.5)
    before = [each.clone() for each in objective.buffers()]
    objective.eval()
    objective.losses(x := torch.rand(2, 1, 16, 16), model(x), Context(0))
    assert all(map(torch.equal, before, objective.buffers()))
    assert not list(objective.parameters()), "the layers stay the model's"


def test_an_average_of_singular_vectors_is_one_whatever_its_length() -> None:
    """As `train.ema` keeps them: shorter than any that it is of."""
    objective = made(levels=2, spectral=0.5)[1].eval()
    found = objective.singular_values()
    for each in objective.buffers():
        each.mul_(0.5)
    torch.testing.assert_close(objective.singular_values(), found)


def test_without_it_there_are_no_singular_vectors() -> None:
    assert not list(made(levels=2)[1].buffers())
