"""The contractive autoencoder."""

from __future__ import annotations

from torch import nn

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families.family import RECON, Quantity, families, need_two_images
from vae_core.families.networks import deterministic
from vae_core.models import LatentModel
from vae_core.objectives.contractive import ContractiveObjective, ContractiveOptions
from vae_core.runs import DataCard


def fits(config: RunConfig, data: DataCard, options: ContractiveOptions) -> None:
    """A variance of codes needs several images; compiled networks have no second derivative."""
    if options.measure == "relative":
        need_two_images(config, data, options)
    if config.train.compile:
        raise UserError(
            f"train.compile: {families[config.family].label} learns from the derivative of a "
            "derivative, which compiled networks do not have; switch it off."
        )


@families.family(
    "contractive",
    label="Contractive autoencoder",
    blurb="Its code hardly moves when the image hardly does, next to how far images lie apart.",
    formula=r"-\log p(x \mid z) + \lambda\, \frac{1}{s} "
    r"\left\| \frac{\partial z}{\partial x} \right\|_F^2, \quad "
    r"s = \textstyle\sum_d \mathrm{Var}(z_d) \;\text{or}\; 1",
    when="You want codes that ignore small changes; a step costs one more pass a latent dimension.",
    paper="Rifai et al. (2011), equation 1; set against the codes' variance here, as no weights "
    "are tied",
    terms={
        "recon": RECON,
        "contraction": Quantity(
            "Relative Jacobian",
            "per pixel²",
            r"\lambda",
            "Jacobian norm over the variance of the codes: how much they move with pixels, "
            "whatever their size.",
            "weight",
        ),
        "jacobian": Quantity(
            "Jacobian norm",
            "code² per pixel²",
            help="Squared Frobenius norm of ∂z/∂x. It falls when codes merely become smaller.",
        ),
    },
    options=ContractiveOptions,
    check=fits,
    before={"measure": "absolute"},
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
