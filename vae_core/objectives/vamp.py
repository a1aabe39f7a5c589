"""The evidence lower bound under a learned mixture as prior."""

from __future__ import annotations

from torch import Tensor

from vae_core.models.posteriors import EVALUATION_DRAWS, MixturePricedPosterior
from vae_core.objectives.objective import MODEL
from vae_core.objectives.vae import VaeObjective
from vae_core.types import Context, LossTerms, Output, Term


class VampObjective(VaeObjective):
    """−log p(x|z) + β · (log q(z|x) − log 1/K Σₖ q(z|uₖ)), estimated from the draws of z.

    Training prices the draws that are decoded. Measurement has `EVALUATION_DRAWS` for the price,
    so that the KL of a single image means something.

    Source: Tomczak and Welling, VAE with a VampPrior (2018).
    """

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super(VaeObjective, self).losses(x, output, context)
        posterior = output.posterior
        assert isinstance(posterior, MixturePricedPosterior)
        if self.training:
            each = posterior.kl_of(output.z.unflatten(0, (self.samples, len(x))))
        else:
            each = posterior.kl_draws(EVALUATION_DRAWS, context.generator)
        losses[MODEL]["kl"] = Term(each.mean(0), self.controls(context)["beta"])
        return losses
