"""The contractive autoencoder."""

from __future__ import annotations

from typing import Any

from torch import nn

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families.family import RECON, Quantity, families
from vae_core.families.networks import deterministic
from vae_core.models import LatentModel
from vae_core.objectives.contractive import ContractiveObjective, ContractiveOptions
from vae_core.runs import DataCard


def not_compiled(config: RunConfig, data: DataCard, options: Any) -> None:
    """The check of families that take the derivative of a derivative."""
    if config.train.compile:
        raise UserError(
            f"train.compile: {families[config.family].label} learns from the derivative of a "
            "derivative, which compiled networks do not have; switch it off."
        )


@families.family(
    "contractive",
    label="Contractive autoencoder",
    blurb="Its code hardly moves when the image hardly does.",
    formula=r"-\log p(x \mid z) + \lambda \left\| \frac{\partial z}{\partial x} \right\|_F^2",
    when="You want codes that ignore small changes; a step costs one more pass a latent dimension.",
    paper="Rifai et al. (2011)",
    terms={
        "recon": RECON,
        "jacobian": Quantity(
            "Jacobian norm",
            "code² per pixel²",
            r"\lambda",
            "Squared Frobenius norm of ∂z/∂x: how much codes move with pixels.",
            "weight",
        ),
    },
    options=ContractiveOptions,
    check=not_compiled,
)
def contractive(
    config: ModelConfig, data: DataCard, options: ContractiveOptions
) -> tuple[LatentModel, ContractiveObjective]:
    """Deterministic code, exact Jacobian penalty.

    Raises:
        UserError: for a backbone whose images see each other, which have no Jacobian of their own.
    """
    model = deterministic(config, data)
    if any(
        isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.encoder.modules()
    ):
        raise UserError(
            f"model.backbone: {config.backbone!r} normalises over the batch, so that no image has "
            "a Jacobian of its own; take conv or mlp for the contractive autoencoder."
        )
    return model, ContractiveObjective(model.likelihood, options)
