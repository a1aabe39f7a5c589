"""Free bits: every dimension may carry some information at no cost."""

from __future__ import annotations

from torch import Tensor

from vae_core.families.family import KL, RECON, Quantity, families, need_whole_batches
from vae_core.families.networks import on_diagonal_gaussian
from vae_core.families.vae import VaeObjective, VaeOptions
from vae_core.models import DensityPosterior, Output
from vae_core.objective import MODEL
from vae_core.settings import setting
from vae_core.shares import gathered
from vae_core.types import Context, Losses, Term


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

    options: FreeBitsOptions

    def losses(self, x: Tensor, output: Output[DensityPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        kl = output.posterior.kl()
        floored = gathered(kl).mean(0).clamp_min(self.options.free).sum().expand(len(kl))
        losses[MODEL]["kl_floored"] = Term(floored, losses[MODEL]["kl"].weight)
        losses[MODEL]["kl"] = Term(kl.detach().sum(1), 0.0)
        return losses


families.register(
    "free-bits",
    label="VAE with free bits",
    blurb="Each dimension may carry a little for nothing, so that none falls silent.",
    formula=r"-\log p(x \mid z) + \beta \sum_d \max\!\left(\lambda,\; "
    r"\mathbb{E}_x\, D_{\mathrm{KL}}(q(z_d \mid x) \,\|\, p(z_d))\right)",
    when="A VAE leaves dimensions unused, or collapses at the start.",
    paper="Kingma et al. (2016)",
    terms={
        "recon": RECON,
        "kl": KL,
        "kl_floored": Quantity(
            "KL, at least λ a dimension", weight=r"\beta", help="What is minimised of the KL."
        ),
    },
    options=FreeBitsOptions,
    check=need_whole_batches,
)(on_diagonal_gaussian(FreeBitsObjective))
