"""A picture to find others like it: a file that is chosen or dropped, or a drawing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from latent_workbench.components import component

_mount = component("picture_question", "question")

LONGEST_PICTURE, LONGEST_NAME = 4_000_000, 200
_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]+=*")


@dataclass(frozen=True)
class Asked:
    """A picture by its name, as the model was shown it (the address that holds it), and where it
    lies in the latent space, float32 [D]."""

    name: str
    picture: str
    z: np.ndarray


def question(key: str, run: str, size: int) -> Asked | None:
    """Mount the place to ask at; returns the picture that was just chosen or drawn, else None.

    Args:
        run: whose model encodes it. size: D, numbers of an encoding.
    """
    result = _mount(key=key, data=[{"run": run}], on_asked_change=lambda: None)
    return parse(getattr(result, "asked", None), size)


def parse(told: Any, size: int) -> Asked | None:
    """What a browser says, once it is sure that it may be shown; None for anything else."""
    if not isinstance(told, Mapping):
        return None
    picture, vector = told.get("picture"), told.get("vector")
    if not isinstance(picture, str) or not isinstance(vector, list) or len(vector) != size:
        return None
    if len(picture) > LONGEST_PICTURE or not _PICTURE.fullmatch(picture):
        return None
    try:
        z = np.array(vector, np.float32)
    except (TypeError, ValueError, OverflowError):
        return None
    if z.shape != (size,) or not np.isfinite(z).all():
        return None
    return Asked(str(told.get("name", ""))[:LONGEST_NAME], picture, z)
