"""Where new latents are drawn from; importing this registers them."""

from vae_core.latent.priors.prior import (
    NotLearned,
    Prior,
    PriorEntry,
    Weighing,
    priors,
    sample,
    suitable,
    weighing,
)

priors.discover(__name__, plugins="vae_core.priors")

__all__ = [
    "NotLearned",
    "Prior",
    "PriorEntry",
    "Weighing",
    "priors",
    "sample",
    "suitable",
    "weighing",
]
