"""σ-VAE: a VAE that finds the pixel noise by itself."""

from __future__ import annotations

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families.family import ELBO, Built, families
from vae_core.families.networks import diagonal_gaussian
from vae_core.families.vae import VaeObjective, VaeOptions
from vae_core.models import DensityPosterior
from vae_core.runs import DataCard

OWN = "gaussian-optimal"


def check_likelihood(config: RunConfig, data: DataCard, options: VaeOptions) -> None:
    """The likelihood is what this family is about."""
    if config.model.likelihood not in ("auto", OWN):
        raise UserError(
            f"model.likelihood: σ-VAE finds σ by itself, so take auto or {OWN} "
            f"(it is {config.model.likelihood!r})."
        )


@families.register(
    "sigma-vae",
    label="σ-VAE",
    blurb="The noise of the pixels is computed from the error, so that β needs no tuning.",
    formula=r"-\log \mathcal{N}(x;\, \hat{x}, \sigma_*^2 I) + \beta\, "
    r"D_{\mathrm{KL}}\!\left(q(z \mid x) \,\|\, p(z)\right), \\ "
    r"\sigma_*^2 = \mathrm{MSE}(x, \hat{x})",
    when="Squared errors suit your images and you do not want to balance them against the KL.",
    paper="Rybkin et al. (2021)",
    terms=ELBO,
    options=VaeOptions,
    check=check_likelihood,
)
def sigma_vae(config: ModelConfig, data: DataCard, options: VaeOptions) -> Built[DensityPosterior]:
    """Diagonal Gaussian posterior, Gaussian pixels with the optimal σ."""
    model = diagonal_gaussian(config.model_copy(update={"likelihood": OWN}), data)
    return model, VaeObjective(model.likelihood, options)
