"""Families: where a network and an objective are put together; importing this registers them.

A new family is one new file in this folder, or a package of yours (docs/add-a-family.md).
"""

from vae_core.families.family import (
    Family,
    Quantity,
    build,
    build_on_meta,
    complete,
    families,
    may_accumulate,
    meta_model,
)

families.discover(__name__, plugins="vae_core.families")

__all__ = [
    "Family",
    "Quantity",
    "build",
    "build_on_meta",
    "complete",
    "families",
    "may_accumulate",
    "meta_model",
]
