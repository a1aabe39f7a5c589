"""InfoVAE: a VAE whose codes as a whole are compared with the prior, too."""

from __future__ import annotations

from torch import Tensor

from vae_core.families.family import ELBO, families, need_two_images
from vae_core.families.networks import on_diagonal_gaussian, weight_setting
from vae_core.families.wae import DISCREPANCY, WaeObjective, WaeOptions
from vae_core.models import DensityPosterior, Output
from vae_core.objective import MODEL
from vae_core.types import Context, Losses, Term


class InfoVaeOptions(WaeOptions):
    """And that of the KL of each image."""

    beta: float = weight_setting(
        0.1,
        "β on the KL",
        "1 − α of the paper: 0 lets each image keep all it can, 1 is the VAE and a discrepancy.",
    )


class InfoVaeObjective(WaeObjective[DensityPosterior]):
    """−log p(x|z) + β · KL + λ · MMD²(q(z), p(z)).

    Source: Zhao, Song and Ermon, InfoVAE (2019), with β for 1 − α and λ for α + λ − 1.
    """

    options: InfoVaeOptions

    def controls(self, context: Context) -> dict[str, float]:
        return {"beta": context.overrides.get("beta", self.options.beta)}

    def losses(self, x: Tensor, output: Output[DensityPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        losses[MODEL]["kl"] = Term(output.posterior.kl().sum(1), self.controls(context)["beta"])
        return losses


families.register(
    "info-vae",
    label="InfoVAE",
    blurb="Codes as a whole match the prior, while each image keeps what it needs.",
    formula=r"-\log p(x \mid z) + \beta\, D_{\mathrm{KL}}\!\left(q(z \mid x) \,\|\, p(z)\right)"
    r" \\ {} + \lambda\, \mathrm{MMD}^2\!\left(q(z), p(z)\right)",
    when="A VAE forgets too much, and you still want to draw from the prior.",
    paper="Zhao et al. (2019)",
    terms=ELBO | {"mmd": DISCREPANCY},
    options=InfoVaeOptions,
    check=need_two_images,
)(on_diagonal_gaussian(InfoVaeObjective))
