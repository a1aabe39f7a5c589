"""The importance-weighted autoencoder."""

from __future__ import annotations

from vae_core.config import ModelConfig
from vae_core.families.family import KL, RECON, Quantity, families
from vae_core.families.networks import diagonal_gaussian
from vae_core.models import LatentModel
from vae_core.objectives.iwae import IwaeObjective, IwaeOptions
from vae_core.runs import DataCard


@families.family(
    "iwae",
    label="IWAE",
    blurb="Several draws compete for each image, so the bound comes closer to log p(x).",
    formula=r"-\log \frac{1}{k} \sum_{i=1}^{k} \frac{p(x, z_i)}{q(z_i \mid x)}, "
    r"\\ z_i \sim q(z \mid x)",
    when="You want the best likelihood and more latents in use; a step takes k decodings.",
    paper="Burda et al. (2016), equation 8; doubly reparameterised: Tucker et al. (2019)",
    terms={
        "bound": Quantity("−log p̂(x), k draws", help="The importance-weighted bound, negated."),
        "recon": RECON,
        "kl": KL,
        "effective_draws": Quantity(
            "Effective draws", "draws", help="As how many of the k draws they count."
        ),
    },
    options=IwaeOptions,
)
def iwae(
    config: ModelConfig, data: DataCard, options: IwaeOptions
) -> tuple[LatentModel, IwaeObjective]:
    """Diagonal Gaussian posterior, bound of k draws."""
    model = diagonal_gaussian(config, data)
    return model, IwaeObjective(model.likelihood, options)
