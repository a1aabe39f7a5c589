"""Stacked denoising autoencoders: one layer after the other, then all of them together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from vae_core.config import ModelConfig
from vae_core.errors import UserError
from vae_core.families.denoising import REPAIRED, DenoisingObjective, DenoisingOptions
from vae_core.families.family import Built, Quantity, families
from vae_core.families.networks import deterministic
from vae_core.models import (
    Deterministic,
    LatentModel,
    Likelihood,
    Output,
    PointPosterior,
    evaluating,
)
from vae_core.models.backbones.neck import FlattenChannelsLast
from vae_core.runs import DataCard
from vae_core.settings import setting
from vae_core.types import Context, Losses, Term


class StackedOptions(DenoisingOptions):
    """The noise, and how long layers are trained by themselves."""

    pretraining: float = setting(
        0.5,
        "Layer by layer",
        "Share of all steps in which layers learn one after the other; then all learn together.",
        ge=0,
        lt=1,
    )


class StackedObjective(DenoisingObjective):
    """Each layer learns to undo damage to what the layers below make of a whole image.

    Every layer is a player of its own. Where one learns, the others have no terms and rest; the
    last part of the run trains the whole network as a denoising autoencoder. Validation measures
    the whole network throughout.

    Source: Vincent et al., Stacked Denoising Autoencoders (2010), section 3.5.
    """

    options: StackedOptions

    def __init__(
        self, likelihood: Likelihood, options: StackedOptions, layers: list[Layer]
    ) -> None:
        super().__init__(likelihood, options)
        self.layers = layers  # plain data: their weights belong to the model

    def current_layer(self, context: Context) -> int | None:
        """The place of the layer that learns at this step, None when all do."""
        if not self.training:
            return None
        each = self.options.pretraining * context.total_steps / len(self.layers)
        return int(context.step / each) if context.step < each * len(self.layers) else None

    def forward(
        self, model: LatentModel[PointPosterior], x: Tensor, context: Context
    ) -> Output[PointPosterior]:
        place = self.current_layer(context)
        if place is None:
            return super().forward(model, x, context)
        with torch.no_grad():
            whole = model.normalised(x)
            for below in self.layers[:place]:
                whole = below.inward(whole)
        layer = self.layers[place]
        code = layer.inward(self.corrupt(whole, context.generator))
        return Output(PointPosterior(code), code, layer.outward(code), {"whole": whole})

    def losses(self, x: Tensor, output: Output[PointPosterior], context: Context) -> Losses:
        place = self.current_layer(context)
        if place is None:
            return super().losses(x, output, context)
        if place == 0:
            nll = self.likelihood.nll(output.x_logits, x, context.mask)
        else:
            # −log N(whole; rebuilt, I) without its constant: hidden values are no pixels.
            nll = 0.5 * (output.x_logits - output.extra["whole"]).square().flatten(1).sum(1)
        return {_name(place): {"layer": Term(nll)}}

    def networks(self, model: LatentModel) -> list[nn.Module]:
        alone = [half for layer in self.layers for half in (layer.inward, layer.outward)]
        return super().networks(model) + alone

    def players(self, model: nn.Module) -> dict[str, list[nn.Parameter]]:
        alone = {_name(place): layer.parameters() for place, layer in enumerate(self.layers)}
        return super().players(model) | alone


def _name(place: int) -> str:
    return f"layer {place + 1}"


_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


@dataclass(frozen=True)
class Layer:
    """One layer on the way in, and the one on the way out that leads from its result back."""

    inward: nn.Sequential
    outward: nn.Sequential

    def parameters(self) -> list[nn.Parameter]:
        """The weights of both."""
        return [*self.inward.parameters(), *self.outward.parameters()]


def layers_of(model: LatentModel, backbone: str) -> list[Layer]:
    """The layers of an autoencoder from the image inwards, or a `UserError` that names the
    `backbone` whose two sides do not mirror each other."""
    if isinstance(model.encoder, nn.Sequential) and isinstance(model.decoder, nn.Sequential):
        bottleneck = cast(Deterministic, model.bottleneck)
        flat = (nn.Flatten, FlattenChannelsLast)
        inwards = _split(model.encoder, lambda each: _has_weights(each) or isinstance(each, flat))
        inwards.append(nn.Sequential(bottleneck.z, bottleneck.activation))
        outwards = _split(model.decoder, _has_weights)[::-1]
        layers = [Layer(a, b) for a, b in zip(inwards, outwards, strict=False)]
        if len(inwards) == len(outwards) and _mirror(layers, model):
            return layers
    raise UserError(
        f"model.backbone: the two sides of {backbone!r} do not mirror each other layer by layer; "
        "take mlp or conv to train layers one after the other."
    )


def _split(layers: nn.Sequential, begins: Callable[[nn.Module], bool]) -> list[nn.Sequential]:
    """Cut so that each piece has one layer with weights; what follows it stays with it."""
    pieces: list[list[nn.Module]] = [[]]
    for layer in layers:
        if begins(layer) and any(_has_weights(each) for each in pieces[-1]):
            pieces.append([])
        pieces[-1].append(layer)
    return [nn.Sequential(*piece) for piece in pieces]


def _has_weights(layer: nn.Module) -> bool:
    return not isinstance(layer, _NORMS) and any(True for _ in layer.parameters())


@torch.no_grad()
def _mirror(layers: list[Layer], model: LatentModel) -> bool:
    """Whether every layer leads back to the shape that it came from, the first one to logits."""
    channels, *sides = model.image_shape
    x: Tensor = torch.zeros(1, *model.image_shape, device=model.device)
    wanted = torch.Size((1, model.likelihood.outputs(channels), *sides))
    with evaluating(model):
        for layer in layers:
            code = layer.inward(x)
            if layer.outward(code).shape != wanted:
                return False
            x, wanted = code, code.shape
    return True


@families.register(
    "stacked-denoising",
    label="Stacked denoising autoencoder",
    blurb="Learns to undo noise layer by layer from the image inwards, then all layers together.",
    formula=r"\tfrac{1}{2}\left\| h_{l-1} - g_l\!\left(f_l(\tilde{h}_{l-1})\right) \right\|^2 "
    r"\;\text{for}\; l = 1, 2, \dots, \\ \text{then}\quad -\log p(x \mid z)",
    when="You want to see how deep networks were trained before they could be trained at once.",
    paper="Vincent et al. (2010), section 3.5",
    terms={
        "recon": REPAIRED,
        "layer": Quantity("Layer's reconstruction", help="Of the one layer that learns now."),
    },
    options=StackedOptions,
)
def stacked_denoising(
    config: ModelConfig, data: DataCard, options: StackedOptions
) -> Built[PointPosterior]:
    """Deterministic code; layers as players of their own, then the whole network."""
    model = deterministic(config, data)
    layers = layers_of(model, config.backbone)
    return model, StackedObjective(model.likelihood, options, layers)
