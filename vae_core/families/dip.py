"""DIP-VAE, both kinds."""

from __future__ import annotations

from vae_core.config import ModelConfig
from vae_core.families.family import KL, RECON, Quantity, families, need_two_images
from vae_core.families.networks import diagonal_gaussian
from vae_core.models import LatentModel
from vae_core.objectives.dip import DipObjective, DipOptions
from vae_core.runs import DataCard

SQUARED = "squared covariance"


@families.family(
    "dip-vae",
    label="DIP-VAE",
    blurb="Decorrelates dimensions by the covariance of their codes.",
    formula=r"-\log p(x \mid z) + D_{\mathrm{KL}}\!\left(q(z \mid x) \,\|\, p(z)\right) \\ {} + "
    r"\lambda_{od} \textstyle\sum_{i \neq j} C_{ij}^2 + "
    r"\lambda_{d} \textstyle\sum_i (C_{ii} - 1)^2",
    when="You want uncorrelated dimensions at the price of two cheap sums.",
    paper="Kumar et al. (2018), equations 6 and 7",
    terms={
        "recon": RECON,
        "kl": KL,
        "off_diagonal": Quantity(
            "Off the diagonal",
            SQUARED,
            r"\lambda_{od}",
            "How much dimensions vary together.",
            "off_diagonal",
        ),
        "diagonal": Quantity(
            "On the diagonal", SQUARED, r"\lambda_{d}", "How far variances are from 1.", "diagonal"
        ),
    },
    options=DipOptions,
    check=need_two_images,
)
def dip_vae(
    config: ModelConfig, data: DataCard, options: DipOptions
) -> tuple[LatentModel, DipObjective]:
    """Diagonal Gaussian posterior, covariance of codes drawn to the identity."""
    model = diagonal_gaussian(config, data)
    return model, DipObjective(model.likelihood, options)
