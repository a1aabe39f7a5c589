"""The Wasserstein autoencoder: codes as a whole are compared with the prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from vae_core.config import ModelConfig
from vae_core.families.family import RECON, Built, Quantity, families, need_two_images
from vae_core.families.networks import latent_model, weight_setting
from vae_core.models import Deterministic, Output, PointPosterior
from vae_core.objective import MODEL, Objective, P
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting
from vae_core.shares import at_hand, gathered, normal_like
from vae_core.types import Context, Losses, Term


class WaeOptions(Settings):
    """The weight of the discrepancy and its kernel."""

    mmd: float = weight_setting(
        500.0, "λ on the discrepancy", "More makes codes as a whole look like the prior."
    )
    kernel: Literal["imq", "rbf"] = setting(
        "imq",
        "Kernel",
        "imq also feels codes that lie far out; rbf sees only what is near.",
        more=True,
    )


class WaeObjective(Objective[P]):
    """−log p(x|z) + λ · MMD²(q(z), p(z)), over the batch.

    Source: Tolstikhin, Bousquet, Gelly and Schölkopf, Wasserstein Auto-Encoders (2018),
    equation 4 and algorithm 2.
    """

    options: WaeOptions

    def losses(self, x: Tensor, output: Output[P], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        z = output.z.flatten(1)
        codes, prior = gathered(z), gathered(normal_like(z, context.generator))
        discrepancy = mmd(codes, prior, KERNELS[self.options.kernel])
        losses[MODEL]["mmd"] = Term(at_hand(discrepancy), self.options.mmd)
        return losses


def inverse_multiquadratic(squared: Tensor, dims: int) -> Tensor:
    """C / (C + d²) with C = 2·D: Tolstikhin et al., Wasserstein Auto-Encoders (2018), section 4."""
    return 2 * dims / (2 * dims + squared)


def gaussian_kernel(squared: Tensor, dims: int) -> Tensor:
    """exp(−d² / 2D): wide enough to see as far as two draws from N(0, I) lie apart, d² ≈ 2D."""
    return torch.exp(-squared / (2 * dims))


KERNELS = {"imq": inverse_multiquadratic, "rbf": gaussian_kernel}


def mmd(a: Tensor, b: Tensor, kernel: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Unbiased estimate of MMD² between two samples [B, D], which may be below 0; the same for
    every row, [B], and 0 for a single one.

    Source: Gretton et al., A Kernel Two-Sample Test (2012), equation 3.
    """
    rows, dims = a.shape
    if rows == 1:
        return (a - a).sum(1)

    def alike(one: Tensor, other: Tensor) -> Tensor:
        return kernel((one[:, None] - other[None]).square().sum(2), dims)

    within = _mean_of_pairs(alike(a, a)) + _mean_of_pairs(alike(b, b))
    return (within - 2 * alike(a, b).mean()).expand(rows)


def _mean_of_pairs(kernel: Tensor) -> Tensor:
    """The mean over pairs of different rows."""
    n = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1))


DISCREPANCY = Quantity(
    "MMD²",
    "kernel units",
    r"\lambda",
    "How far codes as a whole are from the prior; 0 is alike.",
    "mmd",
)


@families.register(
    "wae",
    label="WAE",
    blurb="An autoencoder whose codes together look like the prior; sharp, and drawable.",
    formula=r"-\log p(x \mid z) + \lambda\, \mathrm{MMD}^2\!\left(q(z), p(z)\right)",
    when="You want an autoencoder's sharpness and new images from the prior.",
    paper="Tolstikhin et al. (2018), equation 4, algorithm 2",
    terms={"recon": RECON, "mmd": DISCREPANCY},
    options=WaeOptions,
    check=need_two_images,
)
def wae(config: ModelConfig, data: DataCard, options: WaeOptions) -> Built[PointPosterior]:
    """Deterministic code, discrepancy of codes from the prior N(0, I), which they have for it."""
    model = latent_model(config, data, Deterministic)
    return model, WaeObjective(model.likelihood, options)
