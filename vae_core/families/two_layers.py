"""Latents of latents: one layer of them is read off the image, a second off the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from vae_core.config import ModelConfig
from vae_core.families.family import RECON, Built, Quantity, families
from vae_core.families.iwae import effective_draws, importance_bound
from vae_core.families.networks import assembled, backbone_between, gaussian_head
from vae_core.losses import gaussian_log_density, standard_normal_log_density
from vae_core.models import GaussianPosterior, LatentModel, Output, TractablePosterior
from vae_core.models.posterior import Bottleneck
from vae_core.objective import MODEL, Objective
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting
from vae_core.shares import normal_like
from vae_core.types import Context, Losses, Term

Gaussian = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From the values of one layer [B, …] to μ and log σ² of the other, [B, D] both."""


class TwoLayerOptions(Settings):
    """The second layer, and how draws make a bound."""

    upper_dim: int = setting(
        16, "Upper latents", "Of the second layer, which decides what the first one means.", ge=1,
        le=4096,
    )  # fmt: skip
    upper_hidden: tuple[int, ...] = setting(
        (64, 64),
        "Widths between layers",
        "Units of the tanh layers between the two, from the image inwards.",
        more=True,
        min_length=1,
    )
    samples: int = setting(
        1, "Draws k", "Draws for each image; a step takes that many decodings.", ge=1, le=256
    )
    compete: bool = setting(
        True,
        "Draws compete",
        "Weighted by importance they make a tighter bound; else the ELBO of each is averaged.",
    )


@dataclass(frozen=True)
class TwoLayerPosterior(TractablePosterior):
    """q(h₁|x) q(h₂|h₁), in units of the prior: z = (h₂, (h₁ − m(h₂))/s(h₂)), [B, D₂ + D₁].

    There p(z) is N(0, I), as p(h₂) is N(0, I) and p(h₁|h₂) is N(m, s²); log q(z|x) has log s more
    than that of h₁ and h₂.

    lower: q(h₁|x), [B, D₁]. read: q(h₂|h₁). write: m and log s² of h₂.
    """

    lower: GaussianPosterior
    read: Gaussian
    write: Gaussian

    def path(self, h1: Tensor, choose: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """z of h₁ [n, B, D₁] and the h₂ that is chosen of (μ, log σ²), and log q(z|x), [n, B]."""
        mu, logvar = self.read(h1)
        h2 = choose(mu, logvar)
        m, prior_logvar = self.write(h2)
        log_q = self.lower.log_prob(h1) + gaussian_log_density(h2, mu, logvar).sum(2)
        z = torch.cat([h2, (h1 - m) * (-0.5 * prior_logvar).exp()], 2)
        return z, log_q + 0.5 * prior_logvar.sum(2)

    def draws(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        h1 = torch.stack([self.lower.sample(generator) for _ in range(n)])

        def drawn(mu: Tensor, logvar: Tensor) -> Tensor:
            noise = torch.stack([normal_like(mu[0], generator) for _ in range(n)])
            return mu + (0.5 * logvar).exp() * noise

        return self.path(h1, drawn)

    def draw(self, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        z, log_q = self.draws(1, generator)
        return z[0], log_q[0]

    def sample(self, generator: Generator | None = None) -> Tensor:
        return self.draw(generator)[0]

    def log_prob(self, z: Tensor) -> Tensor:
        size = z.shape[2] - self.lower.mu.shape[1]
        h2 = z[..., :size]
        m, logvar = self.write(h2)
        return self.path(m + (0.5 * logvar).exp() * z[..., size:], lambda *read: h2)[1]

    def mode(self) -> Tensor:
        """Along the path of modes; the most likely z itself has no closed form."""
        return self.path(self.lower.mu[None], lambda mu, logvar: mu)[0][0]

    def log_variance(self) -> Tensor:
        """Of each layer by itself, along the path of modes."""
        mu, logvar = self.read(self.lower.mu)
        return torch.cat([logvar, self.lower.logvar - self.write(mu)[1]], 1)


class Between(nn.Module):
    """Tanh layers from one stochastic layer to the mean and log σ² of the other."""

    def __init__(self, widths: tuple[int, ...], logvar_range: tuple[float, float]) -> None:
        """`widths`: of the layer that is read, of those between, and of the one that is told."""
        super().__init__()
        *hidden, told = widths
        layers = [m for a, b in pairwise(hidden) for m in (nn.Linear(a, b), nn.Tanh())]
        self.layers = nn.Sequential(*layers)
        self.heads = nn.Linear(hidden[-1], 2 * told)
        self.logvar_range = logvar_range

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = self.heads(self.layers(h)).chunk(2, -1)
        return mu, logvar.clamp(*self.logvar_range)


class TwoLayerBottleneck(Bottleneck[TwoLayerPosterior]):
    """q(h₁|x) by `head`, and the two ways between the layers."""

    def __init__(self, head: Bottleneck[GaussianPosterior], read: Between, write: Between) -> None:
        super().__init__()
        self.head, self.read, self.write = head, read, write

    def forward(self, features: Tensor) -> TwoLayerPosterior:
        """features [B, F] → q over [B, D₂ + D₁]."""
        return TwoLayerPosterior(self.head(features), self.read, self.write)


class TwoLayerModel(LatentModel[TwoLayerPosterior]):
    """p(h₂) p(h₁|h₂) p(x|h₁); z holds h₂ and where h₁ lies within p(h₁|h₂).

    Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders (2016), section 5.
    """

    bottleneck: TwoLayerBottleneck

    def decode(self, z: Tensor) -> Tensor:
        """Logits of p(x|h₁), [B, D₂ + D₁] → [B, C, H, W]."""
        lower = self.bottleneck.write.heads.out_features // 2
        h2, e = z.split([z.shape[1] - lower, lower], 1)
        m, logvar = self.bottleneck.write(h2)
        return self.decoder(m + (0.5 * logvar).exp() * e)


class TwoLayerObjective(Objective[TwoLayerPosterior]):
    """−log 1/k Σ wᵢ, or −1/k Σ log wᵢ, with wᵢ = p(x|h₁) p(h₁|h₂) p(h₂) / (q(h₁|x) q(h₂|h₁)).

    Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders (2016), equation 8;
    the average: section 3.
    """

    options: TwoLayerOptions

    def forward(
        self, model: LatentModel[TwoLayerPosterior], x: Tensor, context: Context
    ) -> Output[TwoLayerPosterior]:
        posterior = model.encode(x)
        z, log_q = posterior.draws(self.options.samples, context.generator)
        flat = z.flatten(0, 1)
        log_ratio = log_q - standard_normal_log_density(z).sum(2)
        return Output(posterior, flat, model.decode(flat), {"log_ratio": log_ratio})

    def losses(self, x: Tensor, output: Output[TwoLayerPosterior], context: Context) -> Losses:
        nll, log_ratio = self.nll(x, output, context), output.extra["log_ratio"]
        log_w = -nll - log_ratio
        bound = importance_bound(log_w) if self.options.compete else log_w.mean(0)
        return {
            MODEL: {
                "bound": Term(-bound),
                "recon": Term(nll.detach().mean(0), 0.0),
                "kl": Term(log_ratio.detach().mean(0), 0.0),
                "effective_draws": Term(effective_draws(log_w.detach()), 0.0),
            }
        }


@families.register(
    "two-layers",
    label="Two stochastic layers",
    blurb="Latents are read off the image, and second ones off the first: what is common to many "
    "lies above.",
    formula=r"-\log \frac{1}{k} \sum_{i=1}^{k} \frac{p(x \mid h_1^i)\, p(h_1^i \mid h_2^i)\, "
    r"p(h_2^i)}{q(h_1^i \mid x)\, q(h_2^i \mid h_1^i)}",
    when="You compare likelihoods with papers on deep latents; one layer loses two nats on MNIST.",
    paper="Burda et al. (2016), section 5 and equation 8",
    terms={
        "bound": Quantity("−log p̂(x), k draws", help="The bound of the k draws, negated."),
        "recon": RECON,
        "kl": Quantity("KL", help="log q(z|x) − log p(z), the mean over draws."),
        "effective_draws": Quantity(
            "Effective draws", "draws", help="As how many of the k draws they count."
        ),
    },
    options=TwoLayerOptions,
)
def two_layers(
    config: ModelConfig, data: DataCard, options: TwoLayerOptions
) -> Built[TwoLayerPosterior]:
    """`latent_dim` latents in the layer that the backbone reads and writes, `upper_dim` above."""
    backbone = backbone_between(config, data)
    head = gaussian_head(config)(backbone.features, config.latent_dim)
    widths = (config.latent_dim, *options.upper_hidden, options.upper_dim)
    ways = (Between(each, config.logvar_range) for each in (widths, widths[::-1]))
    between = TwoLayerBottleneck(head, *ways)
    size = (config.latent_dim + options.upper_dim,)
    model = assembled(config, data, TwoLayerModel, size, backbone, between)
    return model, TwoLayerObjective(model.likelihood, options)
