"""A VAE that learns its prior."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from vae_core.config import ModelConfig
from vae_core.families.family import KL, RECON, families
from vae_core.families.networks import gaussian_head, latent_model
from vae_core.models import LatentModel
from vae_core.models.vamp import VampModel
from vae_core.objectives.vae import VaeOptions
from vae_core.objectives.vamp import VampObjective
from vae_core.runs import DataCard
from vae_core.settings import setting


class VampOptions(VaeOptions):
    """β, and the size of the prior."""

    components: int = setting(
        100,
        "Components",
        "Learned pictures whose posteriors make the prior; each costs as much as an image.",
        ge=1,
        le=5000,
    )


@families.family(
    "vamp",
    label="VAE, VampPrior",
    blurb="The prior learns where codes lie, so codes need not crowd around zero.",
    formula=r"-\log p(x \mid z) + \beta \left(\log q(z \mid x) - "
    r"\log \tfrac{1}{K} \textstyle\sum_k q(z \mid u_k)\right)",
    when="Samples of a plain VAE fall into gaps between its codes, or latents fall idle.",
    paper="Tomczak and Welling (2018)",
    terms={
        "recon": RECON,
        "kl": replace(KL, weight=r"\beta", help="log q(z|x) − log p(z), estimated from draws."),
    },
    options=VampOptions,
)
def vamp(
    config: ModelConfig, data: DataCard, options: VampOptions
) -> tuple[LatentModel, VampObjective]:
    """Diagonal Gaussian posterior, a mixture of such posteriors as prior."""
    make = partial(VampModel, components=options.components)
    model = latent_model(config, data, gaussian_head(config), make)
    return model, VampObjective(model.likelihood, options)
