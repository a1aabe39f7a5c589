"""What families with a finite set of codes share: their network and what they log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from vae_core.config import ModelConfig
from vae_core.families.family import RECON, Quantity
from vae_core.families.maps import MapOptions, trunk_to_maps
from vae_core.families.networks import likelihood
from vae_core.models.backbones.neck import maps_of
from vae_core.models.quantised import QuantisedModel
from vae_core.models.quantisers import Quantiser
from vae_core.runs import DataCard

Q = TypeVar("Q", bound=Quantiser)

CODES = {
    "recon": RECON,
    "kl": Quantity(
        "Code length", help="Places × log K: what the codes cost while all count as equally likely."
    ),
    "codes_in_use": Quantity(
        "Codes in use",
        "codes",
        help="Different codes over all validation images together.",
        measured="of {codes}, {n_validation} images",
    ),
    "code_perplexity": Quantity(
        "Perplexity",
        "codes",
        help="exp of the entropy of the codes of all validation images: as if so many were used, "
        "all alike.",
        measured="codes, {n_validation} images",
    ),
    "perplexity": Quantity(
        "Perplexity, one batch",
        "codes",
        help="The same within one training batch, whose size bounds it.",
    ),
    "codes_used": Quantity(
        "Codes in use, one batch",
        "codes",
        help="Different codes within one training batch, whose size bounds them.",
    ),
}


def quantised_model(
    config: ModelConfig,
    data: DataCard,
    options: MapOptions,
    quantiser: Q,
    bottleneck: Callable[[int, Q], nn.Module],
) -> QuantisedModel:
    """A trunk cut where the codes lie, a quantiser between its halves."""
    trunk = trunk_to_maps(config, data, options)
    channels, height, width = trunk.shapes[-1]
    return QuantisedModel(
        data.image_shape,
        (height, width),
        maps_of(trunk, quantiser.dim),
        bottleneck(channels, quantiser),
        quantiser,
        likelihood(config, data),
        config.pixel_mean,
        config.pixel_std,
    )
