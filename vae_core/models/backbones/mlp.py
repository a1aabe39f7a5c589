"""Fully connected layers: every pixel sees every other."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from torch import nn

from vae_core.models.backbones.backbone import ACTIVATIONS, Backbone, backbones
from vae_core.settings import Settings, setting


class MlpOptions(Settings):
    """Widths from the image inwards; the decoder mirrors them."""

    hidden: tuple[int, ...] = setting(
        (512, 256), "Hidden widths", "Units of each layer, from the image inwards.", min_length=1
    )
    activation: Literal["relu", "tanh", "silu"] = setting(
        "relu", "Activation", "The non-linearity between layers.", more=True
    )


@backbones.register(
    "mlp",
    label="MLP",
    blurb="Fully connected layers; quick on small images, blind to neighbourhoods.",
    options=MlpOptions,
)
def mlp(image_shape: tuple[int, int, int], latent_dim: int, options: MlpOptions) -> Backbone:
    """Encoder and mirrored decoder of fully connected layers."""
    pixels = math.prod(image_shape)
    activation = ACTIVATIONS[options.activation]
    inwards = (pixels, *options.hidden)
    outwards = (latent_dim, *reversed(options.hidden))

    def layers(widths: tuple[int, ...]) -> list[nn.Module]:
        return [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), activation())]

    encoder = nn.Sequential(nn.Flatten(), *layers(inwards))
    decoder = nn.Sequential(
        *layers(outwards), nn.Linear(outwards[-1], pixels), nn.Unflatten(1, image_shape)
    )
    return Backbone(encoder, options.hidden[-1], decoder)
