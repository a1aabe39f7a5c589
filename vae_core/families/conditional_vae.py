"""The conditional VAE: both sides are told the label of each image."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vae_core.config import ModelConfig
from vae_core.families.family import ELBO, Built, families
from vae_core.families.networks import assembled, backbone_between, gaussian_head
from vae_core.families.vae import VaeObjective, VaeOptions
from vae_core.models import (
    DensityPosterior,
    GaussianPosterior,
    LatentModel,
    Output,
)
from vae_core.runs import DataCard
from vae_core.settings import setting
from vae_core.shares import uniform_like
from vae_core.types import Context

UNKNOWN_LABEL = -1
"""The label of an image of which none is known."""


class ConditionalOptions(VaeOptions):
    """β, and how often a label is withheld."""

    withheld: float = setting(
        0.1,
        "Labels withheld",
        "Share of training images shown without their label, so that the model works without too.",
        more=True,
        ge=0,
        lt=1,
    )


class ConditionalObjective(VaeObjective):
    """−log p(x|z, y) + β · KL(q(z|x, y) ‖ p(z)).

    Source: Sohn, Lee and Yan (2015), with p(z) for p(z|y). Withheld labels: Ho and Salimans,
    Classifier-Free Diffusion Guidance (2022), algorithm 1.
    """

    options: ConditionalOptions

    def forward(
        self, model: LatentModel[DensityPosterior], x: Tensor, context: Context
    ) -> Output[DensityPosterior]:
        if self.training and context.labels is not None:
            chance = uniform_like(x.flatten(1)[:, 0], context.generator)
            labels = context.labels.masked_fill(chance < self.options.withheld, UNKNOWN_LABEL)
            context = replace(context, labels=labels)
        return super().forward(model, x, context)


class ConditionalModel(LatentModel[GaussianPosterior]):
    """The encoder sees a label as constant channels, the decoder beside the latents; unless
    `conditioned`, none is known.

    Source: Sohn, Lee and Yan, Learning Structured Output Representation using Deep Conditional
    Generative Models (2015), with p(z) = N(0, I) whatever the label.
    """

    def __init__(self, *parts: Any, labels: int) -> None:
        """`parts` as of `LatentModel`, the backbone one that takes `labels` channels more than
        images have and `labels` latents more than there are."""
        super().__init__(*parts)
        self.labels = labels
        self._labels: Tensor | None = None

    def conditioned(self, labels: Tensor | None) -> ConditionalModel:
        """A view of this model, with the same weights, for images of these labels, int64 [B] or [1]
        for all; −1 is unknown."""
        if labels is None:
            return self
        view = copy.copy(self)
        view._labels = labels
        return view

    def encode(self, x: Tensor) -> GaussianPosterior:
        x = self.normalised(x)
        planes = self._one_hot(x.shape[0], x)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return self.bottleneck(self.encoder(torch.cat([x, planes], 1)))

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(torch.cat([z, self._one_hot(z.shape[0], z)], 1))

    def _one_hot(self, rows: int, like: Tensor) -> Tensor:
        """One-hot rows [rows, labels], all 0 where the label is unknown; those of a batch are
        repeated for every draw of it."""
        if self._labels is None:
            return like.new_zeros(rows, self.labels)
        # One place more for the unknown, which has no column.
        told = (self._labels.to(like.device) % (self.labels + 1)).unsqueeze(1)
        codes = told == torch.arange(self.labels, device=like.device)
        # len() would tie an exported graph to one batch size.
        return codes.to(like.dtype).repeat(rows // codes.shape[0], 1)


@families.register(
    "conditional-vae",
    label="Conditional VAE",
    blurb="Is told the label of each image, so that latents keep what labels do not say: style.",
    formula=r"-\log p(x \mid z, y) + \beta\, "
    r"D_{\mathrm{KL}}\!\left(q(z \mid x, y) \,\|\, p(z)\right)",
    when="Your images have labels and you want to draw any label in any style.",
    paper="Sohn et al. (2015), with p(z) = N(0, I)",
    terms=ELBO,
    options=ConditionalOptions,
    needs_labels=True,
)
def conditional_vae(
    config: ModelConfig, data: DataCard, options: ConditionalOptions
) -> Built[DensityPosterior]:
    """Diagonal Gaussian posterior; labels to the encoder and the decoder."""
    labels = len(data.label_names)
    backbone = backbone_between(config, data, labels)
    head = gaussian_head(config)(backbone.features, config.latent_dim)
    make = partial(ConditionalModel, labels=labels)
    model = assembled(config, data, make, (config.latent_dim,), backbone, head)
    return model, ConditionalObjective(model.likelihood, options)
