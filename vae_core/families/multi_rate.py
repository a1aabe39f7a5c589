"""The multi-rate VAE: one network for every β, which it is told as a number."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families.family import KL, RECON, Built, Quantity, families
from vae_core.families.networks import assembled, backbone_between, gaussian_head
from vae_core.models import Dial, GaussianPosterior, LatentModel, Output
from vae_core.models.backbones import Backbone
from vae_core.models.backbones.neck import UnflattenChannelsLast
from vae_core.objective import MODEL, Objective
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting
from vae_core.shares import uniform_like
from vae_core.types import Context, Losses, Term


class MultiRateOptions(Settings):
    """Between which β it learns, and at which it is shown where nobody turns it."""

    lowest: float = setting(
        0.01, "Smallest β", "The least that a nat of KL costs: sharp, and full of holes.",
        gt=0, le=1e6,
    )  # fmt: skip
    highest: float = setting(
        10.0, "Largest β", "The most: calm, orderly and blurred.", gt=0, le=1e6
    )
    beta: float = setting(
        1.0, "β shown", "What it is measured and shown at, until it is turned; 1 is the ELBO.",
        gt=0, le=1e6,
    )  # fmt: skip
    width: int = setting(
        32,
        "Width of the condition",
        "Numbers in which layers are told of β; more let them answer in finer steps.",
        more=True,
        ge=1,
        le=1024,
    )

    @property
    def dial(self) -> Dial:
        return Dial("β", "beta", self.lowest, self.highest, self.beta)


class MultiRateObjective(Objective[GaussianPosterior]):
    """E_β [ −log p(x|z, β) + β · KL(q(z|x, β) ‖ p(z)) ], log β even between its ends.

    In training each image has a β of its own; measured are all at one, the control `beta`.

    Source: Bae, Zhang, Ruan, Wang, Hasegawa, Ba and Grosse, Multi-Rate VAE (2023), equation 7;
    Dosovitskiy and Djolonga, You Only Train Once (2020), equation 3.
    """

    options: MultiRateOptions

    def controls(self, context: Context) -> dict[str, float]:
        asked = context.overrides.get("beta", self.options.beta)
        return {"beta": min(max(asked, self.options.lowest), self.options.highest)}

    def forward(
        self, model: LatentModel[GaussianPosterior], x: Tensor, context: Context
    ) -> Output[GaussianPosterior]:
        if self.training:
            middle, half = self.options.dial.span
            even = uniform_like(x.flatten(1)[:, 0], context.generator)
            beta = (middle + half * (2 * even - 1)).exp()
        else:
            beta = x.new_full((1,), self.controls(context)["beta"])
        output = super().forward(model.dialled(beta), x, context)
        return replace(output, extra={"beta": beta.expand(len(x))})

    def losses(self, x: Tensor, output: Output[GaussianPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        kl = output.posterior.kl().sum(1)
        losses[MODEL]["priced_kl"] = Term(output.extra["beta"] * kl)
        losses[MODEL]["kl"] = Term(kl, 0.0)
        return losses


class MultiRateModel(LatentModel[GaussianPosterior]):
    """A VAE whose every layer is told log β, as far as its `dial` turns."""

    def __init__(self, *parts: Any, dial: Dial) -> None:
        """`parts` as of `LatentModel`, the halves of the backbone `Modulated`."""
        super().__init__(*parts)
        self.dial: Dial = dial
        self._value: Tensor | float = dial.usual

    def dialled(self, value: Tensor | float | None) -> MultiRateModel:
        view = copy.copy(self)
        view._value = self.dial.usual if value is None else value
        return view

    def encode(self, x: Tensor) -> GaussianPosterior:
        x = self.normalised(x)
        return self.bottleneck(self.encoder(x, self._told(x)))

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z, self._told(z))

    def _told(self, like: Tensor) -> Tensor:
        """Where β lies between the ends of the dial, −1 to 1 by its logarithm: [1, 1] for all rows
        of `like`, or [rows, 1]; those of a batch are repeated for every draw of it."""
        middle, half = self.dial.span
        if not isinstance(self._value, Tensor):
            place = (math.log(self._value) - middle) / half
            return like.new_full((1, 1), place)
        places = ((self._value.to(like).log() - middle) / half).unsqueeze(1)
        given = places.shape[0]  # len() would tie an exported graph to one batch size
        return places if given == 1 else places.repeat(like.shape[0] // given, 1)


class Film(nn.Module):
    """x · (1 + s) + t for every channel, s and t linear in the condition, and 0 at first.

    Source: Perez, Strub, de Vries, Dumoulin and Courville, FiLM (2018), equation 2.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 2 * channels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x [B, C] or [B, C, H, W], condition [B or 1, width] → as x."""
        scale, shift = self.linear(condition).reshape(-1, 2, x.shape[1]).unbind(1)
        if x.dim() == 4:
            scale, shift = scale[:, :, None, None], shift[:, :, None, None]
        return x * (1 + scale) + shift


class Modulated(nn.Module):
    """Layers one after the other that are told a number: a small network makes a condition of it,
    by which what comes out of every activation is scaled and shifted, and first the latents.

    Source: Dosovitskiy and Djolonga, You Only Train Once (2020), section 3 and figure 1.
    """

    def __init__(self, layers: nn.Sequential, width: int, inputs: int = 0) -> None:
        """`inputs`: how many latents come in; 0 where images do, which are left as they are."""
        super().__init__()
        self.layers = layers
        self.condition = nn.Sequential(
            nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        told = {str(i): Film(width, channels) for i, channels in _activated(layers)}
        if inputs:
            told[FIRST] = Film(width, inputs)
        self.told = nn.ModuleDict(told)

    def forward(self, x: Tensor, place: Tensor) -> Tensor:
        """x as the layers take it, place [B or 1, 1] between −1 and 1."""
        condition = self.condition(place)
        if FIRST in self.told:
            x = self.told[FIRST](x, condition)
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if str(i) in self.told:
                x = self.told[str(i)](x, condition)
        return x


FIRST = "first"
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.SiLU, nn.Tanh)


def _activated(layers: nn.Sequential) -> list[tuple[int, int]]:
    """(place, channels) of every activation; maps that are about to be unflattened count each place
    for a channel, and are left to the layers behind."""
    found, channels = [], 0
    for i, layer in enumerate(layers):
        for each in layer.modules():
            channels = getattr(each, "out_channels", getattr(each, "out_features", channels))
        unflattened = isinstance(layers[min(i + 1, len(layers) - 1)], UnflattenChannelsLast)
        if isinstance(layer, ACTIVATIONS) and not unflattened:
            found.append((i, channels))
    return found


def check(config: RunConfig, data: DataCard, options: MultiRateOptions) -> None:
    """Refuse ends that are none, and a β beyond them."""
    if not options.lowest < options.highest:
        raise UserError(
            f"objective.lowest: the smallest β ({options.lowest:g}) has to be below the largest, "
            f"objective.highest ({options.highest:g})."
        )
    if not options.lowest <= options.beta <= options.highest:
        raise UserError(
            f"objective.beta: the β shown ({options.beta:g}) has to lie between "
            f"{options.lowest:g} and {options.highest:g}, where the model learns."
        )


@families.register(
    "multi-rate",
    label="Multi-rate VAE",
    blurb="One network for every β: turn the dial from sharp to orderly, with nothing retrained.",
    formula=r"\mathbb{E}_{\log \beta \sim \mathcal{U}} \left[ -\log p(x \mid z, \beta) + "
    r"\beta\, D_{\mathrm{KL}}\!\left(q(z \mid x, \beta) \,\|\, p(z)\right) \right]",
    when="You do not know which β to take, or want the whole rate–distortion curve of one run.",
    paper="Bae et al. (2023), equation 7; told as by Dosovitskiy and Djolonga (2020), section 3",
    terms={
        "recon": RECON,
        "priced_kl": Quantity(
            "β · KL", help="What the KL costs: in training at the β that each image was given."
        ),
        "kl": replace(KL, help=f"{KL.help} In training over all β, measured at the one shown."),
    },
    options=MultiRateOptions,
    check=check,
)
def multi_rate(
    config: ModelConfig, data: DataCard, options: MultiRateOptions
) -> Built[GaussianPosterior]:
    """Diagonal Gaussian posterior; both halves of the backbone are told β."""
    plain = backbone_between(config, data)
    encoder, decoder = plain.encoder, plain.decoder
    if not (
        isinstance(encoder, nn.Sequential)
        and isinstance(decoder, nn.Sequential)
        and _activated(encoder)
        and _activated(decoder)
    ):
        raise UserError(
            f"model.backbone: the layers of {config.backbone!r} cannot be told β one by one; take "
            "conv, resnet or mlp."
        )
    width = options.width
    backbone = Backbone(
        Modulated(encoder, width),
        plain.features,
        Modulated(decoder, width, config.latent_dim),
    )
    head = gaussian_head(config)(backbone.features, config.latent_dim)
    make = partial(MultiRateModel, dial=options.dial)
    model = assembled(config, data, make, (config.latent_dim,), backbone, head)
    return model, MultiRateObjective(model.likelihood, options)
