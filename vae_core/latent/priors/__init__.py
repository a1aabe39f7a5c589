"""Where new latents are drawn from; importing this registers them."""

from vae_core.latent.priors import autoregressive, codes, gaussian_mixture
from vae_core.latent.priors.prior import NotLearned, Prior, PriorEntry, priors, sample, suitable

__all__ = [
    "NotLearned",
    "Prior",
    "PriorEntry",
    "autoregressive",
    "codes",
    "gaussian_mixture",
    "priors",
    "sample",
    "suitable",
]
