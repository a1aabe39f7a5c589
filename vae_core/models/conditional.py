"""A model that is told the label of each image, on both sides."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_core.models.backbones import Backbone
from vae_core.models.latent_model import LatentModel
from vae_core.models.likelihoods import Likelihood
from vae_core.types import Posterior

UNKNOWN = -1
"""The label of an image of which none is known."""


class ConditionalModel(LatentModel):
    """The encoder sees a label as constant channels, the decoder beside the latents.

    Without `given` it works as for images of which no label is known.

    Source: Sohn, Lee and Yan, Learning Structured Output Representation using Deep Conditional
    Generative Models (2015), with p(z) = N(0, I) whatever the label.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_shape: tuple[int, ...],
        backbone: Backbone,
        bottleneck: nn.Module,
        likelihood: Likelihood,
        pixel_mean: float = 0.0,
        pixel_std: float = 1.0,
        *,
        labels: int,
    ) -> None:
        """`backbone` takes `labels` channels more and `labels` latents more than it says."""
        super().__init__(
            image_shape, latent_shape, backbone, bottleneck, likelihood, pixel_mean, pixel_std
        )
        self.labels = labels
        self._given: Tensor | None = None

    def given(self, labels: Tensor) -> ConditionalModel:
        """This model for images of these labels, int64 [B] or [1] for all; −1 is unknown.

        A view: weights are shared, and this model stays as it is.
        """
        view = copy.copy(self)
        view._given = labels
        return view

    def encode(self, x: Tensor) -> Posterior:
        x = self.normalised(x)
        planes = self._codes(x.shape[0], x)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        posterior: Posterior = self.bottleneck(self.encoder(torch.cat([x, planes], 1)))
        return posterior

    def decode(self, z: Tensor) -> Tensor:
        x_logits: Tensor = self.decoder(torch.cat([z, self._codes(z.shape[0], z)], 1))
        return x_logits

    def _codes(self, rows: int, like: Tensor) -> Tensor:
        """One-hot rows [rows, labels], all 0 where the label is unknown.

        Labels of a batch are repeated for every draw of it.
        """
        if self._given is None:
            return like.new_zeros(rows, self.labels)
        # One place more for the unknown, which is cut off again.
        codes = functional.one_hot(self._given.to(like.device) % (self.labels + 1), self.labels + 1)
        # len() would tie an exported graph to one batch size.
        return codes[:, :-1].to(like.dtype).repeat(rows // codes.shape[0], 1)
