"""A VAE whose KL is held at a capacity that rises."""

from __future__ import annotations

from vae_core.config import ModelConfig
from vae_core.families.family import KL, RECON, Quantity, families
from vae_core.families.networks import diagonal_gaussian
from vae_core.models import LatentModel
from vae_core.objectives.capacity import CapacityObjective, CapacityOptions
from vae_core.runs import DataCard


@families.family(
    "capacity",
    label="VAE with rising capacity",
    blurb="Says how many nats may be remembered, and lets them in slowly.",
    formula=r"-\log p(x \mid z) + \gamma \left| "
    r"D_{\mathrm{KL}}\!\left(q(z \mid x) \,\|\, p(z)\right) - C(t) \right|",
    when="You want β-VAE's order without its blur: factors come in one at a time.",
    paper="Burgess et al. (2018), equation 8",
    terms={
        "recon": RECON,
        "kl": KL,
        "gap": Quantity("|KL − C|", weight=r"\gamma", help="How far the KL is from its target."),
        "capacity": Quantity("Capacity C", help="The target of the KL at this step."),
    },
    options=CapacityOptions,
)
def capacity(
    config: ModelConfig, data: DataCard, options: CapacityOptions
) -> tuple[LatentModel, CapacityObjective]:
    """Diagonal Gaussian posterior, KL held at C(t)."""
    model = diagonal_gaussian(config, data)
    return model, CapacityObjective(model.likelihood, options)
