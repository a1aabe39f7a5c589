"""Terms and weights of the objectives against closed forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.test_families import at, made, settings
from vae_core.families import build, complete
from vae_core.families.denoising import CORRUPTIONS
from vae_core.families.dip_vae import covariance, off_and_on_diagonal
from vae_core.families.factor_vae import density_ratio, permuted
from vae_core.families.sparse import activation_kl, firing_share, l1, l1_over_l2
from vae_core.families.wae import KERNELS, mmd
from vae_core.losses import gaussian_log_density, standard_normal_log_density
from vae_core.losses.adversarial import (
    deceiver_nll,
    discriminator_accuracy,
    discriminator_nll,
)
from vae_core.models import Output
from vae_core.models.posterior import GaussianPosterior
from vae_core.objective import MODEL
from vae_core.types import Context, LossTerms


def judged(
    family: str,
    posterior: GaussianPosterior,
    step: int = 0,
    overrides: dict[str, float] | None = None,
    **options: Any,
) -> LossTerms:
    """The model's terms of a family for a given posterior and flat pictures."""
    torch.manual_seed(0)
    config = complete(settings(family).updated({"objective": options}))
    _, objective = build(config, (1, 8, 8))
    batch, dims = posterior.mu.shape
    assert dims == 4
    x = torch.full((batch, 1, 8, 8), 0.5)
    output = Output(posterior, posterior.mu, torch.zeros_like(x))
    noise = torch.Generator().manual_seed(0)
    context = Context(step, noise, overrides or {}, train_images=100)
    return objective.losses(x, output, context)[MODEL]


def with_kl(*nats: float) -> GaussianPosterior:
    """Two images, each with these KLs in its four dimensions: ½μ²."""
    mu = torch.tensor([[math.sqrt(2 * n) for n in nats]] * 2)
    return GaussianPosterior(mu, torch.zeros_like(mu))


def test_log_densities_are_those_of_torch() -> None:
    z, mu, logvar = torch.randn(3, 2), torch.randn(3, 2), torch.randn(3, 2)
    normal = torch.distributions.Normal(mu, (0.5 * logvar).exp())
    torch.testing.assert_close(gaussian_log_density(z, mu, logvar), normal.log_prob(z))
    standard = torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(standard_normal_log_density(z), standard.log_prob(z))


def test_free_bits_charge_each_dimension_at_least_its_floor() -> None:
    terms = judged("free-bits", with_kl(0.0, 0.1, 0.5, 2.0), free=0.25, beta=2.0)
    torch.testing.assert_close(terms["kl_floored"].value, torch.full((2,), 0.25 + 0.25 + 2.5))
    torch.testing.assert_close(terms["kl"].value, torch.full((2,), 2.6))
    assert (terms["kl_floored"].weight, terms["kl"].weight) == (2.0, 0.0)


@pytest.mark.parametrize(("step", "target"), [(0, 0.0), (50, 5.0), (100, 10.0), (900, 10.0)])
def test_capacity_holds_the_kl_at_its_target(step: int, target: float) -> None:
    options = {"gamma": 3.0, "capacity": 10.0, "capacity_steps": 100}
    terms = judged("capacity", with_kl(0.0, 1.0, 2.0, 4.0), step, **options)
    torch.testing.assert_close(terms["gap"].value, torch.full((2,), abs(7.0 - target)))
    torch.testing.assert_close(terms["capacity"].value, torch.full((2,), target))
    assert terms["gap"].weight == 3.0
    by_hand = judged("capacity", with_kl(0, 1, 2, 4), step, {"capacity": 6.5}, **options)
    torch.testing.assert_close(by_hand["gap"].value, torch.full((2,), 0.5))


def test_tc_weighs_its_three_parts() -> None:
    terms = judged("beta-tcvae", with_kl(1, 1, 1, 1), alpha=0.5, beta=4.0, gamma=2.0)
    weights = {name: term.weight for name, term in terms.items()}
    assert weights == {"recon": 1.0, "mi": 0.5, "tc": 4.0, "dwkl": 2.0, "kl": 0.0}
    assert judged("beta-tcvae", with_kl(1, 1, 1, 1), 0, {"beta": 9.0})["tc"].weight == 9.0


# --- covariance, discrepancy, sparsity ----------------------------------------------------------


def test_covariance_is_torchs() -> None:
    rows = torch.randn(50, 3).double()
    expected = torch.cov(rows.T, correction=0)
    torch.testing.assert_close(covariance(rows), expected)


def test_off_and_on_diagonal() -> None:
    off, on = off_and_on_diagonal(torch.tensor([[2.0, 0.5], [0.5, 0.0]]))
    assert (float(off), float(on)) == (0.5, 2.0)


@pytest.mark.parametrize(("kind", "diagonal"), [("I", 4 * (0.25 - 1) ** 2), ("II", 4 * 0.25**2)])
def test_dip_adds_the_widths_of_clouds_in_its_second_kind(kind: str, diagonal: float) -> None:
    """Means at ±½ in every dimension: variance ¼ each, all of them one and the same."""
    mu = torch.tensor([[0.5] * 4, [-0.5] * 4])
    terms = judged("dip-vae", GaussianPosterior(mu, torch.zeros_like(mu)), kind=kind)
    torch.testing.assert_close(terms["diagonal"].value, torch.full((2,), diagonal))
    torch.testing.assert_close(terms["off_diagonal"].value, torch.full((2,), 12 * 0.25**2))


@pytest.mark.parametrize("kernel", KERNELS)
def test_mmd_by_pairs(kernel: Any) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(5, 3), torch.randn(5, 3)

    def k(u: Tensor, v: Tensor) -> float:
        return float(KERNELS[kernel]((u - v).square().sum(), 3))

    within = sum(k(s[i], s[j]) for s in (a, b) for i in range(5) for j in range(5) if i != j) / 20
    across = sum(k(u, v) for u in a for v in b) / 25
    torch.testing.assert_close(mmd(a, b, KERNELS[kernel]), torch.full((5,), within - 2 * across))


@pytest.mark.parametrize("kernel", KERNELS)
def test_mmd_knows_the_prior_when_it_sees_it(kernel: Any) -> None:
    torch.manual_seed(0)
    prior, far = torch.randn(1000, 4), torch.randn(1000, 4) + 1.0
    same = float(mmd(torch.randn(1000, 4), prior, KERNELS[kernel])[0])
    other = float(mmd(far, prior, KERNELS[kernel])[0])
    assert abs(same) < 0.003 and other > 0.05
    assert torch.equal(mmd(prior[:1], far[:1], KERNELS[kernel]), torch.zeros(1))


def test_sparsity() -> None:
    torch.testing.assert_close(l1(torch.tensor([[1.0, -2.0]])), torch.tensor([3.0]))
    rates = torch.tensor([[0.1, 0.9], [0.3, 0.1]])
    kl = torch.distributions.kl_divergence(
        torch.distributions.Bernoulli(0.2), torch.distributions.Bernoulli(rates.mean(0))
    )
    torch.testing.assert_close(activation_kl(rates, 0.2), kl.sum().expand(2))
    fires_rightly = activation_kl(torch.full((3, 2), 0.2), 0.2)
    torch.testing.assert_close(fires_rightly, torch.zeros(3), atol=1e-6, rtol=0)
    assert activation_kl(torch.zeros(3, 2), 0.2).isfinite().all()


def test_sparsity_is_free_of_scale() -> None:
    codes = torch.tensor([[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]])
    torch.testing.assert_close(l1_over_l2(codes), torch.tensor([7 / 5, 1.0, 0.0]))
    torch.testing.assert_close(l1_over_l2(1e-3 * codes), l1_over_l2(codes))
    fires = torch.tensor([[1.0, 0.3], [0.0, 0.3], [0.0, 0.3], [0.0, 0.3]])
    torch.testing.assert_close(firing_share(fires), torch.tensor([0.25, 1.0]))
    torch.testing.assert_close(firing_share(1e-3 * fires), firing_share(fires))
    assert firing_share(torch.zeros(3, 2)).isfinite().all()


def test_codes_of_the_sparse_autoencoder_fit_their_penalty() -> None:
    x = 100 * torch.rand(4, 1, 16, 16)
    config = settings("sparse").updated({"objective": {"penalty": "kl"}})
    rates = build(config, (1, 16, 16))[0].encode(x).mode()
    assert (rates >= 0).all() and (rates <= 1).all()
    codes = made("sparse")[0].encode(x).mode()
    assert (codes >= 0).all() and (codes == 0).any()


# --- the critic -----------------------------------------------------------------------------------


def test_permuted_codes_keep_every_dimension_and_break_the_rows() -> None:
    z = torch.randn(200, 1).expand(-1, 3).contiguous()
    shuffled = permuted(z, torch.Generator().manual_seed(0))
    for dimension in range(3):
        assert torch.equal(shuffled[:, dimension].sort().values, z[:, dimension].sort().values)
    correlation = torch.corrcoef(shuffled.T)
    assert (correlation - torch.eye(3)).abs().max() < 0.25
    assert not torch.equal(shuffled[:, 0], z[:, 0])


def test_who_guesses_loses_log_two_and_who_knows_nothing() -> None:
    """As torch's cross-entropy over one that is real and one that is not, whatever the log-odds."""
    zero, sure = torch.zeros(3), torch.full((1,), 60.0)
    torch.testing.assert_close(discriminator_nll(zero, zero), torch.full((3,), math.log(2)))
    torch.testing.assert_close(discriminator_nll(sure, -sure), torch.zeros(1))
    torch.testing.assert_close(deceiver_nll(sure), torch.zeros(1))
    assert discriminator_accuracy(sure, -sure).item() == 100.0
    assert discriminator_accuracy(sure, sure).item() == 50.0
    assert discriminator_accuracy(sure, torch.full((1,), math.nan)).isnan().all()
    torch.testing.assert_close(density_ratio(torch.tensor([[30.0, -30.0]])), sure)
    real, drawn = torch.randn(2, 5)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    both = entropy(real, torch.ones(5), reduction="none")
    both = both + entropy(drawn, torch.zeros(5), reduction="none")
    torch.testing.assert_close(discriminator_nll(real, drawn), 0.5 * both)
    torch.testing.assert_close(deceiver_nll(drawn), -torch.sigmoid(drawn).log())


def test_the_critic_learns_apart_from_the_model() -> None:
    """Its terms touch no weight of the model; the model's terms are lowered by the model alone."""
    model, objective = made("factor-vae")
    x = torch.rand(8, 1, 16, 16)
    losses = objective.losses(x, objective(model, x, at()), at())
    of_critic = losses["critic"]["critic"].value.sum()
    assert all(
        gradient is None
        for gradient in torch.autograd.grad(
            of_critic, list(model.parameters()), allow_unused=True, retain_graph=True
        )
    )
    assert set(objective.players(model)) == {"model", "critic"}
    mine, critics = objective.players(model)["model"], objective.players(model)["critic"]
    assert not {id(p) for p in mine} & {id(p) for p in critics}
    assert objective.optimizers == {"critic": {"lr": 1e-4, "betas": (0.5, 0.9)}}


def test_a_trained_critic_finds_the_total_correlation_of_copied_codes() -> None:
    """Copies with noise σ² = 1: the closed form of test_decomposition, ½ log 4/3 = 0.144 nats."""
    _, objective = made("factor-vae")
    critic: Any = objective.critic
    noise = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(critic.parameters(), 3e-3)

    def codes(n: int) -> Tensor:
        mean = torch.randn(n, 1, generator=noise)
        return torch.cat([mean + torch.randn(n, 2, generator=noise), torch.zeros(n, 2)], 1)

    for _ in range(400):
        z = codes(512)
        real, mixed = density_ratio(critic(z)), density_ratio(critic(permuted(z, noise)))
        loss = discriminator_nll(real, mixed).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = float(density_ratio(critic(codes(20_000))).mean())
    assert found == pytest.approx(0.5 * math.log(4 / 3), abs=0.05)


# --- corruption -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_damages_as_much_as_it_says(name: Any) -> None:
    x = torch.full((10, 1, 32, 32), 0.4)
    noise = torch.Generator().manual_seed(0)
    damaged = CORRUPTIONS[name](x, 0.3, noise)
    assert torch.equal(CORRUPTIONS[name](x, 0.0, noise), x)
    if name == "gaussian":
        assert float((damaged - x).std()) == pytest.approx(0.3, rel=0.03)
        return
    black, white = (damaged == 0).float().mean(), (damaged == 1).float().mean()
    whites = {"masking": 0.0, "salt-and-pepper": 0.15}[name]
    assert float(black) == pytest.approx(0.3 - whites, abs=0.02)
    assert float(white) == pytest.approx(whites, abs=0.02)
    assert ((damaged == x) | (damaged == 0) | (damaged == 1)).all()


def test_the_target_of_a_denoising_autoencoder_is_the_whole_image() -> None:
    model, objective = made("denoising")
    x = torch.rand(8, 1, 16, 16)
    output = objective(model, x, at())
    recon = objective.losses(x, output, at())[MODEL]["recon"].value
    torch.testing.assert_close(recon, model.likelihood.nll(output.x_logits, x))
    assert not torch.allclose(output.z, model.encode(x).mode())
