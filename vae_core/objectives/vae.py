"""The evidence lower bound, with a weight β on its rate."""

from __future__ import annotations

from torch import Tensor

from vae_core.models.likelihoods import Likelihood
from vae_core.objectives.objective import MODEL, Objective
from vae_core.schedules import SCHEDULES, ScheduleName
from vae_core.settings import Settings, setting
from vae_core.types import Context, LossTerms, Output, Posterior, Term


class VaeOptions(Settings):
    """The weight of the KL and how it comes on."""

    beta: float = setting(
        1.0,
        "β",
        "Weight of the KL in nats; 1 is the ELBO, more buys order and costs sharpness.",
        ge=0,
        le=1e6,
    )
    schedule: ScheduleName = setting(
        "constant",
        "β schedule",
        "linear warms β up from 0; cyclical does so again and again.",
        more=True,
    )
    schedule_steps: int = setting(
        1000,
        "Schedule length",
        "Length of the warm-up, or of one cycle.",
        unit="steps",
        more=True,
        ge=1,
    )
    samples: int = setting(
        1,
        "Draws of z",
        "Draws averaged for each image; more calm the gradient and cost time.",
        more=True,
        ge=1,
        le=64,
    )


class VaeObjective(Objective):
    """−log p(x|z) + β · KL(q(z|x) ‖ p(z)), the first averaged over L draws of z.

    Source: Kingma and Welling (2014), equation 7; the weight: Higgins et al., β-VAE (2017),
    equation 4.
    """

    def __init__(self, likelihood: Likelihood, options: VaeOptions) -> None:
        super().__init__(likelihood)
        self.samples = options.samples
        self.beta = SCHEDULES[options.schedule](options.beta, options.schedule_steps)

    def controls(self, context: Context) -> dict[str, float]:
        return {"beta": context.overrides.get("beta", self.beta(context.step))}

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        terms = super().losses(x, output, context)
        terms[MODEL]["kl"] = Term(rate(output.posterior), self.controls(context)["beta"])
        return terms


def rate(posterior: Posterior) -> Tensor:
    """KL(q(z|x) ‖ p(z)) in nats per image, [B]."""
    kl = posterior.kl()
    assert kl is not None, "this objective needs a posterior with a divergence"
    return kl.sum(1)
