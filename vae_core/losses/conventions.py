"""β between the conventions of tutorials and nats per image.

Tutorials weigh a mean squared error against a KL. Their loss, times a constant, is the Gaussian
−log p(x|z) + β·KL of this product: multiply `mse.mean()` by P·s²/(2σ²) and it becomes the squared
error in nats. P is the number of values of an image (C·H·W), L the number of latent dimensions, σ
the Gaussian's deviation on the [0, 1] scale, s the deviation by which the tutorial divided pixels.
"""

from __future__ import annotations


def beta_from_mse_mean_kl_sum(
    weight: float, values: int, *, sigma: float, pixel_std: float = 1.0
) -> float:
    """β in nats of `mse.mean() + weight · kl.sum(dim).mean()`: w·P·s² / (2σ²)."""
    return weight * values * pixel_std**2 / (2 * sigma**2)


def beta_from_mse_mean_kl_mean(
    weight: float, values: int, latent_dim: int, *, sigma: float, pixel_std: float = 1.0
) -> float:
    """β in nats of `mse.mean() + weight · kl.mean()`: w·P·s² / (2σ²·L)."""
    beta = beta_from_mse_mean_kl_sum(weight, values, sigma=sigma, pixel_std=pixel_std)
    return beta / latent_dim


def mse_mean_kl_sum_weight(
    beta: float, values: int, *, sigma: float, pixel_std: float = 1.0
) -> float:
    """The inverse of `beta_from_mse_mean_kl_sum`."""
    return beta / beta_from_mse_mean_kl_sum(1.0, values, sigma=sigma, pixel_std=pixel_std)


def mse_mean_kl_mean_weight(
    beta: float, values: int, latent_dim: int, *, sigma: float, pixel_std: float = 1.0
) -> float:
    """The inverse of `beta_from_mse_mean_kl_mean`."""
    return latent_dim * mse_mean_kl_sum_weight(beta, values, sigma=sigma, pixel_std=pixel_std)
