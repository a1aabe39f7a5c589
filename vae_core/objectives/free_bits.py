"""Free bits: every dimension may carry some information at no cost."""

from __future__ import annotations

from torch import Tensor

from vae_core.models.likelihoods import Likelihood
from vae_core.objectives.objective import MODEL
from vae_core.objectives.vae import VaeObjective, VaeOptions
from vae_core.settings import setting
from vae_core.types import Context, LossTerms, Output, Term


class FreeBitsOptions(VaeOptions):
    """β, and what is free of it."""

    free: float = setting(
        0.25,
        "Free bits λ",
        "KL that each dimension may spend for nothing; more keep more dimensions alive.",
        unit="nats per dimension",
        ge=0,
        le=100,
    )


class FreeBitsObjective(VaeObjective):
    """−log p(x|z) + β · Σ_d max(λ, mean KL of dimension d), the mean over the batch.

    Source: Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow (2016).
    """

    def __init__(self, likelihood: Likelihood, options: FreeBitsOptions) -> None:
        super().__init__(likelihood, options)
        self.free = options.free

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super().losses(x, output, context)
        kl = output.posterior.kl()
        assert kl is not None
        floored = kl.mean(0).clamp_min(self.free).sum().expand(len(kl))
        losses[MODEL]["kl_floored"] = Term(floored, losses[MODEL]["kl"].weight)
        losses[MODEL]["kl"] = Term(kl.detach().sum(1), 0.0)
        return losses
