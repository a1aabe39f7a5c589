"""InfoVAE and WAE: the same discrepancy, with clouds and with points."""

from __future__ import annotations

from dataclasses import replace

from vae_core.config import ModelConfig
from vae_core.families.family import KL, RECON, Quantity, families, need_two_images
from vae_core.families.networks import diagonal_gaussian, latent_model
from vae_core.models import LatentModel
from vae_core.models.bottlenecks import Deterministic
from vae_core.objectives.mmd import InfoObjective, InfoOptions, WaeObjective, WaeOptions
from vae_core.runs import DataCard

DISCREPANCY = Quantity(
    "MMD²",
    "kernel units",
    r"\lambda",
    "How far codes as a whole are from the prior; 0 is alike.",
    "mmd",
)


@families.family(
    "info-vae",
    label="InfoVAE",
    blurb="Codes as a whole match the prior, while each image keeps what it needs.",
    formula=r"-\log p(x \mid z) + \beta\, D_{\mathrm{KL}}\!\left(q(z \mid x) \,\|\, p(z)\right)"
    r" \\ {} + \lambda\, \mathrm{MMD}^2\!\left(q(z), p(z)\right)",
    when="A VAE forgets too much, and you still want to draw from the prior.",
    paper="Zhao et al. (2019)",
    terms={"recon": RECON, "kl": replace(KL, weight=r"\beta"), "mmd": DISCREPANCY},
    options=InfoOptions,
    check=need_two_images,
)
def info_vae(
    config: ModelConfig, data: DataCard, options: InfoOptions
) -> tuple[LatentModel, InfoObjective]:
    """Diagonal Gaussian posterior, discrepancy of its draws from the prior."""
    model = diagonal_gaussian(config, data)
    return model, InfoObjective(model.likelihood, options)


@families.family(
    "wae",
    label="WAE",
    blurb="An autoencoder whose codes together look like the prior; sharp, and drawable.",
    formula=r"-\log p(x \mid z) + \lambda\, \mathrm{MMD}^2\!\left(q(z), p(z)\right)",
    when="You want an autoencoder's sharpness and new images from the prior.",
    paper="Tolstikhin et al. (2018), equation 4, algorithm 2",
    terms={"recon": RECON, "mmd": DISCREPANCY},
    options=WaeOptions,
    check=need_two_images,
)
def wae(
    config: ModelConfig, data: DataCard, options: WaeOptions
) -> tuple[LatentModel, WaeObjective]:
    """Deterministic code, discrepancy of codes from the prior N(0, I), which they have for it."""
    model = latent_model(config, data, Deterministic)
    return model, WaeObjective(model.likelihood, options)
