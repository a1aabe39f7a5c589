"""Pure functions: tensors in, one value per image (or per image and dimension) out, in nats."""

from vae_core.losses.divergence import gaussian_kl
from vae_core.losses.likelihood import bernoulli_nll, gaussian_nll, optimal_variance

__all__ = ["bernoulli_nll", "gaussian_kl", "gaussian_nll", "optimal_variance"]
