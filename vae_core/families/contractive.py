"""The contractive autoencoder: codes shall not move when images hardly do."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families.family import RECON, Built, Quantity, families, need_two_images
from vae_core.families.networks import deterministic, weight_setting
from vae_core.models import LatentModel, Output, PointPosterior
from vae_core.objective import MODEL, Objective
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting
from vae_core.shares import gathered
from vae_core.types import Context, Losses, Term


class ContractiveOptions(Settings):
    """The weight of the penalty, and what it is set against."""

    weight: float = weight_setting(
        1.0,
        "λ on the Jacobian",
        "More makes codes blind to small changes of the image and costs sharpness.",
    )
    measure: Literal["relative", "absolute"] = setting(
        "relative",
        "Size of codes",
        "relative sets the penalty against their variance; absolute is met by making all codes "
        "smaller.",
        more=True,
    )


class ContractiveObjective(Objective[PointPosterior]):
    """−log p(x|z) + λ · ‖∂z/∂x‖²_F / Σ_d Var(z_d), the norm exact.

    The paper ties the decoder's weights to the encoder's, so that codes cannot shrink for free.
    Networks of several layers are not tied here; the variance of the codes takes that place.

    Source: Rifai, Vincent, Muller, Glorot and Bengio, Contractive Auto-Encoders (2011), equation 1
    and section 3.
    """

    options: ContractiveOptions

    def forward(
        self, model: LatentModel[PointPosterior], x: Tensor, context: Context
    ) -> Output[PointPosterior]:
        # Measured without gradients elsewhere, the norm itself still is one.
        with torch.inference_mode(False), torch.enable_grad():
            shown = x.clone().requires_grad_()
            posterior = model.encode(shown)
            norm = squared_jacobian_norm(shown, posterior.mode())
        z = posterior.sample(context.generator)
        return Output(posterior, z, model.decode(z), {"jacobian": norm})

    def losses(self, x: Tensor, output: Output[PointPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        norm, weight = output.extra["jacobian"], self.options.weight
        if self.options.measure == "relative":
            losses[MODEL]["contraction"] = Term(relative_jacobian(norm, output.z), weight)
            weight = 0.0
        losses[MODEL]["jacobian"] = Term(norm, weight)
        return losses


def squared_jacobian_norm(x: Tensor, z: Tensor) -> Tensor:
    """‖∂z/∂x‖²_F of every image, exactly: one vector-Jacobian product a code, batched.

    x are images [B, …] that require a gradient, z codes [B, D] computed from x; [B] is
    differentiable. Images must not see each other on the way to z (no batch normalisation).

    Source: Rifai et al., Contractive Auto-Encoders (2011), equation 1.
    """
    batch, codes = z.shape
    # Row d picks code d of every image; as images are independent, one product serves them all.
    picks = torch.eye(codes, dtype=z.dtype, device=z.device)[:, None].expand(codes, batch, codes)
    (rows,) = torch.autograd.grad(z, x, picks, create_graph=True, is_grads_batched=True)
    return rows.square().flatten(2).sum((0, 2))


def relative_jacobian(norms: Tensor, z: Tensor) -> Tensor:
    """‖∂z/∂x‖²_F over the variance of the codes, Σ_d Var(z_d): the same at every scale of z.

    The norm [B] alone is met by smaller codes z [B, D], which a decoder without tied weights scales
    up again. [B], per squared pixel value; 0 for a single image, which has no variance.
    """
    z = gathered(z)
    if len(z) < 2:
        return torch.zeros_like(norms)
    return norms / z.var(0).sum().clamp_min(torch.finfo(z.dtype).tiny)


def check(config: RunConfig, data: DataCard, options: ContractiveOptions) -> None:
    """A variance of codes needs several images; compiled networks have no second derivative."""
    if options.measure == "relative":
        need_two_images(config, data, options)
    if config.train.compile:
        raise UserError(
            f"train.compile: {families[config.family].label} learns from the derivative of a "
            "derivative, which compiled networks do not have; switch it off."
        )


@families.register(
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
    check=check,
    before={"measure": "absolute"},
)
def contractive(
    config: ModelConfig, data: DataCard, options: ContractiveOptions
) -> Built[PointPosterior]:
    """Deterministic code, exact Jacobian penalty; images that see each other have none."""
    model = deterministic(config, data)
    if any(isinstance(each, nn.modules.batchnorm._BatchNorm) for each in model.encoder.modules()):
        raise UserError(
            f"model.backbone: {config.backbone!r} normalises over the batch, so that no image has "
            "a Jacobian of its own; take conv or mlp for the contractive autoencoder."
        )
    return model, ContractiveObjective(model.likelihood, options)
