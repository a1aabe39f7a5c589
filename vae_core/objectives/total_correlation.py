"""β-TCVAE: the KL taken apart, each part with a weight of its own."""

from __future__ import annotations

from torch import Tensor

from vae_core.losses.decomposition import ESTIMATORS, EstimatorName, decomposition
from vae_core.models.likelihoods import Likelihood
from vae_core.objectives.objective import MODEL, Objective
from vae_core.objectives.vae import rate
from vae_core.settings import Settings, setting
from vae_core.types import Context, LossTerms, Output, Term


class TotalCorrelationOptions(Settings):
    """The three weights and the estimator of q(z)."""

    beta: float = setting(
        6.0,
        "β on total correlation",
        "More makes dimensions independent of each other; 1 everywhere is the VAE.",
        ge=0,
        le=1e6,
    )
    alpha: float = setting(
        1.0, "α on mutual information", "More forgets more of each image.", more=True, ge=0, le=1e6
    )
    gamma: float = setting(
        1.0,
        "γ on dimension-wise KL",
        "More draws each dimension by itself towards N(0, 1).",
        more=True,
        ge=0,
        le=1e6,
    )
    estimator: EstimatorName = setting(
        "stratified",
        "Estimator of q(z)",
        "stratified is unbiased; weighted, the paper's own, is off by about log N a dimension.",
        more=True,
    )


class TotalCorrelationObjective(Objective):
    """−log p(x|z) + α · mutual information + β · total correlation + γ · dimension-wise KL.

    Source: Chen, Li, Grosse and Duvenaud, Isolating Sources of Disentanglement in VAEs (2018).
    """

    def __init__(self, likelihood: Likelihood, options: TotalCorrelationOptions) -> None:
        super().__init__(likelihood)
        self.options = options

    def controls(self, context: Context) -> dict[str, float]:
        return {"beta": context.overrides.get("beta", self.options.beta)}

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super().losses(x, output, context)
        mu, logvar = (output.posterior.aux[name] for name in ("mu", "logvar"))
        batch = len(x)
        log_weights = ESTIMATORS[self.options.estimator](batch, max(batch, context.train_images))
        parts = decomposition(output.z, mu, logvar, log_weights.to(mu))
        weights = (self.options.alpha, self.controls(context)["beta"], self.options.gamma)
        for name, value, weight in zip(("mi", "tc", "dwkl"), parts, weights, strict=True):
            losses[MODEL][name] = Term(value, weight)
        losses[MODEL]["kl"] = Term(rate(output.posterior).detach(), 0.0)
        return losses
