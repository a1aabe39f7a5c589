"""No distribution: one code for each image, as of a plain autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from vae_core.models.latent_model import LatentModel
from vae_core.models.posterior import Bottleneck, Posterior


@dataclass(frozen=True)
class PointPosterior(Posterior):
    """All mass on one code; z [B, *latent_shape]."""

    z: Tensor

    def sample(self, generator: Generator | None = None) -> Tensor:
        """The code itself."""
        return self.z

    def mode(self) -> Tensor:
        return self.z


class Deterministic(Bottleneck[PointPosterior]):
    """z is a linear map of the features, passed through `activation` where there is one."""

    def __init__(self, features: int, latent_dim: int, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.z = nn.Linear(features, latent_dim)
        self.activation = activation or nn.Identity()

    def forward(self, features: Tensor) -> PointPosterior:
        """features [B, F] → codes [B, latent_dim]."""
        return PointPosterior(self.activation(self.z(features)))


class Autoencoder(LatentModel[PointPosterior]):
    """Codes are where the encoder puts them; what `sample_prior` draws is a guess where."""

    no_density = "Nothing draws the codes of this model towards a prior."

    def prior(self) -> None:
        """There is none."""
        return None
