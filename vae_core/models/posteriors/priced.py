"""A Gaussian under a prior that has no closed form: what it costs is estimated from draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from vae_core.losses.density import gaussian_log_density
from vae_core.losses.mixture import mixture_log_density
from vae_core.models.posteriors.gaussian import GaussianPosterior


@dataclass(frozen=True)
class MixturePricedPosterior(GaussianPosterior):
    """q(z|x) = N(mu, diag(exp(logvar))) under an even mixture of Gaussians; mu, logvar [B, D].

    prior: makes the components, mu and logvar [K, D]; called when a price is asked for.
    """

    prior: Callable[[], GaussianPosterior]

    def kl(self) -> None:
        """No closed form; see `kl_draws`."""
        return None

    def kl_of(self, z: Tensor) -> Tensor:
        """log q(z|x) − log p(z) in nats at draws z [n, B, D]: [n, B]. Single ones may be below 0.

        Source: Tomczak and Welling, VAE with a VampPrior (2018), equation 5.
        """
        prior = self.prior()
        log_q = gaussian_log_density(z, self.mu, self.logvar).sum(2)
        # One draw after the other: every point meets every component.
        log_p = torch.stack([mixture_log_density(each, prior.mu, prior.logvar) for each in z])
        return log_q - log_p

    def kl_draws(self, n: int, generator: Generator | None = None) -> Tensor:
        """n unbiased estimates of KL(q(z|x) ‖ p(z)) in nats, [n, B]."""
        return self.kl_of(torch.stack([self.sample(generator) for _ in range(n)]))
