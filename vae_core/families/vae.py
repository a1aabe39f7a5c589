"""The variational autoencoder, and β-VAE with it: β = 1 is the VAE."""

from __future__ import annotations

from dataclasses import replace

from vae_core.config import ModelConfig
from vae_core.families.family import KL, RECON, families
from vae_core.families.networks import diagonal_gaussian
from vae_core.models import LatentModel
from vae_core.objectives import VaeObjective, VaeOptions
from vae_core.runs import DataCard


@families.family(
    "vae",
    label="VAE",
    blurb="Codes become small clouds drawn towards one prior, so every point decodes.",
    formula=r"-\log p(x \mid z) + \beta\, D_{\mathrm{KL}}\!\left(q(z \mid x) \,\|\, p(z)\right)",
    when="Start here: a smooth space to explore and to draw new images from.",
    paper="Kingma and Welling (2014), equation 3; β: Higgins et al. (2017), equation 4",
    terms={"recon": RECON, "kl": replace(KL, weight=r"\beta")},
    options=VaeOptions,
)
def vae(
    config: ModelConfig, data: DataCard, options: VaeOptions
) -> tuple[LatentModel, VaeObjective]:
    """Diagonal Gaussian posterior, evidence lower bound."""
    model = diagonal_gaussian(config, data)
    return model, VaeObjective(model.likelihood, options)
