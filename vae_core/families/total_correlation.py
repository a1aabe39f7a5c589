"""β-TCVAE."""

from __future__ import annotations

from vae_core.config import ModelConfig
from vae_core.families.family import KL, RECON, Quantity, families, need_two_images
from vae_core.families.networks import diagonal_gaussian
from vae_core.models import LatentModel
from vae_core.objectives.total_correlation import (
    TotalCorrelationObjective,
    TotalCorrelationOptions,
)
from vae_core.runs import DataCard


@families.family(
    "beta-tcvae",
    label="β-TCVAE",
    blurb="Only the dependence between dimensions is made expensive, not what they carry.",
    formula=r"-\log p(x \mid z) + \alpha\, I_q(z; x) \\ {} + "
    r"\beta\, D_{\mathrm{KL}}\!\left(q(z) \,\|\, \textstyle\prod_d q(z_d)\right) \\ {} + "
    r"\gamma\, \textstyle\sum_d D_{\mathrm{KL}}\!\left(q(z_d) \,\|\, p(z_d)\right)",
    when="You want one factor of the images in each dimension, sharper than β-VAE gives it.",
    paper="Chen et al. (2018)",
    terms={
        "recon": RECON,
        "kl": KL,
        "mi": Quantity(
            "Mutual information", weight=r"\alpha", help="What codes say about which image it was."
        ),
        "tc": Quantity(
            "Total correlation", weight=r"\beta", help="How much dimensions depend on each other."
        ),
        "dwkl": Quantity(
            "Dimension-wise KL", weight=r"\gamma", help="How far each dimension is from N(0, 1)."
        ),
    },
    options=TotalCorrelationOptions,
    check=need_two_images,
)
def beta_tcvae(
    config: ModelConfig, data: DataCard, options: TotalCorrelationOptions
) -> tuple[LatentModel, TotalCorrelationObjective]:
    """Diagonal Gaussian posterior, the KL in three parts."""
    model = diagonal_gaussian(config, data)
    return model, TotalCorrelationObjective(model.likelihood, options)
