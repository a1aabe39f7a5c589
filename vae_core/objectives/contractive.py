"""The contractive autoencoder: codes shall not move when images hardly do."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vae_core.losses.jacobian import relative_jacobian, squared_jacobian_norm
from vae_core.models import LatentModel
from vae_core.models.likelihoods import Likelihood
from vae_core.objectives.objective import MODEL, Objective
from vae_core.settings import Settings, setting
from vae_core.types import Context, LossTerms, Output, Term

Measure = Literal["relative", "absolute"]


class ContractiveOptions(Settings):
    """The weight of the penalty, and what it is set against."""

    weight: float = setting(
        1.0,
        "λ on the Jacobian",
        "More makes codes blind to small changes of the image and costs sharpness.",
        ge=0,
        le=1e6,
    )
    measure: Measure = setting(
        "relative",
        "Size of codes",
        "relative sets the penalty against their variance; absolute is met by making all codes "
        "smaller.",
        more=True,
    )


class ContractiveObjective(Objective):
    """−log p(x|z) + λ · ‖∂z/∂x‖²_F / Σ_d Var(z_d), the norm exact.

    The paper ties the decoder's weights to the encoder's, so that codes cannot shrink for free.
    Networks of several layers are not tied here; the variance of the codes takes that place.

    Source: Rifai, Vincent, Muller, Glorot and Bengio, Contractive Auto-Encoders (2011), equation 1
    and section 3.
    """

    def __init__(self, likelihood: Likelihood, options: ContractiveOptions) -> None:
        super().__init__(likelihood)
        self.weight, self.relative = options.weight, options.measure == "relative"

    def forward(self, model: LatentModel, x: Tensor, context: Context) -> Output:
        # Measured without gradients elsewhere, the norm itself still is one.
        with torch.inference_mode(False), torch.enable_grad():
            shown = x.clone().requires_grad_()
            posterior = model.encode(shown)
            norm = squared_jacobian_norm(shown, posterior.mode())
        z = posterior.sample(context.generator)
        return Output(posterior, z, model.decode(z), {"jacobian": norm})

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super().losses(x, output, context)
        norm = output.extra["jacobian"]
        if self.relative:
            contraction = relative_jacobian(norm, output.z)
            losses[MODEL]["contraction"] = Term(contraction, self.weight)
        losses[MODEL]["jacobian"] = Term(norm, 0.0 if self.relative else self.weight)
        return losses
