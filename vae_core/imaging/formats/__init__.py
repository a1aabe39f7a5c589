"""The formats that can be read, a file each."""

from vae_core.imaging.kinds import archives, formats

formats.discover(__name__, plugins="vae_core.formats")

__all__ = ["archives", "formats"]
