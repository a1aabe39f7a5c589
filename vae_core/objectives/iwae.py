"""The importance-weighted bound: k draws that compete."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vae_core.losses.density import gaussian_log_density, standard_normal_log_density
from vae_core.losses.importance import effective_draws, importance_bound
from vae_core.models.likelihoods import Likelihood
from vae_core.objectives.objective import MODEL, Objective
from vae_core.objectives.vae import rate
from vae_core.settings import Settings, setting
from vae_core.types import Context, LossTerms, Output, Term


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


class IwaeObjective(Objective):
    """−log 1/k Σ p(x, z_i)/q(z_i|x).

    Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders (2016), equation 8.
    The other gradient: Tucker, Lawson, Gu and Maddison, Doubly Reparameterized Gradient
    Estimators for Monte Carlo Objectives (2019).
    """

    def __init__(self, likelihood: Likelihood, options: IwaeOptions) -> None:
        super().__init__(likelihood)
        self.samples = options.samples
        self.doubly = options.gradient == "doubly reparameterised"

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        nll = self.nll(x, output)
        z = output.z.unflatten(0, nll.shape)
        mu, logvar = (output.posterior.aux[name] for name in ("mu", "logvar"))
        if self.doubly:
            # The density's own dependence on the encoder is what the estimator rewrites.
            mu, logvar = mu.detach(), logvar.detach()
        log_q = gaussian_log_density(z, mu, logvar).sum(2)
        log_w = standard_normal_log_density(z).sum(2) - nll - log_q
        bound = importance_bound(log_w)
        if self.doubly and output.z.requires_grad:
            _square_weights_at(output.z, log_w)
        return {
            MODEL: {
                "bound": Term(-bound),
                "recon": Term(nll.detach().mean(0), 0.0),
                "kl": Term(rate(output.posterior).detach(), 0.0),
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
