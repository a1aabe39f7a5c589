"""The sparse autoencoder: only few units may speak for each image."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from vae_core.losses.sparsity import activation_kl, l1
from vae_core.models.likelihoods import Likelihood
from vae_core.objectives.objective import MODEL, Objective
from vae_core.settings import Settings, setting
from vae_core.types import Context, LossTerms, Output, Term


class SparseOptions(Settings):
    """Which penalty, its weight, and the activation that is aimed at."""

    penalty: Literal["l1", "kl"] = setting(
        "l1",
        "Penalty",
        "l1 draws codes to exactly 0; kl asks each unit to fire at a given rate.",
    )
    weight: float = setting(
        1.0, "λ on sparsity", "More silences more units and costs sharpness.", ge=0, le=1e6
    )
    target: float = setting(
        0.05,
        "Target activation ρ",
        "The mean activation that the kl penalty aims at.",
        more=True,
        gt=0,
        lt=1,
    )


class SparseObjective(Objective):
    """−log p(x|z) + λ · Σ_d |z_d|, or λ · Σ_d KL(ρ ‖ mean activation of unit d).

    Source: Ng, Sparse Autoencoder, CS294A lecture notes (2011), section 3; L1: Goodfellow, Bengio
    and Courville, Deep Learning (2016), section 14.2.1.
    """

    SILENT = 0.1
    """A unit below this share of the batch's largest activation counts as silent."""

    def __init__(self, likelihood: Likelihood, options: SparseOptions) -> None:
        super().__init__(likelihood)
        self.options = options

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super().losses(x, output, context)
        z = output.z
        penalty = l1(z) if self.options.penalty == "l1" else activation_kl(z, self.options.target)
        speaks = z.detach().abs() > self.SILENT * z.detach().abs().max()
        losses[MODEL]["sparsity"] = Term(penalty, self.options.weight)
        losses[MODEL]["active"] = Term(100.0 * speaks.float().mean(1), 0.0)
        return losses
