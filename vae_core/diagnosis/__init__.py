"""What goes wrong in a training, said while it can still be mended."""

from vae_core.diagnosis.curves import LearningCurves, learning_curves
from vae_core.diagnosis.remedies import Remedy
from vae_core.diagnosis.symptoms import Finding, diagnose

__all__ = ["Finding", "LearningCurves", "Remedy", "diagnose", "learning_curves"]
