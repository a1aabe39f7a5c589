"""Networks that keep places apart: a trunk cut where the latents lie."""

from __future__ import annotations

from vae_core.config import ModelConfig
from vae_core.errors import UserError
from vae_core.models.backbones import Trunk, trunks
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting

LARGEST_MAP = 8
"""Places of the latents along a side, where nothing else is asked for."""


class MapOptions(Settings):
    """Where the latents lie."""

    halvings: int | None = setting(
        None,
        "Halvings",
        "How often the image is halved; every place then has all latent dimensions. "
        "Empty ends at 8×8 or below.",
        ge=1,
        le=9,
    )


def trunk_of(config: ModelConfig, data: DataCard, stages: int) -> Trunk:
    """The configured backbone's trunk with at least `stages` stages, as far as it has them.

    Raises:
        UserError: when the backbone has no feature maps or its options do not fit.
    """
    if config.backbone not in trunks:
        names = ", ".join(entry.name for entry in trunks)
        raise UserError(
            f"model.backbone: {config.backbone} keeps no places apart, which this family needs; "
            f"choose one of {names}."
        )
    entry = trunks[config.backbone]
    return entry.build(
        data.image_shape, entry.parse_options(config.options, "model.options"), stages
    )


def trunk_to_maps(config: ModelConfig, data: DataCard, options: MapOptions) -> Trunk:
    """The configured backbone's trunk, cut after the halvings that are asked for.

    Raises:
        UserError: as `trunk_of`, and when there are not so many halvings.
    """
    side = min(data.image_shape[1:])
    automatic = max(1, (max(side - 1, 1) // LARGEST_MAP).bit_length())
    trunk = trunk_of(config, data, options.halvings or automatic)
    there = len(trunk.inwards)
    if options.halvings is not None and options.halvings > there:
        _, height, width = data.image_shape
        raise UserError(
            f"objective.halvings: {options.halvings} are too many; this backbone halves images of "
            f"{height}×{width} at most {there} times."
        )
    return trunk.cut(min(options.halvings or automatic, there))
