"""FactorVAE."""

from __future__ import annotations

from vae_core.config import ModelConfig
from vae_core.families.family import KL, RECON, Quantity, families, need_two_images
from vae_core.families.networks import diagonal_gaussian
from vae_core.models import LatentModel
from vae_core.objectives.factor import FactorObjective, FactorOptions
from vae_core.runs import DataCard


@families.family(
    "factor-vae",
    label="FactorVAE",
    blurb="A critic looks for dependence between dimensions, and the encoder removes it.",
    formula=r"-\log p(x \mid z) + D_{\mathrm{KL}}\!\left(q(z \mid x) \,\|\, p(z)\right) \\ {} + "
    r"\gamma\, D_{\mathrm{KL}}\!\left(q(z) \,\|\, \textstyle\prod_d q(z_d)\right)",
    when="As β-TCVAE, with an estimate that does not depend on the batch; it trains longer.",
    paper="Kim and Mnih (2018), equation 2",
    terms={
        "recon": RECON,
        "kl": KL,
        "tc": Quantity(
            "Total correlation", weight=r"\gamma", help="As the critic sees it, log D/(1 − D)."
        ),
        "critic": Quantity("Critic's loss", "nats per code", help="log 2 = 0.69 is guessing."),
        "accuracy": Quantity(
            "Critic's accuracy", "%", help="Codes it tells from shuffled ones; 50 is guessing."
        ),
    },
    options=FactorOptions,
    check=need_two_images,
)
def factor_vae(
    config: ModelConfig, data: DataCard, options: FactorOptions
) -> tuple[LatentModel, FactorObjective]:
    """Diagonal Gaussian posterior, and a critic of its codes."""
    model = diagonal_gaussian(config, data)
    return model, FactorObjective(model.likelihood, options, config.latent_dim)
