"""A prior that is learned: the mean of the posteriors of some learned pictures."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn

from vae_core.models.latent_model import LatentModel
from vae_core.models.posteriors import GaussianPosterior, MixturePricedPosterior, normal_like
from vae_core.models.prior_density import PriorDensity
from vae_core.models.statistics import running_statistics


class VampModel(LatentModel):
    """p(z) = 1/K Σₖ q(z|uₖ), with K pictures u that are learned like weights.

    Source: Tomczak and Welling, VAE with a VampPrior (2018).
    """

    def __init__(self, image_shape: tuple[int, int, int], *parts: Any, components: int) -> None:
        """`parts` as of `LatentModel`, the bottleneck one for diagonal Gaussians."""
        super().__init__(image_shape, *parts)
        self.pseudo_logits = nn.Parameter(torch.randn(components, *image_shape))

    def pseudo_inputs(self) -> Tensor:
        """The learned pictures in [0, 1], [K, C, H, W]."""
        return torch.sigmoid(self.pseudo_logits)

    def components(self) -> GaussianPosterior:
        """What the prior is a mixture of; mu and logvar [K, D].

        The prior is one distribution, whatever images are at hand: the learned pictures are
        normalised by the running statistics of the images, in training too, and are no part of
        them.
        """
        with running_statistics(self.encoder):
            posterior = super().encode(self.pseudo_inputs())
        assert isinstance(posterior, GaussianPosterior)
        return posterior

    @torch.no_grad()
    def prior(self) -> PriorDensity:
        """The mixture as it is now."""
        components = self.components()
        return PriorDensity(components.mu, components.logvar)

    def encode(self, x: Tensor) -> MixturePricedPosterior:
        posterior = super().encode(x)
        assert isinstance(posterior, GaussianPosterior)
        return MixturePricedPosterior(posterior.mu, posterior.logvar, self.components)

    @torch.no_grad()
    def sample_prior(
        self, n: int, generator: Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """n draws from the mixture, deviations times `temperature`, [n, D]."""
        mixture = self.components()
        chosen = torch.randint(len(mixture.mu), (n,), generator=generator, device=mixture.mu.device)
        mu, logvar = mixture.mu[chosen], mixture.logvar[chosen]
        return mu + temperature * (0.5 * logvar).exp() * normal_like(mu, generator)
