"""Families with a discriminator: who is trained on what, and what a rest of it means."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.engine import make_loop, tiny
from tests.test_families import OBJECTIVE_SETTINGS, at, made
from vae_core.config import RunConfig
from vae_core.families.adversary import DISCRIMINATOR
from vae_core.families.networks import critic_of_codes
from vae_core.losses.adversarial import discriminator_accuracy, discriminator_nll
from vae_core.objective import MODEL
from vae_core.training.events import Stepped, Validated
from vae_core.types import total

ADVERSARIAL = ["aae", "vae-gan"]
with_each = pytest.mark.parametrize("family", ADVERSARIAL)


def config_of(family: str, epochs: int = 2, **objective: Any) -> RunConfig:
    return tiny(
        family=family,
        objective=OBJECTIVE_SETTINGS.get(family, {}) | objective,
        train={"log_every": 1, "epochs": epochs, "preview_every": 100},
    )


def touched(loss: Tensor, weights: Iterable[nn.Parameter]) -> bool:
    """Whether a gradient of the loss reaches any of them."""
    found = torch.autograd.grad(loss, list(weights), allow_unused=True, retain_graph=True)
    return any(gradient is not None and bool(gradient.any()) for gradient in found)


@with_each
def test_each_player_is_trained_on_its_own_terms(family: str) -> None:
    """No weight belongs to both, none to nobody; what the discriminator learns moves no weight of
    the model, and what deceives it does move some."""
    model, objective = made(family)
    players = objective.players(model)
    assert set(players) == {MODEL, DISCRIMINATOR}
    owned = [id(weight) for weights in players.values() for weight in weights]
    everything = {id(w) for each in (model, objective) for w in each.parameters()}
    assert len(owned) == len(set(owned)) and set(owned) == everything
    x = torch.rand(8, 1, 16, 16)
    losses = objective.losses(x, objective(model, x, at()), at())
    assert not touched(total(losses[DISCRIMINATOR]), players[MODEL])
    assert touched(total(losses[DISCRIMINATOR]), players[DISCRIMINATOR])
    assert touched(losses[MODEL]["adversarial"].value.sum(), players[MODEL])
    assert losses[DISCRIMINATOR]["accuracy"].weight == 0


def test_of_an_adversarial_autoencoder_the_encoder_alone_deceives() -> None:
    model, objective = made("aae")
    x = torch.rand(8, 1, 16, 16)
    deceives = objective.losses(x, objective(model, x, at()), at())[MODEL]["adversarial"].value
    encodes = [*model.encoder.parameters(), *model.bottleneck.parameters()]
    assert touched(deceives.sum(), encodes)
    assert not touched(deceives.sum(), model.decoder.parameters())


def test_of_a_vae_gan_the_decoder_alone_deceives() -> None:
    """Neither do its features teach the discriminator, nor pixels anybody, unless they are priced;
    the features' distance teaches both halves of the model."""
    model, objective = made("vae-gan")
    x = torch.rand(8, 1, 16, 16)
    terms = objective.losses(x, objective(model, x, at()), at())[MODEL]
    encodes = [*model.encoder.parameters(), *model.bottleneck.parameters()]
    deceives, features = (terms[name].value.sum() for name in ("adversarial", "features"))
    assert touched(deceives, model.decoder.parameters()) and not touched(deceives, encodes)
    assert touched(features, model.decoder.parameters()) and touched(features, encodes)
    assert terms["recon"].weight == 0 and terms["features"].weight == 1


def test_features_are_compared_as_the_paper_says() -> None:
    model, objective = made("vae-gan")
    model.eval(), objective.eval()
    x = torch.rand(3, 1, 16, 16)
    output = objective(model, x, at(batch=3))
    terms = objective.losses(x, output, at(batch=3))[MODEL]
    judge: Any = objective.discriminator
    original, odds = judge(x)
    rebuilt, _ = judge(model.likelihood.mean(output.x_logits))
    assert odds.shape == (3,) and original.shape[0] == 3
    distance = 0.5 * (original - rebuilt).square().sum(1)
    torch.testing.assert_close(terms["features"].value, distance)
    again, prior = (
        judge(model.likelihood.mean(output.extra[name]))[1] for name in ("again", "prior")
    )
    deceived = -0.5 * (torch.sigmoid(again).log() + torch.sigmoid(prior).log())
    torch.testing.assert_close(terms["adversarial"].value, deceived)


@with_each
def test_a_discriminator_that_rests_is_as_it_was_and_learns_again(family: str) -> None:
    """Every third step it learns, from the first on; between them it and what its optimiser has
    averaged stay as they are, while the model goes on. It is measured in every validation."""
    loop = make_loop(config_of(family, discriminator_every=3))
    before: list[dict[str, Tensor]] = []
    recorded, measured = {}, []
    for event in loop.run():
        if isinstance(event, Stepped):
            recorded[event.step] = event.terms
            weights = dict(loop.objective.state_dict())
            weights |= {f"model.{k}": v for k, v in loop.model.named_parameters()}
            averaged = loop.players.optimizers[DISCRIMINATOR].state[0]
            weights |= {"step": averaged["step"], "average": averaged["exp_avg"]}
            before.append({name: tensor.detach().clone() for name, tensor in weights.items()})
        if isinstance(event, Validated):
            measured.append(event.measurement.terms)
    assert len(before) > 7
    for step, (one, other) in enumerate(pairwise(before), 1):
        moved = {name for name in one if not torch.equal(one[name], other[name])}
        of_model = {name for name in moved if name.startswith("model.")}
        assert of_model, "the model never rests"
        assert bool(moved - of_model) == (step % 3 == 0), step
        assert ("discriminator" in recorded[step + 1]) == (step % 3 == 0)
    assert len(measured) == 2 and all("discriminator" in terms for terms in measured)


def test_a_trained_discriminator_knows_how_far_codes_are_from_the_prior() -> None:
    """The best one's loss on N(1, 1) against N(0, 1) is log 2 less the Jensen–Shannon divergence,
    here by quadrature, and it is right in Φ(½) = 69.1 %."""
    torch.manual_seed(0)
    critic, noise = critic_of_codes(1, 32, 2), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(critic.parameters(), 3e-3)

    def duel(n: int) -> tuple[Tensor, Tensor]:
        prior, codes = torch.randn(2, n, 1, generator=noise)
        return critic(prior).squeeze(1), critic(codes + 1).squeeze(1)

    for _ in range(300):
        optimizer.zero_grad()
        discriminator_nll(*duel(512)).mean().backward()
        optimizer.step()
    grid = torch.linspace(-8, 9, 20_001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(m, 1.0).log_prob(grid).exp() for m in (0.0, 1.0))
    best = 0.5 * torch.trapezoid(p * (1 + q / p).log() + q * (1 + p / q).log(), grid)
    with torch.no_grad():
        real, drawn = duel(40_000)
    assert float(discriminator_nll(real, drawn).mean()) == pytest.approx(float(best), abs=0.01)
    assert float(discriminator_accuracy(real, drawn).mean()) == pytest.approx(69.1, abs=1.0)


def test_codes_of_an_adversarial_autoencoder_come_to_look_like_the_prior() -> None:
    """On digits: without the discriminator codes lie far from N(0, I), with it near."""
    spread = {}
    for weight in (0.0, 10.0):
        loop = make_loop(
            config_of(
                "aae", epochs=40, adversarial=weight, discriminator_units=64,
                discriminator_learning_rate=2e-3,
            ).updated({"train": {"learning_rate": 2e-3}})
        )  # fmt: skip
        for _ in loop.run():
            pass
        images = loop.dataset.train.images.gather(range(len(loop.dataset.train)))
        with torch.no_grad():
            z = loop.model.eval().encode(torch.from_numpy(images).float() / 255).mode()
        off = (torch.cov(z.T) - torch.eye(z.shape[1])).norm() + z.mean(0).norm()
        spread[weight] = float(off)
    assert spread[10.0] < 0.5 * spread[0.0], spread
