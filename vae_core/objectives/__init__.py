"""What is minimised, composed from the losses; one idea a file."""

from vae_core.objectives.objective import Objective
from vae_core.objectives.vae import VaeObjective, VaeOptions

__all__ = ["Objective", "VaeObjective", "VaeOptions"]
