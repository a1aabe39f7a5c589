"""DIP-VAE, both kinds: the covariance of codes is drawn towards the identity."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vae_core.families.family import KL, RECON, Quantity, families, need_two_images
from vae_core.families.networks import on_diagonal_gaussian, weight_setting
from vae_core.models import GaussianPosterior, Output
from vae_core.objective import MODEL, Objective
from vae_core.settings import Settings, setting
from vae_core.shares import gathered
from vae_core.types import Context, Losses, Term


class DipOptions(Settings):
    """Which covariance, and the weights of its two parts."""

    kind: Literal["I", "II"] = setting(
        "II", "Kind", "I looks at the posterior means only, II at the codes as they are drawn."
    )
    off_diagonal: float = weight_setting(
        10.0, "λ off the diagonal", "More decorrelates dimensions."
    )
    diagonal: float = weight_setting(
        10.0,
        "λ on the diagonal",
        "More gives each dimension variance 1; the paper takes ten times the other for kind I.",
    )


class DipObjective(Objective[GaussianPosterior]):
    """−log p(x|z) + KL + λ_od Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii − 1)².

    C is Cov[μ] (I) or Cov[μ] + E[diag σ²] (II), over the batch.

    Source: Kumar, Sattigeri and Balakrishnan (2018), equations 6 and 7.
    """

    options: DipOptions

    def losses(self, x: Tensor, output: Output[GaussianPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        of_codes = covariance(gathered(output.posterior.mu))
        if self.options.kind == "II":
            of_codes = of_codes + gathered(output.posterior.logvar).exp().mean(0).diag()
        off, on = off_and_on_diagonal(of_codes)
        losses[MODEL]["kl"] = Term(output.posterior.kl().sum(1))
        losses[MODEL]["off_diagonal"] = Term(off.expand(len(x)), self.options.off_diagonal)
        losses[MODEL]["diagonal"] = Term(on.expand(len(x)), self.options.diagonal)
        return losses


def covariance(rows: Tensor) -> Tensor:
    """Population covariance of rows [B, D], [D, D]."""
    centred = rows - rows.mean(0)
    return centred.T @ centred / len(rows)


def off_and_on_diagonal(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_{i≠j} C_ij² and Σ_i (C_ii − 1)², scalars.

    Source: Kumar, Sattigeri and Balakrishnan, Variational Inference of Disentangled Latent
    Concepts from Unlabeled Observations (2018), equations 6 and 7.
    """
    diagonal = covariance.diagonal()
    off = (covariance - torch.diag(diagonal)).square().sum()
    return off, (diagonal - 1).square().sum()


SQUARED = "squared covariance"


families.register(
    "dip-vae",
    label="DIP-VAE",
    blurb="Decorrelates dimensions by the covariance of their codes.",
    formula=r"-\log p(x \mid z) + D_{\mathrm{KL}}\!\left(q(z \mid x) \,\|\, p(z)\right) \\ {} + "
    r"\lambda_{od} \textstyle\sum_{i \neq j} C_{ij}^2 + "
    r"\lambda_{d} \textstyle\sum_i (C_{ii} - 1)^2",
    when="You want uncorrelated dimensions at the price of two cheap sums.",
    paper="Kumar et al. (2018), equations 6 and 7",
    terms={
        "recon": RECON,
        "kl": KL,
        "off_diagonal": Quantity(
            "Off the diagonal",
            SQUARED,
            r"\lambda_{od}",
            "How much dimensions vary together.",
            "off_diagonal",
        ),
        "diagonal": Quantity(
            "On the diagonal", SQUARED, r"\lambda_{d}", "How far variances are from 1.", "diagonal"
        ),
    },
    options=DipOptions,
    check=need_two_images,
)(on_diagonal_gaussian(DipObjective))
