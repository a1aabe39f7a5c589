"""What families share whose networks come from elsewhere: they are measured, never trained.

What they were trained with is not known here, so that what is minimised is the plain ELBO.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from vae_core.families.family import KL, RECON, Quantity
from vae_core.models import DensityPosterior, GaussianPosterior, LatentModel, Output
from vae_core.objective import MODEL, Objective
from vae_core.types import Context, Losses, Term

TERMS: dict[str, Quantity] = {"recon": RECON, "kl": KL}

ELBO_FORMULA = r"-\log p(x \mid z) + D_{\mathrm{KL}}\!\left(q(z \mid x) \,\|\, p(z)\right)"


class Measured(Objective[DensityPosterior]):
    """−log p(x|z) + KL(q(z|x) ‖ p(z)), and nothing that could be turned.

    Source: Kingma and Welling (2014), equation 3.
    """

    def losses(self, x: Tensor, output: Output[DensityPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        losses[MODEL]["kl"] = Term(output.posterior.kl().sum(1))
        return losses


def measured(model: LatentModel[Any]) -> Objective[Any]:
    """What a model from elsewhere is measured by: without a density its reconstruction alone."""
    density = issubclass(model.posterior, GaussianPosterior)
    return (Measured if density else Objective)(model.likelihood)
