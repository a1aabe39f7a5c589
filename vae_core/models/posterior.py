"""q(z|x), which an encoder returns for a batch of images, and p(z), which it is held against."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Self, TypeVar, get_args, overload

import torch
from torch import Generator, Tensor, nn

from vae_core.losses import gaussian_kl, gaussian_log_density
from vae_core.shares import normal_like

EVALUATION_DRAWS = 16
"""Draws of z for each image where its KL can only be estimated: a standard error of a quarter of
what one draw is off by. 10 000 images take 1.2 s of one core (100 components, 16 dimensions)."""


@dataclass(frozen=True)
class GaussianMixture:
    """p(z) = 1/K Σₖ N(z; mu_k, diag(exp(logvar_k))) over flattened latents; mu and logvar [K, D].

    Source: Tomczak and Welling, VAE with a VampPrior (2018), for mixtures as priors.
    """

    mu: Tensor
    logvar: Tensor

    @classmethod
    def standard_normal(cls, dims: int, device: torch.device | None = None) -> GaussianMixture:
        """N(0, I), a mixture of one."""
        zeros = torch.zeros((1, dims), device=device)
        return cls(zeros, zeros)

    @cached_property  # a GPU is waited for to know it
    def standard(self) -> bool:
        """Whether this is N(0, I)."""
        return len(self.mu) == 1 and not (self.mu.any() or self.logvar.any())

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats of flattened latents [B, D]: [B]."""
        each = gaussian_log_density(z[:, None], self.mu.to(z), self.logvar.to(z)).sum(2)
        return torch.logsumexp(each, 1) - math.log(len(self.mu))

    def marginal_log_prob(self, z: Tensor) -> Tensor:
        """log p(z_d) in nats of every dimension by itself, at flattened latents [B, D]: [B, D]."""
        each = gaussian_log_density(z[:, None], self.mu.to(z), self.logvar.to(z))
        return torch.logsumexp(each, 1) - math.log(len(self.mu))

    def first(self, dims: int) -> GaussianMixture:
        """p of the first so many dimensions."""
        return GaussianMixture(self.mu[:, :dims], self.logvar[:, :dims])


class Posterior(ABC):
    """q(z|x) of a batch of B images."""

    @abstractmethod
    def sample(self, generator: Generator | None = None) -> Tensor:
        """A reparameterised draw z, [B, *latent_shape]."""

    @abstractmethod
    def mode(self) -> Tensor:
        """The most likely z, [B, *latent_shape]."""

    def log_variance(self) -> Tensor | None:
        """log σ² of every dimension by itself, [B, *latent_shape]; None where codes are points."""
        return None

    def draws(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor] | None:
        """n draws z and log q(z|x) in nats at them, [n, B, *latent_shape] and [n, B]; None where
        codes are points, which no p(z) can be weighed against."""
        return None

    def of_image(self) -> Posterior:
        """q of the leading part of z that depends on the image alone: all of it, but the coarsest
        level where finer ones depend on coarser ones as well."""
        return self

    def kl(self, prior: GaussianMixture | None = None) -> Tensor | None:
        """KL(q(z|x) ‖ p(z)) of every dimension in nats, [B, D]; without a prior p(z) is N(0, I).
        None where it has no closed form, and for points, where it is infinite."""
        return None

    def divergence(
        self, prior: GaussianMixture | None = None, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor | None] | None:
        """KL(q(z|x) ‖ p(z)) of each image in nats, [B], and its standard error, [B].

        The error is None where the divergence has a closed form; all is None where it is
        undefined. An estimate may lie below 0 by as much as its error allows.
        """
        return None


class TractablePosterior(Posterior):
    """A posterior whose density is known at every point, so that its divergence from any prior can
    be estimated from draws."""

    @abstractmethod
    def log_variance(self) -> Tensor: ...

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z|x) in nats of draws z [n, B, *latent_shape]: [n, B]."""

    def draw(self, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """A draw z, [B, *latent_shape], and log q(z|x) in nats, [B]."""
        z = self.sample(generator)
        return z, self.log_prob(z[None])[0]

    def draws(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        z, log_q = zip(*(self.draw(generator) for _ in range(n)), strict=True)
        return torch.stack(z), torch.stack(log_q)

    def log_ratio(self, z: Tensor, prior: GaussianMixture | None = None) -> Tensor:
        """log q(z|x) − log p(z) in nats at draws z [n, B, *latent_shape], [n, B].

        An unbiased estimate of the KL where z is drawn from q; single ones may be below 0.

        Source: Tomczak and Welling, VAE with a VampPrior (2018), equation 5.
        """
        return self.log_prob(z) - log_prior(z, prior)

    def kl_draws(
        self, n: int, prior: GaussianMixture | None = None, generator: Generator | None = None
    ) -> Tensor:
        """n unbiased estimates of KL(q(z|x) ‖ p(z)) in nats, [n, B]."""
        z, log_q = self.draws(n, generator)
        return log_q - log_prior(z, prior)

    def divergence(
        self, prior: GaussianMixture | None = None, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor | None]:
        known = self.kl(prior)
        if known is not None:
            return known.sum(1), None
        return mean_and_error(self.kl_draws(EVALUATION_DRAWS, prior, generator))

    def log_densities(self, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """log q(z|x) in nats, [n, B], and log q(z_d|x) of every dimension by itself, [n, B, D], at
        draws z [n, B, *latent_shape]; None for the latter where it has no closed form."""
        return self.log_prob(z), None


class DensityPosterior(TractablePosterior):
    """A posterior whose divergence from a Gaussian prior has a closed form."""

    @abstractmethod
    def standard_kl(self) -> Tensor:
        """KL(q(z|x) ‖ N(0, I)) of every dimension in nats, [B, D]."""

    @abstractmethod
    def standardised(self, mu: Tensor, logvar: Tensor) -> Self:
        """q of (z − μ) / σ; mu and logvar [*latent_shape]."""

    @overload
    def kl(self, prior: None = None) -> Tensor: ...
    @overload
    def kl(self, prior: GaussianMixture | None = None) -> Tensor | None: ...
    def kl(self, prior: GaussianMixture | None = None) -> Tensor | None:
        """As of any posterior; None for a mixture of several Gaussians, which is estimated."""
        if prior is None or prior.standard:
            return self.standard_kl()
        if len(prior.mu) > 1:
            return None
        # In units of the prior that prior is N(0, I), and a divergence minds no units.
        shape = self.mode().shape[1:]
        return self.standardised(prior.mu.view(shape), prior.logvar.view(shape)).standard_kl()


def log_prior(z: Tensor, prior: GaussianMixture | None = None) -> Tensor:
    """log p(z) in nats of draws z [n, B, *latent_shape], [n, B]; without a prior of N(0, I)."""
    p = prior or GaussianMixture.standard_normal(z[0, 0].numel(), z.device)
    # One draw after the other: every point meets every component.
    return torch.stack([p.log_prob(each.flatten(1)) for each in z])


def mean_and_error(each: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of n estimates [n, B] and its standard error, [B] both."""
    return each.mean(0), each.std(0) / len(each) ** 0.5


P_co = TypeVar("P_co", bound=Posterior, covariant=True)


class Bottleneck(nn.Module, Generic[P_co]):
    """From the encoder's features to q(z|x), whose class is its parameter."""

    posterior: type[Posterior] = Posterior  # type: ignore[type-abstract]
    """That class at run time."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.posterior = posterior_class(cls) or cls.posterior


def posterior_class(generic: type) -> type[Posterior] | None:
    """The class of posterior that a subclass of a generic class names in brackets."""
    for base in generic.__dict__.get("__orig_bases__", ()):
        for argument in get_args(base):
            if isinstance(argument, type) and issubclass(argument, Posterior):
                return argument
    return None


@dataclass(frozen=True)
class PointPosterior(Posterior):
    """All mass on one code; z [B, *latent_shape]."""

    z: Tensor

    def sample(self, generator: Generator | None = None) -> Tensor:
        """The code itself."""
        return self.z

    def mode(self) -> Tensor:
        return self.z


class Deterministic(Bottleneck[PointPosterior]):
    """z is a linear map of the features, passed through `activation` where there is one."""

    def __init__(self, features: int, latent_dim: int, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.z = nn.Linear(features, latent_dim)
        self.activation = activation or nn.Identity()

    def forward(self, features: Tensor) -> PointPosterior:
        """features [B, F] → codes [B, latent_dim]."""
        return PointPosterior(self.activation(self.z(features)))


@dataclass(frozen=True)
class GaussianPosterior(DensityPosterior):
    """q(z|x) = N(mu, diag(exp(logvar))); mu and logvar [B, *latent_shape]."""

    mu: Tensor
    logvar: Tensor

    def sample(self, generator: Generator | None = None) -> Tensor:
        """z = μ + σ·ε (Kingma and Welling 2014, section 2.4), [B, *latent_shape]."""
        return self.mu + (0.5 * self.logvar).exp() * normal_like(self.mu, generator)

    def mode(self) -> Tensor:
        return self.mu

    def log_variance(self) -> Tensor:
        return self.logvar

    def log_prob(self, z: Tensor) -> Tensor:
        return gaussian_log_density(z, self.mu, self.logvar).flatten(2).sum(2)

    def log_densities(self, z: Tensor) -> tuple[Tensor, Tensor]:
        each = gaussian_log_density(z, self.mu, self.logvar).flatten(2)
        return each.sum(2), each

    def standard_kl(self) -> Tensor:
        return gaussian_kl(self.mu, self.logvar).flatten(1)

    def standardised(self, mu: Tensor, logvar: Tensor) -> GaussianPosterior:
        return GaussianPosterior((self.mu - mu) * (-0.5 * logvar).exp(), self.logvar - logvar)


class DiagonalGaussian(Bottleneck[GaussianPosterior]):
    """Two linear heads: the mean, and the scale as log σ² or as log σ."""

    def __init__(
        self, features: int, latent_dim: int, scale_head: str, logvar_range: tuple[float, float]
    ) -> None:
        super().__init__()
        self.mu = nn.Linear(features, latent_dim)
        self.scale = nn.Linear(features, latent_dim)
        self.logvar_per_scale = {"logvar": 1.0, "logsigma": 2.0}[scale_head]
        self.logvar_range = logvar_range

    def forward(self, features: Tensor) -> GaussianPosterior:
        """features [B, F] → N(mu, σ²) over [B, latent_dim]."""
        logvar = (self.logvar_per_scale * self.scale(features)).clamp(*self.logvar_range)
        return GaussianPosterior(self.mu(features), logvar)
