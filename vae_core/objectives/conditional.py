"""The conditional VAE's bound, with some labels withheld."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from vae_core.models import LatentModel
from vae_core.models.conditional import UNKNOWN
from vae_core.models.likelihoods import Likelihood
from vae_core.objectives.vae import VaeObjective, VaeOptions
from vae_core.settings import setting
from vae_core.types import Context, Output


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

    def __init__(self, likelihood: Likelihood, options: ConditionalOptions) -> None:
        super().__init__(likelihood, options)
        self.withheld = options.withheld

    def forward(self, model: LatentModel, x: Tensor, context: Context) -> Output:
        if self.training and context.labels is not None:
            chance = torch.rand(len(x), generator=context.generator, device=x.device)
            labels = context.labels.masked_fill(chance < self.withheld, UNKNOWN)
            context = replace(context, labels=labels)
        return super().forward(model, x, context)
