"""Controlled capacity: the KL is held at a target that rises."""

from __future__ import annotations

from torch import Tensor

from vae_core.families.family import KL, RECON, Quantity, families, need_whole_batches
from vae_core.families.networks import on_diagonal_gaussian, weight_setting
from vae_core.models import DensityPosterior, Likelihood, Output
from vae_core.objective import MODEL, Objective
from vae_core.schedules import linear
from vae_core.settings import Settings, setting
from vae_core.shares import gathered
from vae_core.types import Context, Losses, Term


class CapacityOptions(Settings):
    """The target of the KL, its way there, and how firmly it is held."""

    gamma: float = weight_setting(1000.0, "γ", "How firmly the KL is held at its target.")
    capacity: float = setting(
        25.0,
        "Capacity C",
        "KL at the end: how much of each image may be remembered.",
        unit="nats",
        ge=0,
        le=1e4,
    )
    capacity_steps: int = setting(
        5000,
        "Rise of C",
        "Steps in which the target goes from 0 to C; slower lets one factor settle at a time.",
        unit="steps",
        ge=1,
    )


class CapacityObjective(Objective[DensityPosterior]):
    """−log p(x|z) + γ · |mean KL − C(t)|, the mean over the batch.

    Source: Burgess et al., Understanding Disentangling in β-VAE (2018), equation 8.
    """

    def __init__(self, likelihood: Likelihood, options: CapacityOptions) -> None:
        super().__init__(likelihood)
        self.gamma = options.gamma
        self.capacity = linear(0.0, options.capacity, options.capacity_steps)

    def controls(self, context: Context) -> dict[str, float]:
        return {"capacity": context.overrides.get("capacity", self.capacity(context.step))}

    def losses(self, x: Tensor, output: Output[DensityPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        kl, capacity = output.posterior.kl().sum(1), self.controls(context)["capacity"]
        gap = (gathered(kl).mean() - capacity).abs().expand(len(x))
        losses[MODEL]["kl"] = Term(kl.detach(), 0.0)
        losses[MODEL]["gap"] = Term(gap, self.gamma)
        losses[MODEL]["capacity"] = Term(kl.new_full(kl.shape, capacity), 0.0)
        return losses


families.register(
    "capacity",
    label="VAE with rising capacity",
    blurb="Says how many nats may be remembered, and lets them in slowly.",
    formula=r"-\log p(x \mid z) + \gamma \left| "
    r"D_{\mathrm{KL}}\!\left(q(z \mid x) \,\|\, p(z)\right) - C(t) \right|",
    when="You want β-VAE's order without its blur: factors come in one at a time.",
    paper="Burgess et al. (2018), equation 8",
    terms={
        "recon": RECON,
        "kl": KL,
        "gap": Quantity("|KL − C|", weight=r"\gamma", help="How far the KL is from its target."),
        "capacity": Quantity("Capacity C", help="The target of the KL at this step."),
    },
    options=CapacityOptions,
    check=need_whole_batches,
)(on_diagonal_gaussian(CapacityObjective))
