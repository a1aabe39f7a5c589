"""Latents on several levels: coarse ones decide what finer ones mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Generator, Tensor, nn

from vae_core.losses import gaussian_kl
from vae_core.models.backbones import Backbone, Shape, Trunk
from vae_core.models.latent_model import LatentModel
from vae_core.models.likelihoods import Likelihood
from vae_core.models.posteriors import GaussianPosterior
from vae_core.types import Output

Choose = Callable[[GaussianPosterior], Tensor]


@dataclass(frozen=True)
class PathPosterior(GaussianPosterior):
    """q of every level given those above it, along one path; mu and logvar [B, D].

    `encode` follows the modes, `HierarchicalModel.forward` the draws that it returns as z.
    """

    walk: Callable[[Generator | None], tuple[PathPosterior, Tensor]]

    def sample(self, generator: Generator | None = None) -> Tensor:
        """A draw of all levels, each given the draws above it, [B, D]."""
        return self.walk(generator)[1]

    def kl_draws(self, n: int, generator: Generator | None = None) -> Tensor:
        """The divergence along n drawn paths in nats, [n, B]: finer levels hang on the draws."""
        paths = (self.walk(generator)[0] for _ in range(n))
        return torch.stack([gaussian_kl(path.mu, path.logvar).sum(1) for path in paths])


class HierarchicalModel(LatentModel):
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
        trunk: Trunk,
        likelihood: Likelihood,
        pixel_mean: float = 0.0,
        pixel_std: float = 1.0,
        logvar_range: tuple[float, float] = (-30.0, 20.0),
    ) -> None:
        """The `levels` coarsest maps of the trunk get `latent_dim` latents at every place."""
        maps = trunk.shapes[: -levels - 1 : -1]
        encoder = nn.ModuleList(nn.Sequential(*stage) for stage in trunk.inwards)
        decoder = nn.ModuleList(nn.Sequential(*stage) for stage in reversed(trunk.outwards))
        between = nn.ModuleList(Level(shape[0], latent_dim, logvar_range) for shape in maps)
        backbone = Backbone(encoder, maps[0][0], decoder)
        super().__init__(image_shape, maps[0], backbone, between, likelihood, pixel_mean, pixel_std)
        self.latent_shapes = tuple((latent_dim, *shape[1:]) for shape in maps)
        self.level_sizes = [math.prod(shape) for shape in self.latent_shapes]
        self.top = nn.Parameter(torch.zeros(maps[0]))

    def encode(self, x: Tensor) -> PathPosterior:
        """q along the path of its modes."""
        return self._infer(self._read(x), GaussianPosterior.mode)[0]

    def forward(self, x: Tensor, generator: Generator | None = None) -> Output:
        """Draw every level given those above it, and decode what they came to."""
        posterior, z, h = self._infer(self._read(x), lambda q: q.sample(generator))
        return Output(posterior, z, self._finish(h))

    def decode(self, z: Tensor) -> Tensor:
        """Logits of p(x|all levels), [B, D] → [B, C, H, W]."""
        levels = self.split(z)
        return self._finish(self._descend(z.shape[0], lambda level, h: levels[level]))

    def sample_prior(
        self,
        n: int,
        generator: Generator | None = None,
        temperature: float = 1.0,
        given: Sequence[Tensor | None] = (),
    ) -> Tensor:
        """n draws of all levels, [n, D].

        Args:
            temperature: times the deviation of what is drawn.
            given: levels that are held, the coarsest first, [n or 1, *latent_shapes[i]]; None, as
                beyond the end of the list, is drawn.
        """
        noise = torch.randn((n, self.latent_size), generator=generator, device=self.device)
        drawn = self.split(temperature * noise)
        for level, held in enumerate(given):
            if held is not None:
                drawn[level] = held.expand_as(drawn[level])
        return self.join(drawn)

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

    def _infer(self, maps: list[Tensor], choose: Choose) -> tuple[PathPosterior, Tensor, Tensor]:
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
        return PathPosterior(mu, logvar, draw), self.join(z), h

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
        into: Tensor = self.into(m + s * z)
        return h + into
