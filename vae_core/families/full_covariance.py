"""A VAE whose posterior may tilt: latents depend on each other within one image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.distributions import MultivariateNormal

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families.family import ELBO, Built, families
from vae_core.families.networks import latent_model
from vae_core.families.vae import VaeObjective, VaeOptions
from vae_core.losses import gaussian_log_density
from vae_core.models import Bottleneck, DensityPosterior
from vae_core.runs import DataCard
from vae_core.shares import normal_like


@dataclass(frozen=True)
class FullCovariancePosterior(DensityPosterior):
    """q(z|x) = N(mu, L·Lᵀ); mu [B, D], factor L [B, D, D], lower triangular."""

    mu: Tensor
    factor: Tensor

    def sample(self, generator: Generator | None = None) -> Tensor:
        """z = μ + L·ε (Kingma and Welling, An Introduction to VAEs (2019), section 2.5.1)."""
        noise = normal_like(self.mu, generator)
        return self.mu + (self.factor @ noise.unsqueeze(2)).squeeze(2)

    def mode(self) -> Tensor:
        return self.mu

    def log_variance(self) -> Tensor:
        return self.factor.square().sum(2).log()

    def log_prob(self, z: Tensor) -> Tensor:
        q = MultivariateNormal(self.mu, scale_tril=self.factor, validate_args=False)
        return q.log_prob(z)

    def log_densities(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.log_prob(z), gaussian_log_density(z, self.mu, self.log_variance())

    def standard_kl(self) -> Tensor:
        """½ (Σⱼ Lᵢⱼ² + μᵢ² − 1) − log Lᵢᵢ, in the order of the latents.

        Entry i is what dimension i adds once those before it are known, the expected
        KL(q(zᵢ | z₍<i₎) ‖ N(0, 1)). By the chain rule they add up to the whole:
        ½ (tr(L·Lᵀ) + μᵀμ − D) − Σ log Lᵢᵢ.

        Source: Cover and Thomas, Elements of Information Theory (2006), theorem 2.5.3 (chain
        rule); given z₍<i₎, zᵢ is Gaussian with variance Lᵢᵢ² and a mean whose square is
        μᵢ² + Σ₍j<i₎ Lᵢⱼ² on average.
        """
        squares = self.factor.square().sum(2)
        diagonal = self.factor.diagonal(dim1=1, dim2=2)
        return 0.5 * (squares + self.mu.square() - 1.0) - diagonal.log()

    def standardised(self, mu: Tensor, logvar: Tensor) -> FullCovariancePosterior:
        unit = (-0.5 * logvar).exp()
        return FullCovariancePosterior((self.mu - mu) * unit, self.factor * unit[:, None])


class FullCovariance(Bottleneck[FullCovariancePosterior]):
    """Three linear heads: the mean, and the diagonal and the rest of the Cholesky factor.

    The diagonal is predicted as its doubled logarithm and kept in the range of a log-variance; so
    the covariance is positive definite whatever the features are.

    Source: Kingma and Welling, An Introduction to VAEs (2019), section 2.5.1.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, features: int, latent_dim: int, logvar_range: tuple[float, float]) -> None:
        super().__init__()
        self.mu = nn.Linear(features, latent_dim)
        self.logvar = nn.Linear(features, latent_dim)
        # NumPy's: on the meta device torch's loads a library of symbols first, 3 s and 160 MB.
        rows, columns = map(torch.from_numpy, np.tril_indices(latent_dim, -1))
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)
        self.below = nn.Linear(features, len(rows))
        self.logvar_range = logvar_range

    def forward(self, features: Tensor) -> FullCovariancePosterior:
        """features [B, F] → N(mu, L·Lᵀ) over [B, latent_dim]."""
        diagonal = (0.5 * self.logvar(features).clamp(*self.logvar_range)).exp()
        images = torch.arange(features.shape[0], device=features.device)[:, None]
        below = (images, self.rows, self.columns)
        factor = torch.diag_embed(diagonal).index_put(below, self.below(features))
        return FullCovariancePosterior(self.mu(features), factor)


MOST_DIMENSIONS = 128
"""Half a square of them is predicted for every image: 8128 numbers."""


def check_latent_dim(config: RunConfig, data: DataCard, options: VaeOptions) -> None:
    """Refuse latents that cannot correlate, or whose covariance would be too large."""
    if not 2 <= config.model.latent_dim <= MOST_DIMENSIONS:
        raise UserError(
            f"model.latent_dim: a full covariance takes 2 to {MOST_DIMENSIONS} dimensions "
            f"(it is {config.model.latent_dim}); take family vae for others."
        )


@families.register(
    "full-covariance",
    label="VAE, full covariance",
    blurb="The cloud of each image may tilt, so that fewer latents fall idle.",
    formula=r"-\log p(x \mid z) + \beta\, D_{\mathrm{KL}}\!\left("
    r"\mathcal{N}(\mu, L L^{\top}) \,\|\, \mathcal{N}(0, I)\right)",
    when="A plain VAE leaves latents unused and you suspect its diagonal covariance.",
    paper="Kingma and Welling, An Introduction to VAEs (2019), section 2.5.1",
    terms=ELBO,
    options=VaeOptions,
    check=check_latent_dim,
)
def full_covariance(
    config: ModelConfig, data: DataCard, options: VaeOptions
) -> Built[DensityPosterior]:
    """Gaussian with any covariance, evidence lower bound."""
    bottleneck = partial(FullCovariance, logvar_range=config.logvar_range)
    model = latent_model(config, data, bottleneck)
    return model, VaeObjective(model.likelihood, options)
