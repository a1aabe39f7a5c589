"""Published results rebuilt: what was printed, by which protocol, and what comes out here.

A result is one file in `published/`; a record of what a run came to is one in `records/`.
"""

from vae_core.reproduce.reproduction import Figure, Reproduction, reproductions
from vae_core.reproduce.running import begun, reproduce, start

reproductions.discover(f"{__name__}.published", plugins="vae_core.reproductions")

__all__ = ["Figure", "Reproduction", "begun", "reproduce", "reproductions", "start"]
