"""Networks of pythae, rebuilt here: its default MLPs and the convolutional ones of its benchmarks.

Weights keep their order of layers, so that a renaming (`vae_core.bring.pythae`) fits them.

Source: Chadebec, Vincent and Allassonnière, Pythae (2022), section 4 and appendix D.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from torch import Tensor, nn

from vae_core.config import ModelConfig
from vae_core.errors import UserError
from vae_core.families.elsewhere import ELBO_FORMULA, TERMS, measured
from vae_core.families.family import Built, families
from vae_core.families.networks import likelihood_of_pictures
from vae_core.models import Autoencoder, Deterministic, DiagonalGaussian, LatentModel
from vae_core.models.backbones import Backbone
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting

Network = Literal["mlp", "mnist", "cifar", "celeba"]

SIZES: dict[str, tuple[int, int, int]] = {
    "mnist": (1, 28, 28),
    "cifar": (3, 32, 32),
    "celeba": (3, 64, 64),
}
"""Of the images of the convolutional ones; the MLP takes any."""

WIDTHS = (128, 256, 512, 1024)
HIDDEN = 512

UPWARDS: dict[str, tuple[int, tuple[tuple[int, ...], ...]]] = {
    "mnist": (4, ((512, 3, 2, 1, 0), (256, 3, 2, 1, 1), (1, 3, 2, 1, 1))),
    "cifar": (8, ((512, 4, 2, 1, 0), (256, 4, 2, 1, 1), (3, 4, 1, 2, 0))),
    "celeba": (8, ((512, 5, 2, 2, 0), (256, 5, 2, 1, 0), (128, 5, 2, 2, 1), (3, 5, 1, 1, 0))),
}
"""Of each decoder the side of the map that a linear layer makes of a code, and its transposed
convolutions: channels, kernel, stride, padding, output padding."""


class PythaeOptions(Settings):
    """Which networks, and whether codes are Gaussians."""

    encoder: Network = setting("mlp", "Encoder", "Which of pythae's own networks.")
    decoder: Network = setting("mlp", "Decoder", "Which of pythae's own networks.")
    posterior: Literal["gaussian", "point"] = setting(
        "gaussian", "Encoder gives", "μ and log σ², or codes alone."
    )


class Maps(nn.Module):
    """[B, channels·side·side] → [B, channels, side, side]."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.shape = (channels, side, side)

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, self.shape)


class Images(nn.Module):
    """[B, C·H·W] → [B, C, H, W]."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, self.shape)


def _encoder(network: str, shape: tuple[int, int, int]) -> tuple[nn.Module, int]:
    """The layers before the heads, and how many features they give."""
    if network == "mlp":
        layers = [nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), HIDDEN), nn.ReLU())]
        return nn.Sequential(*layers), HIDDEN
    widths = zip((shape[0], *WIDTHS), WIDTHS, strict=False)
    stages = [
        nn.Sequential(nn.Conv2d(a, b, 4, 2, padding=1), nn.BatchNorm2d(b), nn.ReLU())
        for a, b in widths
    ]
    side = shape[1] >> len(WIDTHS)
    return nn.Sequential(*stages, nn.Flatten()), WIDTHS[-1] * side * side


def _decoder(network: str, latent_dim: int, shape: tuple[int, int, int]) -> nn.Module:
    """The layers up to the last activation, which the likelihood owns."""
    if network == "mlp":
        hidden = nn.Sequential(nn.Linear(latent_dim, HIDDEN), nn.ReLU())
        return nn.Sequential(
            hidden, nn.Sequential(nn.Linear(HIDDEN, math.prod(shape)), Images(shape))
        )
    side, convolutions = UPWARDS[network]
    first = nn.Linear(latent_dim, WIDTHS[-1] * side * side)
    stages: list[nn.Module] = [nn.Sequential(first, Maps(WIDTHS[-1], side))]
    channels = WIDTHS[-1]
    for i, (out, kernel, stride, padding, extra) in enumerate(convolutions, 1):
        layer = nn.ConvTranspose2d(channels, out, kernel, stride, padding, extra)
        between = () if i == len(convolutions) else (nn.BatchNorm2d(out), nn.ReLU())
        stages.append(nn.Sequential(layer, *between))
        channels = out
    return nn.Sequential(*stages)


@families.register(
    "pythae",
    label="pythae",
    blurb="A model that was trained with pythae, on one of its own networks.",
    formula=ELBO_FORMULA,
    when="You have a model of pythae's, and want to explore it.",
    paper="Chadebec, Vincent and Allassonnière (2022)",
    terms=TERMS,
    options=PythaeOptions,
    brought=True,
)
def pythae(config: ModelConfig, data: DataCard, options: PythaeOptions) -> Built[Any]:
    """Its encoder, the heads of its code, and its decoder."""
    shape, dim = data.image_shape, config.latent_dim
    for network in (options.encoder, options.decoder):
        if SIZES.get(network, shape) != shape:
            raise UserError(f"pythae's {network} network takes images of {SIZES[network]}.")
    encoder, features = _encoder(options.encoder, shape)
    backbone = Backbone(encoder, features, _decoder(options.decoder, dim, shape))
    ends = (likelihood_of_pictures(config, data), config.pixel_mean, config.pixel_std)
    model: LatentModel[Any]
    if options.posterior == "gaussian":
        heads = DiagonalGaussian(features, dim, config.scale_head, config.logvar_range)
        model = LatentModel(shape, (dim,), backbone, heads, *ends)
    else:
        model = Autoencoder(shape, (dim,), backbone, Deterministic(features, dim), *ends)
    return model, measured(model)
