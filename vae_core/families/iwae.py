"""The importance-weighted autoencoder: k draws that compete."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from vae_core.families.family import KL, RECON, Quantity, families
from vae_core.families.networks import on_diagonal_gaussian
from vae_core.losses import standard_normal_log_density
from vae_core.models import GaussianPosterior, Likelihood, Output
from vae_core.objective import MODEL, Objective
from vae_core.settings import Settings, setting
from vae_core.types import Context, Losses, Term


class IwaeOptions(Settings):
    """How many draws, and how their gradient is taken."""

    samples: int = setting(
        5,
        "Draws k",
        "Draws for each image; more tighten the bound, and a step takes that many decodings.",
        ge=1,
        le=256,
    )
    gradient: Literal["plain", "doubly reparameterised"] = setting(
        "plain",
        "Gradient",
        "doubly reparameterised keeps the encoder learning where k is large.",
        more=True,
    )


class IwaeObjective(Objective[GaussianPosterior]):
    """−log 1/k Σ p(x, z_i)/q(z_i|x).

    Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders (2016), equation 8.
    The other gradient: Tucker, Lawson, Gu and Maddison, Doubly Reparameterized Gradient
    Estimators for Monte Carlo Objectives (2019).
    """

    def __init__(self, likelihood: Likelihood, options: IwaeOptions) -> None:
        super().__init__(likelihood, options)
        self.samples = options.samples
        self.doubly = options.gradient == "doubly reparameterised"

    def losses(self, x: Tensor, output: Output[GaussianPosterior], context: Context) -> Losses:
        nll = self.nll(x, output, context)
        z = output.z.unflatten(0, nll.shape)
        q = output.posterior
        if self.doubly:
            # The density's own dependence on the encoder is what the estimator rewrites.
            q = GaussianPosterior(q.mu.detach(), q.logvar.detach())
        log_w = standard_normal_log_density(z).sum(2) - nll - q.log_prob(z)
        bound = importance_bound(log_w)
        if self.doubly and output.z.requires_grad:
            _square_weights_at(output.z, log_w)
        return {
            MODEL: {
                "bound": Term(-bound),
                "recon": Term(nll.detach().mean(0), 0.0),
                "kl": Term(output.posterior.kl().sum(1).detach(), 0.0),
                "effective_draws": Term(effective_draws(log_w.detach()), 0.0),
            }
        }


def _square_weights_at(z: Tensor, log_w: Tensor) -> None:
    """Multiply the gradient that passes through draw i by its normalised weight once more.

    The gradient of the bound weighs ∂log w_i/∂z_i by w_i/Σw; the encoder's share of the doubly
    reparameterised gradient weighs it by (w_i/Σw)², the decoder's keeps its weight.
    """
    weights = torch.softmax(log_w.detach(), 0).flatten()
    z.register_hook(lambda gradient: gradient * weights.view(-1, *[1] * (z.ndim - 1)))


def importance_bound(log_w: Tensor) -> Tensor:
    """log 1/k Σ w of importance weights w = p(x, z)/q(z|x): log w [k, B] → nats, [B].

    With k = 1 it is a draw of the ELBO; it rises with k towards log p(x).

    Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders (2016), equation 8.
    """
    return torch.logsumexp(log_w, 0) - math.log(len(log_w))


def effective_draws(log_w: Tensor) -> Tensor:
    """(Σ w)² / Σ w²: as how many of k draws they count, from 1 to k, [B]."""
    return (2 * torch.logsumexp(log_w, 0) - torch.logsumexp(2 * log_w, 0)).exp()


families.register(
    "iwae",
    label="IWAE",
    blurb="Several draws compete for each image, so the bound comes closer to log p(x).",
    formula=r"-\log \frac{1}{k} \sum_{i=1}^{k} \frac{p(x, z_i)}{q(z_i \mid x)}, "
    r"\\ z_i \sim q(z \mid x)",
    when="You want the best likelihood and more latents in use; a step takes k decodings.",
    paper="Burda et al. (2016), equation 8; doubly reparameterised: Tucker et al. (2019)",
    terms={
        "bound": Quantity("−log p̂(x), k draws", help="The importance-weighted bound, negated."),
        "recon": RECON,
        "kl": KL,
        "effective_draws": Quantity(
            "Effective draws", "draws", help="As how many of the k draws they count."
        ),
    },
    options=IwaeOptions,
)(on_diagonal_gaussian(IwaeObjective))
