"""A VAE whose posterior is bent: a Gaussian, pushed along planes that the encoder lays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from vae_core.config import ModelConfig
from vae_core.families.family import ELBO, Built, families
from vae_core.families.networks import latent_model
from vae_core.families.vae import BetaObjective, VaeOptions
from vae_core.losses import gaussian_log_density
from vae_core.models import EVALUATION_DRAWS, Bottleneck, LatentModel, Output, TractablePosterior
from vae_core.models.posterior import log_prior
from vae_core.runs import DataCard
from vae_core.settings import setting
from vae_core.shares import normal_like
from vae_core.types import Context


class PlanarOptions(VaeOptions):
    """β, and how often the Gaussian is bent."""

    flows: int = setting(
        8, "Planar flows", "Bends one after the other; each costs little.", ge=1, le=256
    )


MARGIN = 1e-3
"""By which wᵀû stays above −1, lest rounding takes it there."""


@dataclass(frozen=True)
class PlanarPosterior(TractablePosterior):
    """z_K of z₀ ~ N(mu, exp(logvar)) and zₖ = zₖ₋₁ + ûₖ tanh(wₖᵀzₖ₋₁ + bₖ), k = 1 … K.

    mu and logvar [B, D], w and u [B, K, D], b [B, K]; û is u, moved so far along w that
    wᵀû > −1, without which a step could not be undone.

    Source: Rezende and Mohamed, Variational Inference with Normalizing Flows (2015), equations 10
    to 13 and appendix A.1.
    """

    mu: Tensor
    logvar: Tensor
    w: Tensor
    u: Tensor
    b: Tensor

    def steps(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """w and û [B, D] and b [B] of each step in turn."""
        along = (self.w * self.u).sum(2, keepdim=True)
        lacking = softplus(along) - (1 - MARGIN) - along
        tiny = torch.finfo(self.w.dtype).tiny
        lifted = self.u + lacking * self.w / self.w.square().sum(2, keepdim=True).clamp_min(tiny)
        return zip(self.w.unbind(1), lifted.unbind(1), self.b.unbind(1), strict=True)

    def bent(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Draws z₀ [n, B, D] → z_K, and log |∂z_K/∂z₀|, [n, B]."""
        log_determinant = z.new_zeros(z.shape[:-1])
        for w, u, b in self.steps():
            bend = ((z * w).sum(-1) + b).tanh()
            slope = (1 - bend.square()) * (w * u).sum(-1)
            log_determinant = log_determinant + slope.log1p()
            z = z + u * bend.unsqueeze(-1)
        return z, log_determinant

    def unbent(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Draws z_K [n, B, D] → z₀, and log |∂z_K/∂z₀| there, [n, B]."""
        log_determinant = z.new_zeros(z.shape[:-1])
        for w, u, b in [*self.steps()][::-1]:
            along = (w * u).sum(-1)
            bend = (before((z * w).sum(-1), along, b) + b).tanh()
            z = z - u * bend.unsqueeze(-1)
            log_determinant = log_determinant + ((1 - bend.square()) * along).log1p()
        return z, log_determinant

    def sample(self, generator: Generator | None = None) -> Tensor:
        return self.draw(generator)[0]

    def draw(self, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """z, and log q(z|x) = log q₀(z₀) − log |∂z_K/∂z₀| by what led there (equation 13)."""
        noise = normal_like(self.mu, generator)
        start = self.mu + (0.5 * self.logvar).exp() * noise
        z, log_determinant = self.bent(start[None])
        return z[0], self._log_start(start[None])[0] - log_determinant[0]

    def log_prob(self, z: Tensor) -> Tensor:
        start, log_determinant = self.unbent(z)
        return self._log_start(start) - log_determinant

    def mode(self) -> Tensor:
        """Where the middle of the Gaussian is led; the most likely z itself has no closed form."""
        return self.bent(self.mu[None])[0][0]

    def log_variance(self) -> Tensor:
        """To first order, of the Gaussian that the flow makes of a small one: diag(J Σ Jᵀ)."""
        z, (batch, dims) = self.mu, self.mu.shape
        jacobian = torch.eye(dims, dtype=z.dtype, device=z.device).expand(batch, -1, -1)
        for w, u, b in self.steps():
            bend = ((z * w).sum(-1) + b).tanh()
            slope = ((1 - bend.square()).unsqueeze(1) * w).unsqueeze(1)  # [B, 1, D]
            jacobian = jacobian + u.unsqueeze(2) * (slope @ jacobian)
            z = z + u * bend.unsqueeze(1)
        variance = (jacobian.square() * self.logvar.exp().unsqueeze(1)).sum(2)
        return variance.clamp_min(torch.finfo(z.dtype).tiny).log()

    def _log_start(self, z: Tensor) -> Tensor:
        return gaussian_log_density(z, self.mu, self.logvar).sum(-1)


HALVINGS = 40
"""Of the bracket in which a step is undone: to the last bit of single precision."""


def before(after: Tensor, along: Tensor, b: Tensor) -> Tensor:
    """wᵀzₖ₋₁ from wᵀzₖ, where `along` is wᵀû > −1: the one root a of a + along·tanh(a + b) = after.

    The shapes broadcast. The left side rises with a, which lies within |along| of `after`, so that
    halving that bracket finds it; a last step of Newton's makes it differentiable.

    Source: Rezende and Mohamed (2015), appendix A.1, for there being one.
    """
    with torch.no_grad():
        low, high = after - along.abs(), after + along.abs()
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = middle + along * (middle + b).tanh() < after
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        root = (low + high) / 2
        slope = 1 + along * (1 - (root + b).tanh().square())
    return root - (root + along * (root + b).tanh() - after) / slope


class PlanarBottleneck(Bottleneck[PlanarPosterior]):
    """Linear heads for the Gaussian and for every step of the flow."""

    def __init__(
        self, features: int, latent_dim: int, flows: int, logvar_range: tuple[float, float]
    ) -> None:
        super().__init__()
        self.mu = nn.Linear(features, latent_dim)
        self.logvar = nn.Linear(features, latent_dim)
        self.w = nn.Linear(features, flows * latent_dim)
        self.u = nn.Linear(features, flows * latent_dim)
        self.b = nn.Linear(features, flows)
        self.flows, self.logvar_range = flows, logvar_range

    def forward(self, features: Tensor) -> PlanarPosterior:
        """features [B, F] → the posterior over [B, latent_dim]."""
        w, u = (head(features).unflatten(1, (self.flows, -1)) for head in (self.w, self.u))
        logvar = self.logvar(features).clamp(*self.logvar_range)
        return PlanarPosterior(self.mu(features), logvar, w, u, self.b(features))


class PlanarObjective(BetaObjective[PlanarPosterior]):
    """−log p(x|z) + β · (log q(z|x) − log p(z)), estimated from the draws of z.

    Training prices the draws that are decoded. Measurement has `EVALUATION_DRAWS` for the price,
    so that the KL of a single image means something.

    Source: Rezende and Mohamed (2015), equation 15.
    """

    def forward(
        self, model: LatentModel[PlanarPosterior], x: Tensor, context: Context
    ) -> Output[PlanarPosterior]:
        posterior = model.encode(x)
        draws = [posterior.draw(context.generator) for _ in range(self.samples)]
        z, log_q = map(torch.stack, zip(*draws, strict=True))
        flat = z.flatten(0, 1)
        return Output(posterior, flat, model.decode(flat), {"ratio": log_q - log_prior(z)})

    def rate(self, output: Output[PlanarPosterior], context: Context) -> Tensor:
        if self.training:
            return output.extra["ratio"].mean(0)
        draws = output.posterior.kl_draws(EVALUATION_DRAWS, None, context.generator)
        return draws.mean(0)


@families.register(
    "planar-flow",
    label="VAE, planar flow",
    blurb="The cloud of each image may bend, so that fewer nats are lost to its shape.",
    formula=r"-\log p(x \mid z_K) + \beta \left( \log q_0(z_0 \mid x) - \textstyle\sum_k \log "
    r"\left| 1 + \hat{u}_k^{\top} \psi_k(z_{k-1}) \right| - \log p(z_K) \right)",
    when="You suspect that a Gaussian posterior costs likelihood; a flow of few steps tells.",
    paper="Rezende and Mohamed (2015), equations 10 to 15",
    terms=ELBO | {"kl": replace(ELBO["kl"], help="log q(z|x) − log p(z), estimated from draws.")},
    options=PlanarOptions,
)
def planar_flow(
    config: ModelConfig, data: DataCard, options: PlanarOptions
) -> Built[PlanarPosterior]:
    """A Gaussian and planar flows as posterior, evidence lower bound."""
    bottleneck = partial(PlanarBottleneck, flows=options.flows, logvar_range=config.logvar_range)
    model = latent_model(config, data, bottleneck)
    return model, PlanarObjective(model.likelihood, options)
