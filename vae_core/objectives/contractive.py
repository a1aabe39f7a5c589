"""The contractive autoencoder: codes shall not move when images hardly do."""

from __future__ import annotations

import torch
from torch import Tensor

from vae_core.losses.jacobian import squared_jacobian_norm
from vae_core.models import LatentModel
from vae_core.models.likelihoods import Likelihood
from vae_core.objectives.objective import MODEL, Objective
from vae_core.settings import Settings, setting
from vae_core.types import Context, LossTerms, Output, Term


class ContractiveOptions(Settings):
    """The weight of the penalty."""

    weight: float = setting(
        0.1,
        "λ on the Jacobian",
        "More makes codes blind to small changes of the image and costs sharpness.",
        ge=0,
        le=1e6,
    )


class ContractiveObjective(Objective):
    """−log p(x|z) + λ · ‖∂z/∂x‖²_F, the norm exact.

    Source: Rifai, Vincent, Muller, Glorot and Bengio, Contractive Auto-Encoders (2011).
    """

    def __init__(self, likelihood: Likelihood, options: ContractiveOptions) -> None:
        super().__init__(likelihood)
        self.weight = options.weight

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
        losses[MODEL]["jacobian"] = Term(output.extra["jacobian"], self.weight)
        return losses
