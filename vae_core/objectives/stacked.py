"""Stacked denoising autoencoders: one layer after the other, then all of them together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vae_core.models import LatentModel
from vae_core.models.layers import Layer
from vae_core.models.likelihoods import Likelihood
from vae_core.models.posteriors import PointPosterior
from vae_core.objectives.denoising import DenoisingObjective, DenoisingOptions
from vae_core.settings import setting
from vae_core.types import Context, LossTerms, Output, Term


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

    def __init__(
        self, likelihood: Likelihood, options: StackedOptions, layers: list[Layer]
    ) -> None:
        super().__init__(likelihood, options)
        self.pretraining = options.pretraining
        self.layers = layers  # plain data: their weights belong to the model

    def layer_now(self, context: Context) -> int | None:
        """The place of the layer that learns at this step, None when all do."""
        if not self.training:
            return None
        spell = self.pretraining * context.total_steps / len(self.layers)
        return int(context.step / spell) if context.step < spell * len(self.layers) else None

    def forward(self, model: LatentModel, x: Tensor, context: Context) -> Output:
        place = self.layer_now(context)
        if place is None:
            return super().forward(model, x, context)
        with torch.no_grad():
            whole = model.normalised(x)
            for below in self.layers[:place]:
                whole = below.inward(whole)
        layer = self.layers[place]
        code = layer.inward(self.corrupt(whole, context.generator))
        return Output(PointPosterior(code), code, layer.outward(code), {"whole": whole})

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        place = self.layer_now(context)
        if place is None:
            return super().losses(x, output, context)
        if place == 0:
            nll = self.likelihood.nll(output.x_logits, x)
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
