"""LatentModel and what it is made of: backbones, bottlenecks, posteriors, likelihoods."""

from vae_core.models.backbones import backbones
from vae_core.models.latent_model import LatentModel, Output
from vae_core.models.likelihoods import likelihoods

__all__ = ["LatentModel", "Output", "backbones", "likelihoods"]
