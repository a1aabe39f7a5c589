"""InfoVAE and WAE: codes as a whole are compared with the prior, not each cloud by itself."""

from __future__ import annotations

from torch import Tensor

from vae_core.losses.discrepancy import KERNELS, KernelName, mmd
from vae_core.models.likelihoods import Likelihood
from vae_core.models.posteriors import normal_like
from vae_core.objectives.objective import MODEL, Objective
from vae_core.objectives.vae import rate
from vae_core.settings import Settings, setting
from vae_core.types import Context, LossTerms, Output, Term


class WaeOptions(Settings):
    """The weight of the discrepancy and its kernel."""

    mmd: float = setting(
        500.0,
        "λ on the discrepancy",
        "More makes codes as a whole look like the prior.",
        ge=0,
        le=1e6,
    )
    kernel: KernelName = setting(
        "imq",
        "Kernel",
        "imq also feels codes that lie far out; rbf sees only what is near.",
        more=True,
    )


class InfoOptions(WaeOptions):
    """And that of the KL of each image."""

    beta: float = setting(
        0.1,
        "β on the KL",
        "1 − α of the paper: 0 lets each image keep all it can, 1 is the VAE and a discrepancy.",
        ge=0,
        le=1e6,
    )


class WaeObjective(Objective):
    """−log p(x|z) + λ · MMD²(q(z), p(z)), over the batch.

    Source: Tolstikhin, Bousquet, Gelly and Schölkopf, Wasserstein Auto-Encoders (2018),
    equation 4 and algorithm 2.
    """

    def __init__(self, likelihood: Likelihood, options: WaeOptions) -> None:
        super().__init__(likelihood)
        self.weight, self.kernel = options.mmd, KERNELS[options.kernel]

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super().losses(x, output, context)
        z = output.z.flatten(1)
        prior = normal_like(z, context.generator)
        losses[MODEL]["mmd"] = Term(mmd(z, prior, self.kernel), self.weight)
        return losses


class InfoObjective(WaeObjective):
    """−log p(x|z) + β · KL + λ · MMD²(q(z), p(z)).

    Source: Zhao, Song and Ermon, InfoVAE (2019), with β for 1 − α and λ for α + λ − 1.
    """

    def __init__(self, likelihood: Likelihood, options: InfoOptions) -> None:
        super().__init__(likelihood, options)
        self.beta = options.beta

    def controls(self, context: Context) -> dict[str, float]:
        return {"beta": context.overrides.get("beta", self.beta)}

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super().losses(x, output, context)
        losses[MODEL]["kl"] = Term(rate(output.posterior), self.controls(context)["beta"])
        return losses
