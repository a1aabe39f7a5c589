"""The denoising autoencoder: shown a damaged image, asked for the whole one."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Generator, Tensor

from vae_core.config import ModelConfig
from vae_core.families.family import RECON, Built, families
from vae_core.families.networks import deterministic
from vae_core.models import PointPosterior
from vae_core.objective import Objective
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting
from vae_core.shares import normal_like, uniform_like


class DenoisingOptions(Settings):
    """How images are damaged, and how much."""

    noise: Literal["gaussian", "masking", "salt-and-pepper"] = setting(
        "gaussian",
        "Noise",
        "gaussian adds to every value; masking blackens some; salt-and-pepper also whitens some.",
    )
    level: float = setting(
        0.3,
        "Noise level",
        "Deviation of the Gaussian on the [0, 1] scale, or the share of values that are lost.",
        ge=0,
        le=1,
    )


class DenoisingObjective(Objective[PointPosterior]):
    """−log p(x | encode(damaged x)).

    Source: Vincent, Larochelle, Bengio and Manzagol, Extracting and Composing Robust Features
    with Denoising Autoencoders (2008), section 2.3.
    """

    options: DenoisingOptions

    def corrupt(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        return CORRUPTIONS[self.options.noise](x, self.options.level, generator)


def gaussian(x: Tensor, level: float, generator: Generator | None) -> Tensor:
    """x + level · ε with ε from N(0, 1); values may leave [0, 1]."""
    return x + level * normal_like(x, generator)


def masking(x: Tensor, level: float, generator: Generator | None) -> Tensor:
    """Each value is set to 0 with probability `level`."""
    return torch.where(uniform_like(x, generator) < level, torch.zeros_like(x), x)


def salt_and_pepper(x: Tensor, level: float, generator: Generator | None) -> Tensor:
    """Each value is set to 0 or to 1, at equal chance, with probability `level`."""
    chance = uniform_like(x, generator)
    peppered = torch.where(chance < level / 2, torch.zeros_like(x), x)
    return torch.where((level / 2 <= chance) & (chance < level), torch.ones_like(x), peppered)


CORRUPTIONS = {"gaussian": gaussian, "masking": masking, "salt-and-pepper": salt_and_pepper}


REPAIRED = replace(
    RECON, help="−log p(x|z) of the whole image where the encoder was shown the damaged one."
)


@families.register(
    "denoising",
    label="Denoising autoencoder",
    blurb="Sees damaged images and learns to give the whole ones back.",
    formula=r"-\log p(x \mid z), \\ z = f(\tilde{x}), \quad \tilde{x} \sim C(\tilde{x} \mid x)",
    when="You want codes that survive noise, or to clean images.",
    paper="Vincent et al. (2008), section 2.3; noises: Vincent et al. (2010), section 3.3",
    terms={"recon": REPAIRED},
    options=DenoisingOptions,
)
def denoising(
    config: ModelConfig, data: DataCard, options: DenoisingOptions
) -> Built[PointPosterior]:
    """Deterministic code of a damaged image, reconstruction of the whole one."""
    model = deterministic(config, data)
    return model, DenoisingObjective(model.likelihood, options)
