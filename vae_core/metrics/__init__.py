"""What is measured about a trained model."""

from vae_core.metrics.measure import Measurement, measure, measuring

__all__ = ["Measurement", "measure", "measuring"]
