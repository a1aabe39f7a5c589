"""Latents on several levels: coarse ones decide what finer ones mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from vae_core.config import ModelConfig
from vae_core.errors import UserError
from vae_core.families.family import ELBO, Built, Quantity, families
from vae_core.families.networks import assembled, trunk_of
from vae_core.families.vae import VaeObjective, VaeOptions
from vae_core.models import (
    EVALUATION_DRAWS,
    DensityPosterior,
    GaussianMixture,
    GaussianPosterior,
    LatentModel,
    Likelihood,
    Output,
)
from vae_core.models.backbones import Backbone, Shape, Trunk
from vae_core.models.posterior import mean_and_error
from vae_core.objective import MODEL
from vae_core.runs import DataCard
from vae_core.settings import setting
from vae_core.types import Context, Losses, Term

MOST_LEVELS = 6


class HierarchicalOptions(VaeOptions):
    """β, and how many levels there are."""

    levels: int = setting(
        2,
        "Levels",
        "Each is twice as fine as the one above it and has all latent dimensions at every place.",
        ge=2,
        le=MOST_LEVELS,
    )


class HierarchicalObjective(VaeObjective):
    """−log p(x|z₁…z_L) + β · Σₗ KL(q(zₗ|z₍<l₎, x) ‖ p(zₗ|z₍<l₎)), z₁ the coarsest.

    Source: Sønderby et al., Ladder Variational Autoencoders (2016).
    """

    def __init__(
        self, likelihood: Likelihood, options: VaeOptions, level_sizes: Sequence[int]
    ) -> None:
        super().__init__(likelihood, options)
        self.level_sizes = list(level_sizes)

    def forward(
        self, model: LatentModel[DensityPosterior], x: Tensor, context: Context
    ) -> Output[DensityPosterior]:
        """Several draws take several paths, and the divergence is that of each path."""
        return model(x.repeat(self.samples, 1, 1, 1), context.generator)

    def losses(self, x: Tensor, output: Output[DensityPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        rates = enumerate(self.rates(output), 1)
        losses[MODEL] |= {f"kl_level_{i}": Term(rate, 0.0) for i, rate in rates}
        return losses

    def rate(self, output: Output[DensityPosterior], context: Context) -> Tensor:
        rates = self.rates(output)
        return sum(rates[1:], start=rates[0])

    def rates(self, output: Output[DensityPosterior]) -> list[Tensor]:
        """The KL of every level in nats per image, [B] each, the mean over the drawn paths."""
        parts = output.posterior.kl().split(self.level_sizes, 1)
        return [part.sum(1).unflatten(0, (self.samples, -1)).mean(0) for part in parts]


@dataclass(frozen=True)
class PathPosterior(GaussianPosterior):
    """q of every level given those above it, along one path, of modes (`encode`) or of the draws z
    (`HierarchicalModel.forward`); mu and logvar [B, D]. `coarsest`: dimensions of the first level.
    """

    coarsest: int
    draw_path: Callable[[Generator | None], tuple[PathPosterior, Tensor]]

    def of_image(self) -> GaussianPosterior:
        """Of the coarsest level: finer ones depend on its draws."""
        return GaussianPosterior(self.mu[:, : self.coarsest], self.logvar[:, : self.coarsest])

    def sample(self, generator: Generator | None = None) -> Tensor:
        """A draw of all levels, each given the draws above it, [B, D]."""
        return self.draw_path(generator)[1]

    def kl_draws(
        self, n: int, prior: GaussianMixture | None = None, generator: Generator | None = None
    ) -> Tensor:
        """The divergence along n drawn paths in nats, [n, B]: finer levels hang on the draws. The
        prior is the model's, N(0, I) in the units of z."""
        paths = (self.draw_path(generator)[0] for _ in range(n))
        return torch.stack([path.standard_kl().sum(1) for path in paths])

    def divergence(
        self, prior: GaussianMixture | None = None, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """The mean over drawn paths: `kl` is that of one path alone."""
        return mean_and_error(self.kl_draws(EVALUATION_DRAWS, prior, generator))


class HierarchicalModel(LatentModel[PathPosterior]):
    """A trunk with stochastic levels at its coarsest maps, read upwards and written downwards.

    A level has the prior N(m, s²) and the posterior N(m + s·μ, (s·σ)²). m and s depend on the
    state h, which holds all coarser levels, μ and σ on h and on the encoder's maps of that size.
    z is kept in units of the prior, (value − m) / s: there the prior of every level is N(0, I),
    the posterior N(μ, σ²), and their divergence the same number. So a coarse level can be moved
    while finer ones keep their place among what it allows.

    Source: Sønderby et al., Ladder Variational Autoencoders (2016); Child, Very Deep VAEs (2021),
    figure 3; the posterior relative to the prior: Vahdat and Kautz, NVAE (2020), section 3.2.
    """

    encoder: nn.ModuleList
    bottleneck: nn.ModuleList
    decoder: nn.ModuleList

    def __init__(
        self,
        image_shape: Shape,
        latent_dim: int,
        levels: int,
        logvar_range: tuple[float, float],
        trunk: Trunk,
        *ends: Any,
    ) -> None:
        """The `levels` coarsest maps of the trunk get `latent_dim` latents at every place; `ends`
        as of `LatentModel`, from the likelihood on."""
        maps = trunk.shapes[: -levels - 1 : -1]
        encoder = nn.ModuleList(nn.Sequential(*stage) for stage in trunk.inwards)
        decoder = nn.ModuleList(nn.Sequential(*stage) for stage in reversed(trunk.outwards))
        between = nn.ModuleList(Level(shape[0], latent_dim, logvar_range) for shape in maps)
        backbone = Backbone(encoder, maps[0][0], decoder)
        super().__init__(image_shape, maps[0], backbone, between, *ends)
        self.latent_shapes = tuple((latent_dim, *shape[1:]) for shape in maps)
        self.level_sizes = [math.prod(shape) for shape in self.latent_shapes]
        self.top = nn.Parameter(torch.zeros(maps[0]))

    @property
    def posterior(self) -> type[PathPosterior]:
        return PathPosterior

    def encode(self, x: Tensor) -> PathPosterior:
        """q along the path of its modes."""
        return self._infer(self._read(x), GaussianPosterior.mode)[0]

    def forward(self, x: Tensor, generator: Generator | None = None) -> Output[PathPosterior]:
        """Draw every level given those above it, and decode what they came to."""
        posterior, z, h = self._infer(self._read(x), lambda q: q.sample(generator))
        return Output(posterior, z, self._finish(h))

    def decode(self, z: Tensor) -> Tensor:
        """Logits of p(x|all levels), [B, D] → [B, C, H, W]."""
        levels = self.split(z)
        return self._finish(self._descend(z.shape[0], lambda level, h: levels[level]))

    def sample_prior(
        self, n: int, generator: Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """n draws of all levels, deviations times `temperature`, [n, D]."""
        noise = torch.randn((n, self.latent_size), generator=generator, device=self.device)
        return temperature * noise

    def split(self, z: Tensor) -> list[Tensor]:
        """[B, D] as its levels, the coarsest first, [B, *latent_shapes[i]] each."""
        parts = z.split(self.level_sizes, 1)
        return [
            part.unflatten(1, shape) for part, shape in zip(parts, self.latent_shapes, strict=True)
        ]

    def join(self, levels: Sequence[Tensor]) -> Tensor:
        """The inverse of `split`."""
        return torch.cat([level.flatten(1) for level in levels], 1)

    def unflatten(self, v: Tensor) -> Tensor:
        """z is flat already."""
        return v

    def _read(self, x: Tensor) -> list[Tensor]:
        """The encoder's maps for every level, the coarsest first."""
        maps = [self.normalised(x)]
        for stage in self.encoder:
            maps.append(stage(maps[-1]))
        return maps[: -len(self.latent_shapes) - 1 : -1]

    def _infer(
        self, maps: list[Tensor], choose: Callable[[GaussianPosterior], Tensor]
    ) -> tuple[PathPosterior, Tensor, Tensor]:
        """q, z and the state along the path that takes `choose(q)` at every level."""
        posteriors, z = [], []

        def decide(level: int, h: Tensor) -> Tensor:
            posteriors.append(self._level(level).posterior(h, maps[level]))
            z.append(choose(posteriors[-1]))
            return z[-1]

        h = self._descend(maps[0].shape[0], decide)
        mu = self.join([q.mu for q in posteriors])
        logvar = self.join([q.logvar for q in posteriors])
        draw = lambda generator: self._infer(maps, lambda q: q.sample(generator))[:2]  # noqa: E731
        return PathPosterior(mu, logvar, self.level_sizes[0], draw), self.join(z), h

    def _descend(self, n: int, decide: Callable[[int, Tensor], Tensor]) -> Tensor:
        """The state after the last level, where `decide(level, state)` says what each one is."""
        h = self.top.expand(n, *self.top.shape)
        for level in range(len(self.latent_shapes)):
            h = h if level == 0 else self.decoder[level - 1](h)
            h = self._level(level).add(h, decide(level, h))
        return h

    def _level(self, level: int) -> Level:
        return cast(Level, self.bottleneck[level])

    def _finish(self, h: Tensor) -> Tensor:
        """From the state after the last level to the logits."""
        for stage in self.decoder[len(self.latent_shapes) - 1 :]:
            h = stage(h)
        return h


class Level(nn.Module):
    """One stochastic level at maps of `channels`: its prior, its posterior, its way into h."""

    def __init__(self, channels: int, latent_dim: int, logvar_range: tuple[float, float]) -> None:
        super().__init__()
        self.prior = nn.Conv2d(channels, 2 * latent_dim, 1)
        self.both = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, 2 * latent_dim, 1),
        )
        self.into = nn.Conv2d(latent_dim, channels, 1)
        self.logvar_range = logvar_range

    def posterior(self, h: Tensor, maps: Tensor) -> GaussianPosterior:
        """q in units of the prior, from state and encoder, [B, channels, h, w] both."""
        mu, logvar = self.both(torch.cat([h, maps], 1)).chunk(2, 1)
        return GaussianPosterior(mu, logvar.clamp(*self.logvar_range))

    def add(self, h: Tensor, z: Tensor) -> Tensor:
        """The state with this level in it; z [B, latent_dim, h, w] in units of the prior."""
        m, logvar = self.prior(h).chunk(2, 1)
        s = (0.5 * logvar.clamp(*self.logvar_range)).exp()
        return h + self.into(m + s * z)


LEVELS = {
    f"kl_level_{i}": Quantity(f"KL of level {i}", help="Its share of the KL; level 1 is coarsest.")
    for i in range(1, MOST_LEVELS + 1)
}


@families.register(
    "hierarchical",
    label="Hierarchical VAE",
    blurb="Coarse latents lay out the picture, finer ones fill it in.",
    formula=r"-\log p(x \mid z_{1 \ldots L}) + \beta\, \textstyle\sum_l "
    r"D_{\mathrm{KL}}\!\left(q(z_l \mid z_{<l}, x) \,\|\, p(z_l \mid z_{<l})\right)",
    when="One level blurs what your pictures hold; it costs more time and more latents.",
    paper="Sønderby et al. (2016); Child (2021), figure 3",
    terms=ELBO | LEVELS,
    options=HierarchicalOptions,
)
def hierarchical(
    config: ModelConfig, data: DataCard, options: HierarchicalOptions
) -> Built[DensityPosterior]:
    """`latent_dim` latents at every place of the coarsest maps; as many halvings as levels."""
    trunk = trunk_of(config, data, options.levels)
    if len(trunk.inwards) < options.levels:
        _, height, width = data.image_shape
        raise UserError(
            f"objective.levels: {options.levels} levels are too many; each needs a halving, and "
            f"this backbone halves images of {height}×{width} {len(trunk.inwards)} times."
        )
    sizes = (config.latent_dim, options.levels, config.logvar_range)
    model = assembled(config, data, HierarchicalModel, *sizes, trunk)
    return model, HierarchicalObjective(model.likelihood, options, model.level_sizes)
