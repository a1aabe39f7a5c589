"""What a stored configuration stands for where it is older than some of its family's settings.

A run is stored with every setting spelt out, so one that is missing did not exist then. Its default
is what new runs do; what earlier ones did, their family says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vae_core.config import RunConfig

BEFORE: dict[str, Mapping[str, Any]] = {}
"""By family: settings of the objective and what runs did before there were these settings."""


def as_meant(config: RunConfig) -> RunConfig:
    """A stored configuration with the settings that its family had not yet.

    One whose objective is empty was never spelt out, and takes the defaults.
    """
    before = BEFORE.get(config.family, {})
    if not config.objective or before.keys() <= config.objective.keys():
        return config
    return config.model_copy(update={"objective": {**before, **config.objective}})
