"""A VAE with latents on several levels."""

from __future__ import annotations

from dataclasses import replace

from vae_core.config import ModelConfig
from vae_core.errors import UserError
from vae_core.families.family import KL, RECON, Quantity, families
from vae_core.families.maps import trunk_of
from vae_core.families.networks import likelihood
from vae_core.models.hierarchical import HierarchicalModel
from vae_core.objectives.hierarchical import HierarchicalObjective
from vae_core.objectives.vae import VaeOptions
from vae_core.runs import DataCard
from vae_core.settings import setting

MOST_LEVELS = 6


class HierarchicalOptions(VaeOptions):
    """β, and how many levels there are."""

    levels: int = setting(
        2,
        "Levels",
        "Each is twice as fine as the one above it and has all latent dimensions at every place.",
        ge=2,
        le=MOST_LEVELS,
    )


LEVELS = {
    f"kl_level_{i}": Quantity(f"KL of level {i}", help="Its share of the KL; level 1 is coarsest.")
    for i in range(1, MOST_LEVELS + 1)
}


@families.family(
    "hierarchical",
    label="Hierarchical VAE",
    blurb="Coarse latents lay out the picture, finer ones fill it in.",
    formula=r"-\log p(x \mid z_{1 \ldots L}) + \beta\, \textstyle\sum_l "
    r"D_{\mathrm{KL}}\!\left(q(z_l \mid z_{<l}, x) \,\|\, p(z_l \mid z_{<l})\right)",
    when="One level blurs what your pictures hold; it costs more time and more latents.",
    paper="Sønderby et al. (2016); Child (2021), figure 3",
    terms={"recon": RECON, "kl": replace(KL, weight=r"\beta"), **LEVELS},
    options=HierarchicalOptions,
)
def hierarchical(
    config: ModelConfig, data: DataCard, options: HierarchicalOptions
) -> tuple[HierarchicalModel, HierarchicalObjective]:
    """`latent_dim` latents at every place of the coarsest maps.

    Raises:
        UserError: when there are fewer halvings than levels.
    """
    trunk = trunk_of(config, data, options.levels)
    if len(trunk.inwards) < options.levels:
        _, height, width = data.image_shape
        raise UserError(
            f"objective.levels: {options.levels} levels are too many; each needs a halving, and "
            f"this backbone halves images of {height}×{width} {len(trunk.inwards)} times."
        )
    model = HierarchicalModel(
        data.image_shape,
        config.latent_dim,
        options.levels,
        trunk,
        likelihood(config, data),
        config.pixel_mean,
        config.pixel_std,
        config.logvar_range,
    )
    return model, HierarchicalObjective(model.likelihood, options, model.level_sizes)
