"""Families: where a network and an objective are put together; importing this registers them.

A new family is one new file in this folder, or a package of yours (docs/add-a-family.md).
"""

import pkgutil
from importlib import import_module

from vae_core.families.family import (
    Family,
    Quantity,
    build,
    build_on_meta,
    complete,
    families,
    meta_model,
)
from vae_core.families.plugins import load_plugins

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
load_plugins()

__all__ = ["Family", "Quantity", "build", "build_on_meta", "complete", "families", "meta_model"]
