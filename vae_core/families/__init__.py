"""Families: where a network and an objective are put together; importing this registers them.

A new family is one new file here and its name in the import below, or a package of yours
(docs/add-a-family.md).
"""

from vae_core.families import autoencoder, vae
from vae_core.families.family import Family, Quantity, build, complete, families
from vae_core.families.plugins import load_plugins

load_plugins()

__all__ = ["Family", "Quantity", "autoencoder", "build", "complete", "families", "vae"]
