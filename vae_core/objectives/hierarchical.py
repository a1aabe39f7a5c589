"""The evidence lower bound of several levels, with the rate of each one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from vae_core.models import LatentModel
from vae_core.models.likelihoods import Likelihood
from vae_core.objectives.objective import MODEL
from vae_core.objectives.vae import VaeObjective, VaeOptions
from vae_core.types import Context, LossTerms, Output, Term


class HierarchicalObjective(VaeObjective):
    """−log p(x|z₁…z_L) + β · Σₗ KL(q(zₗ|z₍<l₎, x) ‖ p(zₗ|z₍<l₎)), z₁ the coarsest.

    Source: Sønderby et al., Ladder Variational Autoencoders (2016).
    """

    def __init__(
        self, likelihood: Likelihood, options: VaeOptions, level_sizes: Sequence[int]
    ) -> None:
        super().__init__(likelihood, options)
        self.level_sizes = list(level_sizes)

    def forward(self, model: LatentModel, x: Tensor, context: Context) -> Output:
        """Several draws take several paths, and the divergence is that of each path."""
        output: Output = model(x.repeat(self.samples, 1, 1, 1), context.generator)
        return output

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super(VaeObjective, self).losses(x, output, context)
        kl = output.posterior.kl()
        assert kl is not None, "every level has a divergence"
        rates = [
            part.sum(1).unflatten(0, (self.samples, len(x))).mean(0)
            for part in kl.split(self.level_sizes, 1)
        ]
        total = sum(rates[1:], start=rates[0])
        losses[MODEL]["kl"] = Term(total, self.controls(context)["beta"])
        losses[MODEL] |= {f"kl_level_{i}": Term(rate, 0.0) for i, rate in enumerate(rates, 1)}
        return losses
