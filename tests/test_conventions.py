"""β in everybody's units: each convention against the loss that it stands for, written out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vae_core.losses import bernoulli_nll, gaussian_kl, gaussian_nll
from vae_core.losses.conventions import BERNOULLI, CONVENTIONS, Scale

positive = st.floats(1e-3, 1e3)
scales = st.builds(
    Scale, st.integers(64, 20_000), st.integers(1, 512), st.floats(0.01, 2), st.floats(0.1, 2)
)


def _bce(x_logits: Tensor, x: Tensor) -> Tensor:
    return F.binary_cross_entropy(torch.sigmoid(x_logits), x, reduction="none")


LITERAL: dict[str, Callable[[Tensor, Tensor, Tensor, float], Tensor]] = {
    "mse-mean-kl-mean": lambda x, y, kl, w: (x - y).square().mean() + w * kl.mean(),
    "mse-mean-kl-sum": lambda x, y, kl, w: (x - y).square().mean() + w * kl.sum(1).mean(),
    "pytorch-vae": lambda x, y, kl, w: F.mse_loss(y, x) + w * kl.sum(1).mean(0),
    "pythae": lambda x, y, kl, w: (
        0.5 * F.mse_loss(y, x, reduction="none").flatten(1).sum(-1) + w * kl.sum(1)
    ).mean(0),
    "bce-sum-kl-sum": lambda x, y, kl, w: _bce(y, x).sum() + w * kl.sum(),
    "bce-mean-kl-sum": lambda x, y, kl, w: _bce(y, x).mean() + w * kl.sum(1).mean(),
    "bce-mean-kl-mean": lambda x, y, kl, w: _bce(y, x).mean() + w * kl.mean(),
}
"""(pixels, reconstruction, KL [B, L], weight) → the loss as its authors compute it."""


@given(st.sampled_from(sorted(CONVENTIONS)), positive, scales)
def test_conventions_are_inverses(name: str, weight: float, scale: Scale) -> None:
    convention = CONVENTIONS[name]
    assert convention.weight(convention.beta(weight, scale), scale) == pytest.approx(weight)


@pytest.mark.parametrize("name", [name for name in CONVENTIONS if name != "nats"])
@pytest.mark.parametrize("sigma, std", [(0.1, 1.0), (0.3081, 0.3081), (0.7, 0.5)])
def test_both_losses_have_the_same_gradient_but_for_a_factor(
    name: str, sigma: float, std: float
) -> None:
    """Whoever minimises one minimises the other: measured at a random point, for every input."""
    torch.manual_seed(0)
    weight, latents = 0.3, 7
    x = torch.rand(4, 3, 8, 8).double()
    free = [torch.randn(4, n).double().requires_grad_() for n in (192, latents, latents)]

    def gradient(loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        x_hat, mu, logvar = free
        value = loss(x_hat.view_as(x), gaussian_kl(mu, logvar))
        return torch.cat([part.flatten() for part in torch.autograd.grad(value, free)])

    scale = Scale(192, latents, sigma, std)
    beta = CONVENTIONS[name].beta(weight, scale)
    bernoulli = CONVENTIONS[name].pixels == BERNOULLI

    def nll(x_hat: Tensor) -> Tensor:
        return bernoulli_nll(x_hat, x) if bernoulli else gaussian_nll(x_hat, x, sigma**2)

    s = 1.0 if bernoulli else std  # a probability is divided by nothing
    ours = gradient(lambda x_hat, kl: (nll(x_hat) + beta * kl.sum(1)).mean())
    theirs = gradient(lambda x_hat, kl: LITERAL[name](x / s, x_hat / s, kl, weight))
    factor = ours.norm() / theirs.norm()
    torch.testing.assert_close(ours, factor * theirs)


def test_known_numbers() -> None:
    """The course: w = 0.1, L = 5, P = 784, σ = s: 0.1·784/10. PyTorch-VAE: 64×64×3, [0, 1]."""
    course = Scale(784, 5, sigma=0.3081, pixel_std=0.3081)
    assert CONVENTIONS["mse-mean-kl-mean"].beta(0.1, course) == pytest.approx(7.84)
    faces = Scale(3 * 64 * 64, 128, sigma=1.0)
    assert CONVENTIONS["pytorch-vae"].beta(0.00025, faces) == pytest.approx(1.536)
    assert CONVENTIONS["pythae"].beta(1.0, faces) == pytest.approx(1.0)
    assert CONVENTIONS["nats"].beta(4.0, faces) == 4.0


def test_every_convention_has_its_literal_loss() -> None:
    assert set(LITERAL) == set(CONVENTIONS) - {"nats"}
