"""The regularised autoencoder: what noise does in a VAE, done by a penalty on the decoder."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families.family import RECON, Built, Quantity, families
from vae_core.families.networks import deterministic, weight_setting
from vae_core.models import LatentModel, Output, PointPosterior
from vae_core.objective import MODEL, Objective
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting
from vae_core.shares import normal_like
from vae_core.types import Context, Losses, Term

WEIGHTS, GRADIENT = "l2", "gradient"


class RaeOptions(Settings):
    """What keeps codes together, and what keeps the decoder smooth."""

    beta: float = weight_setting(0.05, "β on the codes", "More keeps codes nearer the origin.")
    penalty: Literal["l2", "gradient", "none"] = setting(
        "l2",
        "Decoder's penalty",
        "l2 keeps its weights small; gradient keeps its pictures from changing fast along codes, "
        "and a step costs about twice as much.",
    )
    weight: float = weight_setting(0.01, "λ on the decoder", "More makes it smoother and blurrier.")


class RaeObjective(Objective[PointPosterior]):
    """−log p(x|z) + β · ½‖z‖² + λ · R, R = ‖θ_D‖² of the decoder's weights or ‖∂D(z)/∂z‖²_F.

    Source: Ghosh, Sajjadi, Vergari, Black and Schölkopf, From Variational to Deterministic
    Autoencoders (2020), equations 5 to 8; D(z) is the picture, the mean of p(x|z).
    """

    options: RaeOptions

    def controls(self, context: Context) -> dict[str, float]:
        return {"beta": context.overrides.get("beta", self.options.beta)}

    def forward(
        self, model: LatentModel[PointPosterior], x: Tensor, context: Context
    ) -> Output[PointPosterior]:
        if self.options.penalty == GRADIENT:
            return self._with_slope(model, x, context)
        output = super().forward(model, x, context)
        if self.options.penalty == WEIGHTS:
            output = replace(output, extra={"penalty": squared_norm(model.decoder)})
        return output

    def _with_slope(
        self, model: LatentModel[PointPosterior], x: Tensor, context: Context
    ) -> Output[PointPosterior]:
        posterior = model.encode(x)
        z, learns = posterior.mode(), torch.is_grad_enabled()
        # Measured without gradients elsewhere, the slope itself still is one.
        with torch.inference_mode(False), torch.enable_grad():
            at = z if z.requires_grad else z.clone().requires_grad_()
            x_logits = model.decode(at)
            pictures = self.likelihood.mean(x_logits)
            slope = squared_slope(at, pictures, context.mask, context.generator)
        if not learns:
            x_logits, slope = x_logits.detach(), slope.detach()
        return Output(posterior, z, x_logits, {"penalty": slope})

    def losses(self, x: Tensor, output: Output[PointPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        norm = 0.5 * output.z.square().sum(1)
        losses[MODEL]["norm"] = Term(norm, self.controls(context)["beta"])
        if "penalty" in output.extra:
            penalty = output.extra["penalty"].expand(len(x))
            losses[MODEL]["decoder"] = Term(penalty, self.options.weight)
        return losses


def squared_norm(module: nn.Module) -> Tensor:
    """‖θ‖² of all weights and biases of a module, a scalar."""
    return torch.stack([each.square().sum() for each in module.parameters()]).sum()


def squared_slope(
    z: Tensor, pictures: Tensor, mask: Tensor | None = None, generator: Generator | None = None
) -> Tensor:
    """An unbiased estimate of ‖∂D/∂z‖²_F of each code, [B], from one direction v ~ N(0, I) of the
    pixels: E ‖vᵀ J‖² = ‖J‖²_F. It is differentiable.

    z are codes [B, D] that require a gradient, D(z) the pictures [B, C, H, W] computed from them,
    the mask as of `Context`. Codes must not see each other on the way (no batch normalisation).

    Source: Hutchinson, A Stochastic Estimator of the Trace (1990); the penalty: Ghosh et al.
    (2020), equation 8.
    """
    v = normal_like(pictures, generator)
    (rows,) = torch.autograd.grad(pictures, z, v if mask is None else v * mask, create_graph=True)
    return rows.square().flatten(1).sum(1)


def check(config: RunConfig, data: DataCard, options: RaeOptions) -> None:
    """Compiled networks have no second derivative."""
    if config.train.compile and options.penalty == GRADIENT:
        raise UserError(
            "train.compile: the gradient penalty learns from the derivative of a derivative, which "
            "compiled networks do not have; switch it off, or set objective.penalty=l2."
        )


@families.register(
    "rae",
    label="Regularised autoencoder",
    blurb="No noise: codes near the origin and a smooth decoder; sharp, drawn from by a fitted "
    "density.",
    formula=r"-\log p(x \mid z) + \beta\, \tfrac{1}{2} \|z\|^2 + \lambda\, R, \\ {} "
    r"R = \|\theta_D\|^2 \;\text{or}\; \left\| \frac{\partial D(z)}{\partial z} \right\|_F^2",
    when="You want an autoencoder's sharpness and codes to which a mixture can be fitted.",
    paper="Ghosh et al. (2020), equations 5 to 8",
    terms={
        "recon": RECON,
        "norm": Quantity("½‖z‖²", "code²", r"\beta", "How far codes are from the origin."),
        "decoder": Quantity(
            "Decoder's penalty",
            "weight², or per code²",
            r"\lambda",
            "Of its weights, or of how fast its pictures change along codes.",
            "weight",
        ),
    },
    options=RaeOptions,
    check=check,
)
def rae(config: ModelConfig, data: DataCard, options: RaeOptions) -> Built[PointPosterior]:
    """Deterministic code, penalties on codes and decoder; codes that see each other have no slope
    of their own."""
    model = deterministic(config, data)
    seen = any(isinstance(each, nn.modules.batchnorm._BatchNorm) for each in model.modules())
    if seen and options.penalty == GRADIENT:
        raise UserError(
            f"model.backbone: {config.backbone!r} normalises over the batch, so that no code has a "
            "slope of its own; take conv, resnet or mlp, or set objective.penalty=l2."
        )
    return model, RaeObjective(model.likelihood, options)
