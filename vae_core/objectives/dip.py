"""DIP-VAE: the covariance of codes is drawn towards the identity."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from vae_core.losses.covariance import covariance, off_and_on_diagonal
from vae_core.models.likelihoods import Likelihood
from vae_core.objectives.objective import MODEL, Objective
from vae_core.objectives.vae import rate
from vae_core.settings import Settings, setting
from vae_core.types import Context, LossTerms, Output, Term


class DipOptions(Settings):
    """Which covariance, and the weights of its two parts."""

    kind: Literal["I", "II"] = setting(
        "II", "Kind", "I looks at the posterior means only, II at the codes as they are drawn."
    )
    off_diagonal: float = setting(
        10.0, "λ off the diagonal", "More decorrelates dimensions.", ge=0, le=1e6
    )
    diagonal: float = setting(
        10.0,
        "λ on the diagonal",
        "More gives each dimension variance 1; the paper takes ten times the other for kind I.",
        ge=0,
        le=1e6,
    )


class DipObjective(Objective):
    """−log p(x|z) + KL + λ_od Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii − 1)².

    C is Cov[μ] (I) or Cov[μ] + E[diag σ²] (II), over the batch.

    Source: Kumar, Sattigeri and Balakrishnan (2018), equations 6 and 7.
    """

    def __init__(self, likelihood: Likelihood, options: DipOptions) -> None:
        super().__init__(likelihood)
        self.options = options

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super().losses(x, output, context)
        mu, logvar = (output.posterior.aux[name] for name in ("mu", "logvar"))
        of_codes = covariance(mu)
        if self.options.kind == "II":
            of_codes = of_codes + logvar.exp().mean(0).diag()
        off, on = off_and_on_diagonal(of_codes)
        losses[MODEL]["kl"] = Term(rate(output.posterior))
        losses[MODEL]["off_diagonal"] = Term(off.expand(len(x)), self.options.off_diagonal)
        losses[MODEL]["diagonal"] = Term(on.expand(len(x)), self.options.diagonal)
        return losses
