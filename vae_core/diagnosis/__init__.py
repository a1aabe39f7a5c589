"""What goes wrong in a training, said while it can still be mended."""

from vae_core.diagnosis.course import Course, course_of
from vae_core.diagnosis.finding import Finding, Remedy
from vae_core.diagnosis.symptoms import diagnose

__all__ = ["Course", "Finding", "Remedy", "course_of", "diagnose"]
