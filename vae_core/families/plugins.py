"""Families from other packages: an entry point of the group `vae_core.families` names a module.

Importing the module registers what it defines, so that a family of yours is there in the app, on
the command line and in the training process alike (docs/add-a-family.md).
"""

from __future__ import annotations

import warnings
from importlib.metadata import entry_points

GROUP = "vae_core.families"


def load_plugins() -> None:
    """Import every installed plug-in; one that fails is reported as a warning and left out."""
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:  # whatever another package raises must not end this one
            package = point.dist.name if point.dist else point.value
            reason = f"{type(error).__name__}: {error}"
            warnings.warn(
                f"The family {point.name!r} of {package} is left out: {reason}.", stacklevel=2
            )
