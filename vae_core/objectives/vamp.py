"""The evidence lower bound under a learned mixture as prior."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from torch import Tensor

from vae_core.losses.density import gaussian_log_density
from vae_core.losses.mixture import mixture_log_density
from vae_core.models import LatentModel
from vae_core.models.vamp import VampModel
from vae_core.objectives.objective import MODEL
from vae_core.objectives.vae import VaeObjective
from vae_core.types import Context, LossTerms, Output, Term


class VampObjective(VaeObjective):
    """−log p(x|z) + β · (log q(z|x) − log 1/K Σₖ q(z|uₖ)), estimated from the draws of z.

    Source: Tomczak and Welling, VAE with a VampPrior (2018).
    """

    def forward(self, model: LatentModel, x: Tensor, context: Context) -> Output:
        """One pass more, for the posteriors of the learned pictures."""
        output = super().forward(model, x, context)
        prior = cast(VampModel, model).components()
        return replace(output, extra={"prior_mu": prior.mu, "prior_logvar": prior.logvar})

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super(VaeObjective, self).losses(x, output, context)
        mu, logvar = (output.posterior.aux[name] for name in ("mu", "logvar"))
        z = output.z.unflatten(0, (self.samples, len(x)))
        log_q = gaussian_log_density(z, mu, logvar).sum(2)
        prior = (output.extra["prior_mu"], output.extra["prior_logvar"])
        log_p = mixture_log_density(output.z, *prior).unflatten(0, (self.samples, len(x)))
        losses[MODEL]["kl"] = Term((log_q - log_p).mean(0), self.controls(context)["beta"])
        return losses
