"""Latents on several levels: coarse ones decide what finer ones mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families.family import ELBO, Built, Quantity, families, need_whole_batches
from vae_core.families.networks import assembled, trunk_of, weight_setting
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
from vae_core.models.singular_values import SingularValues
from vae_core.objective import MODEL
from vae_core.runs import DataCard
from vae_core.settings import setting
from vae_core.shares import gathered
from vae_core.types import Context, Losses, Term

MOST_LEVELS = 6

LEAST_SHARE = 0.01
"""Nats added to the KL of each level before they are balanced: a silent one is not free for ever.
As in the authors' code of NVAE."""


class HierarchicalOptions(VaeOptions):
    """β, how many levels there are, and what keeps a deep hierarchy in hand."""

    levels: int = setting(
        2,
        "Levels",
        "Each is twice as fine as the one above it and has all latent dimensions at every place.",
        ge=2,
        le=MOST_LEVELS,
    )
    kl_balance: bool = setting(
        False,
        "Balance the levels",
        "While β warms up, a level pays the more for its KL the more a latent of it carries, so "
        "that none falls silent before it has found its use.",
        more=True,
    )
    spectral: float = weight_setting(
        0.0,
        "Spectral regularisation λ",
        "Holds down how far layers stretch what they are given, which steadies deep hierarchies; "
        "0 leaves them free.",
        more=True,
    )


class HierarchicalObjective(VaeObjective):
    """−log p(x|z₁…z_L) + β · Σₗ γₗ·KL(q(zₗ|z₍<l₎, x) ‖ p(zₗ|z₍<l₎)) + λ · Σᵢ sᵢ, z₁ the coarsest.

    γₗ balances the levels while β warms up, else it is 1; sᵢ is the largest singular value of the
    weights of layer i.

    Source: Sønderby et al., Ladder Variational Autoencoders (2016); γ and s: Vahdat and Kautz, NVAE
    (2020), appendix A and section 3.2.
    """

    options: HierarchicalOptions

    def __init__(
        self,
        likelihood: Likelihood,
        options: HierarchicalOptions,
        level_sizes: Sequence[int],
        singular_values: SingularValues | None = None,
    ) -> None:
        """`singular_values`: of the network, where they are held down."""
        super().__init__(likelihood, options)
        self.level_sizes = list(level_sizes)
        self.singular_values = singular_values

    def forward(
        self, model: LatentModel[DensityPosterior], x: Tensor, context: Context
    ) -> Output[DensityPosterior]:
        """Several draws take several paths, and the divergence is that of each path."""
        return model(x.repeat(self.samples, 1, 1, 1), context.generator)

    def losses(self, x: Tensor, output: Output[DensityPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        terms, rates = losses[MODEL], self.rates(output)
        if self.options.kl_balance:
            more = self.balanced(rates, context) - terms["kl"].value
            terms["kl_balance"] = Term(more, terms["kl"].weight)
        if self.singular_values is not None:
            largest = self.singular_values().expand(len(x))
            terms["spectral"] = Term(largest, self.options.spectral)
        terms |= {f"kl_level_{i}": Term(rate, 0.0) for i, rate in enumerate(rates, 1)}
        return losses

    def balanced(self, rates: Sequence[Tensor], context: Context) -> Tensor:
        """Σₗ γₗ·KLₗ in nats, [B], of those of each level. While β is on its way, γₗ is proportional
        to what a latent of the level carries, 1 on average; then it is 1."""
        kl = torch.stack([*rates], 1)
        if self.beta(context.step) >= self.options.beta:
            return kl.sum(1)
        means = gathered(kl.detach()).mean(0).unbind()
        pairs = zip(means, self.level_sizes, strict=True)
        carried = torch.stack([(mean + LEAST_SHARE) / size for mean, size in pairs])
        return (kl * (carried / carried.mean())).sum(1)

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
    draw_path: Callable[[Generator | None, int], tuple[PathPosterior, Tensor]]
    """n paths of each image, [n·B] of them, one whole batch after the other."""

    def of_image(self) -> GaussianPosterior:
        """Of the coarsest level: finer ones depend on its draws."""
        return GaussianPosterior(self.mu[:, : self.coarsest], self.logvar[:, : self.coarsest])

    def sample(self, generator: Generator | None = None) -> Tensor:
        """A draw of all levels, each given the draws above it, [B, D]."""
        return self.draw_path(generator, 1)[1]

    def draws(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """Of every path its own density: that of finer levels hangs on the draws above them."""
        path, z = self.draw_path(generator, n)
        return z.unflatten(0, (n, -1)), path.log_prob(z[None]).unflatten(1, (n, -1))[0]

    def kl_draws(
        self, n: int, prior: GaussianMixture | None = None, generator: Generator | None = None
    ) -> Tensor:
        """The divergence along n drawn paths in nats, [n, B]: finer levels hang on the draws. The
        prior is the model's, N(0, I) in the units of z."""
        paths = (self.draw_path(generator, 1)[0] for _ in range(n))
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

        def draw(generator: Generator | None, n: int) -> tuple[PathPosterior, Tensor]:
            many = [each.repeat(n, 1, 1, 1) for each in maps] if n > 1 else maps
            return self._infer(many, lambda q: q.sample(generator))[:2]

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


def need_a_warm_up(config: RunConfig, data: DataCard, options: HierarchicalOptions) -> None:
    """The check of levels that are balanced."""
    if not options.kl_balance:
        return
    need_whole_batches(config, data, options)
    if options.schedule == "constant":
        raise UserError(
            "objective.kl_balance: levels are balanced while β warms up; set objective.schedule to "
            "linear, or leave them as they are."
        )


TAMED = {
    "kl_balance": Quantity(
        "Balance of levels",
        help="What levels pay above their KL, or less, while β warms up; weighed like it.",
    ),
    "spectral": Quantity(
        "Singular values",
        "sum over layers",
        r"\lambda",
        "How far each layer can stretch what it is given.",
        "spectral",
    ),
}
LEVELS = {
    f"kl_level_{i}": Quantity(f"KL of level {i}", help="Its share of the KL; level 1 is coarsest.")
    for i in range(1, MOST_LEVELS + 1)
}


@families.register(
    "hierarchical",
    label="Hierarchical VAE",
    blurb="Coarse latents lay out the picture, finer ones fill it in.",
    formula=r"-\log p(x \mid z_{1 \ldots L}) + \beta\, \textstyle\sum_l \gamma_l\, "
    r"D_{\mathrm{KL}}\!\left(q(z_l \mid z_{<l}, x) \,\|\, p(z_l \mid z_{<l})\right) \ {} + "
    r"\lambda\, \textstyle\sum_i s_i",
    when="One level blurs what your pictures hold; it costs more time and more latents.",
    paper="Sønderby et al. (2016); Child (2021), figure 3; γ and s: Vahdat and Kautz (2020)",
    terms=ELBO | TAMED | LEVELS,
    options=HierarchicalOptions,
    check=need_a_warm_up,
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
    largest = SingularValues(model) if options.spectral else None
    return model, HierarchicalObjective(model.likelihood, options, model.level_sizes, largest)
