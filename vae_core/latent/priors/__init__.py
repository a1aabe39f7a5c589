"""Where new latents are drawn from; importing this registers them."""

from vae_core.latent.priors import autoregressive, codes, gaussian_mixture
from vae_core.latent.priors.prior import Prior, priors, sample, suitable

__all__ = [
    "Prior",
    "autoregressive",
    "codes",
    "gaussian_mixture",
    "priors",
    "sample",
    "suitable",
]
