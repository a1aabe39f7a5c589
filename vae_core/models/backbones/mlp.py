"""Fully connected layers: every pixel sees every other."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from torch import nn

from vae_core.models.backbones.backbone import ACTIVATIONS, Backbone, Shape, backbones
from vae_core.settings import Settings, setting

Activation = Literal["relu", "tanh", "silu"]


class MlpOptions(Settings):
    """Widths from the image inwards; the decoder mirrors them unless it is told otherwise."""

    hidden: tuple[int, ...] = setting(
        (512, 256), "Hidden widths", "Units of each layer, from the image inwards.", min_length=1
    )
    activation: Activation = setting(
        "relu", "Activation", "The non-linearity between layers.", more=True
    )
    decoder_hidden: tuple[int, ...] | None = setting(
        None,
        "Decoder widths",
        "Units of each layer, from the latents outwards; empty mirrors the encoder.",
        more=True,
        min_length=1,
    )
    decoder_activation: Activation | None = setting(
        None, "Decoder activation", "Empty takes the encoder's.", more=True
    )


@backbones.register(
    "mlp",
    label="MLP",
    blurb="Fully connected layers; quick on small images, blind to neighbourhoods.",
    options=MlpOptions,
)
def mlp(image_shape: Shape, latent_dim: int, options: MlpOptions) -> Backbone:
    """Encoder and decoder of fully connected layers.

    With 200, 200 and tanh it is one stochastic layer's network of Burda et al. (2016), section 5;
    with 1200, 1200, ReLU and a decoder of 1200, 1200, 1200, tanh that for 2D shapes of Higgins et
    al. (2017), table 1.
    """
    pixels = math.prod(image_shape)
    inwards = (pixels, *options.hidden)
    outwards = (latent_dim, *(options.decoder_hidden or reversed(options.hidden)))

    def layers(widths: tuple[int, ...], activation: Activation) -> list[nn.Module]:
        return [
            m for a, b in pairwise(widths) for m in (nn.Linear(a, b), ACTIVATIONS[activation]())
        ]

    encoder = nn.Sequential(nn.Flatten(), *layers(inwards, options.activation))
    decoder = nn.Sequential(
        *layers(outwards, options.decoder_activation or options.activation),
        nn.Linear(outwards[-1], pixels),
        nn.Unflatten(1, image_shape),
    )
    return Backbone(encoder, options.hidden[-1], decoder)
