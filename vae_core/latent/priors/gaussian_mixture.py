"""Gaussians fitted to where images are encoded, the width of their posteriors included."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Generator, Tensor
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from vae_core.errors import UserError
from vae_core.latent.encodings import load_encodings
from vae_core.latent.priors.prior import load_prior, priors, save_prior
from vae_core.models import LatentModel
from vae_core.runs import Run

NAME = "gaussian-mixture"
VERSION = 2
"""1 was fitted to posterior means alone, and drew too close to them."""

COMPONENTS = 10
FULL_UP_TO = 32
"""Dimensions up to which components have a full covariance; beyond it has more numbers than the
encodings can tell."""


@dataclass(frozen=True)
class Mixture:
    """weights [K], means [K, D], factors [K, D, D]: each covariance is factor · factorᵀ.

    Beyond 32 dimensions factors are [K, D], the deviations of independent ones.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def sample(self, n: int, generator: Generator | None, temperature: float) -> Tensor:
        """n draws, deviations times `temperature`, [n, D]."""
        chosen = torch.multinomial(self.weights, n, True, generator=generator)
        noise = torch.randn((n, self.means.shape[1]), generator=generator)
        factors = self.factors[chosen]
        tilted = (factors @ noise[..., None])[..., 0] if factors.ndim == 3 else factors * noise
        return self.means[chosen] + temperature * tilted

    def log_prob(self, v: Tensor) -> Tensor:
        """log p(v) in nats of flattened latents [B, D]: [B]."""
        weights, means, factors = (part.to(v) for part in vars(self).values())
        each = (
            MultivariateNormal(means, scale_tril=factors, validate_args=False)
            if factors.ndim == 3
            else Independent(Normal(means, factors, validate_args=False), 1)
        )
        mixture = MixtureSameFamily(Categorical(weights), each, validate_args=False)
        return mixture.log_prob(v)


def fit(mu: np.ndarray, logvar: np.ndarray | None = None, components: int = COMPONENTS) -> Mixture:
    """The mixture that fits q(z) = 1/N Σ N(mu_n, diag(exp(logvar_n))), by expectation maximisation.

    The means [N, D] say which component each image belongs to, r_nk; then each covariance takes in
    the widths, Σ_n r_nk σ_n² / Σ_n r_nk, as it does in the M-step for q(z). So the mixture has the
    variance of q(z), where the means alone have less.
    Of deterministic codes, without logvar, q(z) is the means. Fewer than two are a `UserError`.
    """
    from sklearn.mixture import GaussianMixture  # seconds to import

    if len(mu) < 2:
        raise UserError("A mixture is fitted to at least 2 encodings; this run has one.")

    full = mu.shape[1] <= FULL_UP_TO
    # A component needs more points than dimensions, and two that differ.
    most = min(len(mu) // (mu.shape[1] + 1 if full else 2), len(np.unique(mu, axis=0)))
    found = GaussianMixture(
        max(1, min(components, most)), covariance_type="full" if full else "diag", random_state=0
    ).fit(mu.astype(np.float64))
    covariances = found.covariances_
    if logvar is not None:
        belongs = found.predict_proba(mu.astype(np.float64))  # [N, K]
        widths = belongs.T @ np.exp(logvar.astype(np.float64))
        widths /= np.maximum(belongs.sum(axis=0), np.finfo(np.float64).tiny)[:, None]
        covariances = covariances + (widths[:, None] * np.eye(mu.shape[1]) if full else widths)
    factors = np.linalg.cholesky(covariances) if full else np.sqrt(covariances)
    parts = (found.weights_, found.means_, factors)
    return Mixture(*(torch.from_numpy(part).float() for part in parts))


@priors.register(
    NAME,
    label="Gaussian mixture",
    blurb="Ten Gaussians fitted to the encodings: draws where the decoder was trained.",
    paper="Ghosh et al., From Variational to Deterministic Autoencoders (2020), section 4",
)
@dataclass(frozen=True)
class GaussianMixturePrior:
    """The mixture that the run keeps, fitted when it is first needed."""

    run: Run
    model: LatentModel

    def sample(self, n: int, generator: Generator | None, temperature: float) -> Tensor:
        v = self.mixture().sample(n, generator, temperature)
        return self.model.unflatten(v.to(self.model.device))

    def log_prob(self, z: Tensor) -> Tensor:
        return self._fitted.log_prob(self.model.flatten(z))

    @cached_property
    def _fitted(self) -> Mixture:
        return self.mixture()

    def mixture(self) -> Mixture:
        """The fitted mixture; raises as `load_encodings`."""
        tensors = load_prior(self.run, NAME, VERSION, self._fits)
        if tensors is not None:
            return Mixture(**tensors)
        encodings = load_encodings(self.run)
        mixture = fit(encodings.mu, encodings.logvar)
        save_prior(self.run, NAME, dict(vars(mixture)), encodings.step, VERSION)
        return mixture

    def _fits(self, tensors: dict[str, Tensor]) -> bool:
        weights, means, factors = (tensors[name] for name in ("weights", "means", "factors"))
        size, full = self.model.latent_size, factors.ndim == 3
        return (
            tensors.keys() == {"weights", "means", "factors"}
            and all(t.dtype == torch.float32 and bool(t.isfinite().all()) for t in tensors.values())
            and means.shape == (len(weights), size)
            and factors.shape == (len(weights), size, *([size] * full))
            and bool((weights >= 0).all() and weights.sum() > 0)
        )
