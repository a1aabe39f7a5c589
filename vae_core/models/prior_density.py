"""The density of a prior over flattened latents."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vae_core.losses.mixture import mixture_log_density


@dataclass(frozen=True)
class PriorDensity:
    """p(z) = 1/K Σₖ N(z; mu_k, diag(exp(logvar_k))); mu and logvar [K, D]. N(0, I) is one of K = 1.

    Source: Tomczak and Welling, VAE with a VampPrior (2018), for mixtures as priors.
    """

    mu: Tensor
    logvar: Tensor

    @property
    def standard(self) -> bool:
        """Whether this is N(0, I)."""
        return len(self.mu) == 1 and not (self.mu.any() or self.logvar.any())

    def log_density(self, v: Tensor) -> Tensor:
        """log p in nats of flattened latents v [B, D]: [B]."""
        return mixture_log_density(v, self.mu.to(v), self.logvar.to(v))
