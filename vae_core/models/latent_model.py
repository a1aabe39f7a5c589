"""The contract of every model: images in [0, 1] to a posterior, latents to logits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Generic

import torch
from torch import Generator, Tensor, nn

from vae_core.models.backbones import Backbone
from vae_core.models.dial import Dial
from vae_core.models.likelihoods import Likelihood
from vae_core.models.posterior import (
    Bottleneck,
    GaussianMixture,
    P_co,
    PointPosterior,
    Posterior,
)


@dataclass(frozen=True)
class Output(Generic[P_co]):
    """One pass through a model: the posterior, the z drawn from it, the logits decoded from z.

    With k draws of z for each of B images, z and x_logits are [k·B, …], one whole batch after
    the other. `extra` holds what else an objective had computed during the pass; `prior` is p(z)
    where an objective needs another than N(0, I).
    """

    posterior: P_co
    z: Tensor
    x_logits: Tensor
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    prior: GaussianMixture | None = None


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Within it the modules are in evaluation mode; afterwards each is in the mode it was in."""
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.train(mode)


class LatentModel(nn.Module, Generic[P_co]):
    """A backbone, a bottleneck between its halves, and a likelihood at its end.

    Its parameter is the class of q(z|x), which `posterior` says at run time. Subclasses with
    another latent structure override `latent_shapes`, `encode`, `decode`, `sample_prior` and
    `prior`, and `flatten` and `unflatten`, through which all latent tools work.
    """

    labels = 0
    """Number of labels that a conditional model can be given."""

    dial: Dial | None = None
    """A number that the model can be told; None for most."""

    shown_channels: tuple[int, int, int] | None = None
    """Which three channels a person is shown, from 1; None for the first ones."""

    no_density = ""
    """Where the model has no density p(z): the sentence that says why."""

    no_encoder = ""
    """Where the model only decodes: the sentence that says what that leaves out."""

    @property
    def latent_note(self) -> str:
        """What a person who moves latents should know, one sentence; "" where there is nothing."""
        return ""

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_shape: tuple[int, ...],
        backbone: Backbone,
        bottleneck: nn.Module,
        likelihood: Likelihood,
        pixel_mean: float = 0.0,
        pixel_std: float = 1.0,
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.latent_shapes: tuple[tuple[int, ...], ...] = (latent_shape,)
        self.encoder = backbone.encoder
        self.bottleneck = bottleneck
        self.decoder = backbone.decoder
        self.likelihood = likelihood
        self.pixel_mean = pixel_mean
        self.pixel_std = pixel_std

    @property
    def latent_size(self) -> int:
        """Dimensions of the flattened latent, D."""
        return sum(math.prod(shape) for shape in self.latent_shapes)

    @property
    def posterior(self) -> type[Posterior]:
        """The class of what `encode` returns."""
        assert isinstance(self.bottleneck, Bottleneck)
        return self.bottleneck.posterior

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(chain(self.parameters(), self.buffers())).device

    def conditioned(self, labels: Tensor | None) -> LatentModel[P_co]:
        """The model as it is for images of these labels, int64 [B]; itself unless conditional, and
        where none are known."""
        return self

    def dialled(self, value: Tensor | float | None) -> LatentModel[P_co]:
        """The model as it is at this value of its `dial`: one for all, or one for each image, [B];
        itself without a dial, and at None as usual."""
        return self

    def encode(self, x: Tensor) -> P_co:
        """q(z|x) of images in [0, 1], [B, C, H, W]."""
        return self.bottleneck(self.encoder(self.normalised(x)))

    def normalised(self, x: Tensor) -> Tensor:
        """Images as the encoder is used to see them."""
        if (self.pixel_mean, self.pixel_std) == (0.0, 1.0):
            return x
        return (x - self.pixel_mean) / self.pixel_std

    def decode(self, z: Tensor) -> Tensor:
        """Logits of p(x|z): [B, C, H, W], or more channels where the likelihood asks for them."""
        return self.decoder(z)

    def forward(self, x: Tensor, generator: Generator | None = None) -> Output[P_co]:
        """Encode, draw one z for each image, decode."""
        posterior = self.encode(x)
        z = posterior.sample(generator)
        return Output(posterior, z, self.decode(z))

    def picture(self, x_logits: Tensor) -> Tensor:
        """The image to show for logits: the mean of p(x|z) clamped to [0, 1], [B, C, H, W]."""
        return self.likelihood.mean(x_logits).clamp(0.0, 1.0)

    def sample_prior(
        self, n: int, generator: Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """n draws from N(0, temperature²·I), [n, *latent_shape]."""
        shape = (n, *self.latent_shapes[0])
        return temperature * torch.randn(shape, generator=generator, device=self.device)

    def prior(self) -> GaussianMixture | None:
        """p(z) over flattened latents, N(0, I); None where `no_density` says that there is none."""
        return GaussianMixture.standard_normal(self.latent_size, self.device)

    def flatten(self, z: Tensor) -> Tensor:
        """The [B, D] view that PCA, sliders and scatter plots use."""
        return z.flatten(1)

    def unflatten(self, v: Tensor) -> Tensor:
        """The inverse of `flatten`."""
        return v.unflatten(1, self.latent_shapes[0])

    def weight_count(self) -> int:
        """Number of trained weights."""
        return sum(parameter.numel() for parameter in self.parameters())


class Autoencoder(LatentModel[PointPosterior]):
    """Codes are where the encoder puts them; what `sample_prior` draws is a guess where."""

    no_density = "Nothing draws the codes of this model towards a prior."

    def prior(self) -> None:
        """There is none."""
        return None
