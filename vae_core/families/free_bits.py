"""A VAE whose first bits are free."""

from __future__ import annotations

from vae_core.config import ModelConfig
from vae_core.families.family import KL, RECON, Quantity, families
from vae_core.families.networks import diagonal_gaussian
from vae_core.models import LatentModel
from vae_core.objectives.free_bits import FreeBitsObjective, FreeBitsOptions
from vae_core.runs import DataCard


@families.family(
    "free-bits",
    label="VAE with free bits",
    blurb="Each dimension may carry a little for nothing, so that none falls silent.",
    formula=r"-\log p(x \mid z) + \beta \sum_d \max\!\left(\lambda,\; "
    r"\mathbb{E}_x\, D_{\mathrm{KL}}(q(z_d \mid x) \,\|\, p(z_d))\right)",
    when="A VAE leaves dimensions unused, or collapses at the start.",
    paper="Kingma et al. (2016)",
    terms={
        "recon": RECON,
        "kl": KL,
        "kl_floored": Quantity(
            "KL, at least λ a dimension", weight=r"\beta", help="What is minimised of the KL."
        ),
    },
    options=FreeBitsOptions,
)
def free_bits(
    config: ModelConfig, data: DataCard, options: FreeBitsOptions
) -> tuple[LatentModel, FreeBitsObjective]:
    """Diagonal Gaussian posterior, a floor below each dimension's KL."""
    model = diagonal_gaussian(config, data)
    return model, FreeBitsObjective(model.likelihood, options)
