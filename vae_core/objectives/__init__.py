"""What is minimised, composed from the losses."""

from vae_core.objectives.autoencoder import AutoencoderObjective
from vae_core.objectives.objective import Objective
from vae_core.objectives.vae import VaeObjective, VaeOptions

__all__ = ["AutoencoderObjective", "Objective", "VaeObjective", "VaeOptions"]
