"""A VAE that learns its prior: the mean of the posteriors of some learned pictures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from vae_core.config import ModelConfig
from vae_core.families.family import ELBO, Built, families
from vae_core.families.networks import gaussian_head, latent_model
from vae_core.families.vae import VaeObjective, VaeOptions
from vae_core.models import (
    EVALUATION_DRAWS,
    DensityPosterior,
    GaussianMixture,
    GaussianPosterior,
    LatentModel,
    Output,
    evaluating,
)
from vae_core.runs import DataCard
from vae_core.settings import setting
from vae_core.types import Context


class VampOptions(VaeOptions):
    """β, and the size of the prior."""

    components: int = setting(
        100,
        "Components",
        "Learned pictures whose posteriors make the prior; each costs as much as an image.",
        ge=1,
        le=5000,
    )


class VampObjective(VaeObjective):
    """−log p(x|z) + β · (log q(z|x) − log 1/K Σₖ q(z|uₖ)), estimated from the draws of z.

    Training prices the draws that are decoded. Measurement has `EVALUATION_DRAWS` for the price,
    so that the KL of a single image means something.

    Source: Tomczak and Welling, VAE with a VampPrior (2018).
    """

    def forward(
        self, model: LatentModel[DensityPosterior], x: Tensor, context: Context
    ) -> Output[DensityPosterior]:
        return replace(super().forward(model, x, context), prior=model.prior())

    def rate(self, output: Output[DensityPosterior], context: Context) -> Tensor:
        posterior, prior = output.posterior, output.prior
        if self.training:
            each = posterior.log_ratio(output.z.unflatten(0, (self.samples, -1)), prior)
        else:
            each = posterior.kl_draws(EVALUATION_DRAWS, prior, context.generator)
        return each.mean(0)


class VampModel(LatentModel[GaussianPosterior]):
    """p(z) = 1/K Σₖ q(z|uₖ), with K pictures u that are learned like weights.

    Source: Tomczak and Welling, VAE with a VampPrior (2018).
    """

    def __init__(self, image_shape: tuple[int, int, int], *parts: Any, components: int) -> None:
        """`parts` as of `LatentModel`, the bottleneck one for diagonal Gaussians."""
        super().__init__(image_shape, *parts)
        self.pseudo_logits = nn.Parameter(torch.randn(components, *image_shape))

    def pseudo_inputs(self) -> Tensor:
        """The learned pictures in [0, 1], [K, C, H, W]."""
        return torch.sigmoid(self.pseudo_logits)

    def prior(self) -> GaussianMixture:
        """The mixture as it is now; while it is trained, gradients lead to the pictures.

        It is one distribution, whatever images are at hand: in training too the learned pictures
        are normalised by the running statistics of the images, and are no part of them.
        """
        learns = self.training and torch.is_grad_enabled()
        kind = nn.modules.batchnorm._BatchNorm
        norms = (each for each in self.encoder.modules() if isinstance(each, kind))
        with evaluating(*norms), torch.set_grad_enabled(learns):
            posterior = self.encode(self.pseudo_inputs())
        return GaussianMixture(posterior.mu, posterior.logvar)

    @torch.no_grad()
    def sample_prior(
        self, n: int, generator: Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """n draws from the mixture, deviations times `temperature`, [n, D]."""
        mixture = self.prior()
        chosen = torch.randint(len(mixture.mu), (n,), generator=generator, device=mixture.mu.device)
        mu, logvar = mixture.mu[chosen], mixture.logvar[chosen]
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        return mu + temperature * (0.5 * logvar).exp() * noise


@families.register(
    "vamp",
    label="VAE, VampPrior",
    blurb="The prior learns where codes lie, so codes need not crowd around zero.",
    formula=r"-\log p(x \mid z) + \beta \left(\log q(z \mid x) - "
    r"\log \tfrac{1}{K} \textstyle\sum_k q(z \mid u_k)\right)",
    when="Samples of a plain VAE fall into gaps between its codes, or latents fall idle.",
    paper="Tomczak and Welling (2018)",
    terms=ELBO | {"kl": replace(ELBO["kl"], help="log q(z|x) − log p(z), estimated from draws.")},
    options=VampOptions,
)
def vamp(config: ModelConfig, data: DataCard, options: VampOptions) -> Built[DensityPosterior]:
    """Diagonal Gaussian posterior, a mixture of such posteriors as prior."""
    make = partial(VampModel, components=options.components)
    model = latent_model(config, data, gaussian_head(config), make)
    return model, VampObjective(model.likelihood, options)
