"""Finite scalar quantisation: numbers rounded to a few levels in place of a codebook."""

from __future__ import annotations

import math

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families.codes import CODES, quantised_model
from vae_core.families.family import families
from vae_core.families.maps import MapOptions
from vae_core.models.bottlenecks import FiniteScalar
from vae_core.models.quantised import QuantisedModel
from vae_core.models.quantisers import FiniteScalarQuantiser
from vae_core.objectives.quantised import QuantisedObjective
from vae_core.runs import DataCard
from vae_core.settings import setting

USUAL_LEVELS = 5  # the paper's advice is five or more, section 3.2
MOST_CODES = 2**62
"""Codes are numbered with 64-bit integers."""


class FsqOptions(MapOptions):
    """The levels of each dimension, and where the codes lie."""

    levels: tuple[int, ...] | None = setting(
        None,
        "Levels",
        "Values that each latent dimension can take; empty gives every one of them five.",
        min_length=1,
    )

    def levels_of(self, latent_dim: int) -> tuple[int, ...]:
        """The levels of all dimensions."""
        return self.levels or (USUAL_LEVELS,) * latent_dim

    def code_count(self, latent_dim: int) -> int:
        """How many codes there are, K."""
        return math.prod(self.levels_of(latent_dim))


def levels_fit(config: RunConfig, data: DataCard, options: FsqOptions) -> None:
    """Refuse levels that do not belong to the latent dimensions, or too many combinations."""
    dims, levels = config.model.latent_dim, options.levels_of(config.model.latent_dim)
    if len(levels) != dims:
        raise UserError(
            f"objective.levels: {len(levels)} levels for {dims} latent dimensions; give one for "
            "each, or change model.latent_dim."
        )
    if min(levels) < 2:
        raise UserError(f"objective.levels: each has to be 2 or more (one is {min(levels)}).")
    if math.prod(levels) > MOST_CODES:
        raise UserError(
            f"model.latent_dim: {dims} dimensions make more codes than can be counted; "
            "take fewer of them, or fewer objective.levels."
        )


@families.family(
    "fsq",
    label="FSQ",
    blurb="Latents rounded to a few levels: discrete codes with no codebook to look after.",
    formula=r"-\log p(x \mid \mathrm{round}(z)) + \textstyle\sum_{i,j} \log K",
    when="You want discrete codes of which none fall idle; take 3 to 6 latent dimensions.",
    paper="Mentzer, Minnen, Agustsson and Tschannen (2023), section 3.1",
    terms=CODES,
    options=FsqOptions,
    check=levels_fit,
)
def fsq(
    config: ModelConfig, data: DataCard, options: FsqOptions
) -> tuple[QuantisedModel, QuantisedObjective]:
    """`latent_dim` numbers for each place, each at one of its levels."""
    quantiser = FiniteScalarQuantiser(options.levels_of(config.latent_dim))
    model = quantised_model(config, data, options, quantiser, FiniteScalar)
    return model, QuantisedObjective(model.likelihood, quantiser.codes)
