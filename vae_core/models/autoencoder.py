"""A model whose codes were drawn towards nothing."""

from __future__ import annotations

from vae_core.models.latent_model import LatentModel


class Autoencoder(LatentModel):
    """Codes are where the encoder puts them; what `sample_prior` draws is a guess where."""

    no_density = "Nothing draws the codes of this model towards a prior."

    def prior(self) -> None:
        """There is none."""
        return None
