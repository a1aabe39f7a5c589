"""The sparse autoencoder: only few units may speak for each image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from vae_core.losses.sparsity import activation_kl, firing_share, l1, l1_over_l2, mean_rate
from vae_core.models.likelihoods import Likelihood
from vae_core.objectives.objective import MODEL, Objective
from vae_core.settings import Settings, setting
from vae_core.types import Context, LossTerms, Output, Term

Penalty = Literal["l1", "kl"]
Measure = Literal["relative", "absolute"]


class SparseOptions(Settings):
    """Which penalty, its weight, and the activation that is aimed at."""

    penalty: Penalty = setting(
        "l1",
        "Penalty",
        "l1 draws the codes of each image to exactly 0; kl asks each unit to fire for a given "
        "share of the images.",
    )
    weight: float = setting(
        1.0, "λ on sparsity", "More silences more units and costs sharpness.", ge=0, le=1e6
    )
    target: float = setting(
        0.05,
        "Target activation ρ",
        "The share of the images for which the kl penalty lets a unit fire.",
        more=True,
        gt=0,
        lt=1,
    )
    measure: Measure = setting(
        "relative",
        "Size of codes",
        "relative sets the penalty against it; absolute is met by making all codes smaller, and "
        "none becomes 0.",
        more=True,
    )


class SparseObjective(Objective):
    """−log p(x|z) + λ · Σ_d |z_d| / ‖z‖, or λ · Σ_d KL(ρ ‖ share of images unit d fires for).

    Both are free of the codes' scale: a decoder that may have any weights undoes whatever codes
    lose in size, so that plain sums reward small codes, not silent ones.

    Source: L1: Goodfellow, Bengio and Courville, Deep Learning (2016), section 14.2.1; over L2:
    Hoyer (2004), section 3.1; KL: Ng, Sparse Autoencoder, CS294A lecture notes (2011), section 3.
    """

    def __init__(self, likelihood: Likelihood, options: SparseOptions) -> None:
        super().__init__(likelihood)
        self.weight = options.weight
        self.penalty = penalty_of(options)

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super().losses(x, output, context)
        losses[MODEL]["sparsity"] = Term(self.penalty(output.z), self.weight)
        losses[MODEL] |= silence(output.z)
        return losses


def penalty_of(options: SparseOptions) -> Callable[[Tensor], Tensor]:
    """Codes [B, D] → what they cost unweighted, [B]."""
    relative = options.measure == "relative"
    if options.penalty == "l1":
        return l1_over_l2 if relative else l1
    rate = firing_share if relative else mean_rate
    return lambda z: activation_kl(z, options.target, rate)


class KSparseOptions(Settings):
    """How many units may speak."""

    k: int = setting(
        4, "Speaking units k", "Codes that may differ from 0 in each image; more keep more.", ge=1
    )


class KSparseObjective(Objective):
    """−log p(x|z): the codes themselves are sparse.

    Source: Makhzani and Frey, k-Sparse Autoencoders (2014), section 2.1.
    """

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super().losses(x, output, context)
        losses[MODEL] |= silence(output.z)
        return losses


@torch.no_grad()
def silence(z: Tensor) -> LossTerms:
    """What is watched of codes [B, D], in percent of D: how many speak, and how many are exactly 0.

    Speaking counts as many units as would have the same Σ|z| over ‖z‖ if they spoke alike; it is
    free of scale and belongs to each image, whatever is in its batch.
    """
    dims = z.shape[1]
    return {
        "active": Term(100.0 * l1_over_l2(z).square() / dims, 0.0),
        "zeros": Term(100.0 * (z == 0).float().mean(1), 0.0),
    }
