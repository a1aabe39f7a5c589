"""The denoising autoencoder: shown a damaged image, asked for the whole one."""

from __future__ import annotations

from torch import Generator, Tensor

from vae_core.models.likelihoods import Likelihood
from vae_core.objectives.corruption import CORRUPTIONS, CorruptionName
from vae_core.objectives.objective import Objective
from vae_core.settings import Settings, setting


class DenoisingOptions(Settings):
    """How images are damaged, and how much."""

    noise: CorruptionName = setting(
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


class DenoisingObjective(Objective):
    """−log p(x | encode(damaged x)).

    Source: Vincent, Larochelle, Bengio and Manzagol, Extracting and Composing Robust Features
    with Denoising Autoencoders (2008), section 2.3.
    """

    def __init__(self, likelihood: Likelihood, options: DenoisingOptions) -> None:
        super().__init__(likelihood)
        self.noise, self.level = CORRUPTIONS[options.noise], options.level

    def corrupt(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        return self.noise(x, self.level, generator)
