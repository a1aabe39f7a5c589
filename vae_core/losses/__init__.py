"""Pure functions that several variants or metrics share: tensors in, nats out, one value for each
image (or each image and dimension). A loss that one variant alone uses lies in its file."""

from vae_core.losses.gaussian import gaussian_kl
from vae_core.losses.likelihood import bernoulli_nll, gaussian_nll, optimal_variance

__all__ = ["bernoulli_nll", "gaussian_kl", "gaussian_nll", "optimal_variance"]
