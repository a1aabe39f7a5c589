"""A door: what it recognises, and what it finds there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from vae_core.errors import UserError
from vae_core.registry import Entry, Registry

Shapes = Mapping[str, tuple[int, ...]]
ReadWeights = Callable[[Shapes], dict[str, Tensor]]
"""From the names and shapes of a model's weights to their values, float32; a `UserError` where a
file has others."""


@dataclass(frozen=True)
class Wishes:
    """What a person stated of a network whose files do not say it.

    range: the values of black and of white for the network, of what goes in and of what comes out.
    mean, std: what it takes from pixels in [0, 1] and divides them by instead, one number or one
        for each channel; its pictures are taken back likewise.
    output_range: of what comes out, where it is another.
    latent_shape: of one image, where it cannot be found by encoding one.
    beside: further files that a Python file reads, such as its weights.
    """

    range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    output_range: tuple[float, float] | None = None
    latent_shape: tuple[int, ...] | None = None
    beside: tuple[Path, ...] = ()


NOTHING_STATED = Wishes()


@dataclass(frozen=True)
class Found:
    """A network as a door found it.

    family: the registered family that rebuilds it, with the settings of its model and objective.
    image_shape: (C, H, W) as far as the network fixes them; sides are multiples of `multiple`.
    weights: reads them, for a network that is rebuilt here; None for one that is kept as it came.
    files: of one that is kept as it came, by name.
    kind: what runs those; executes: whether that runs what somebody wrote.
    encodes: whether there is an encoder.
    """

    family: str
    model: Mapping[str, Any] = field(default_factory=dict)
    objective: Mapping[str, Any] = field(default_factory=dict)
    image_shape: tuple[int | None, int | None, int | None] = (None, None, None)
    multiple: int = 1
    weights: ReadWeights | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    kind: str = ""
    encodes: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Door(Entry[Callable[[Sequence[Path], Wishes], Found]]):
    """recognises: whether what a person named is for this door, by names alone."""

    recognises: Callable[[Sequence[Path]], bool]


doors: Registry[Door] = Registry("kind of network", Door)
"""Functions `(paths, wishes) -> Found`, which raise a `UserError` for what cannot be brought."""


def door_for(paths: Sequence[Path], name: str | None) -> Door:
    """The door called `name`, else the first that recognises what was named.

    Raises:
        UserError: when nothing is there, or none recognises it.
    """
    for path in paths:
        if not path.exists():
            raise UserError(f"There is no file or folder {path}.")
    if name is not None:
        return doors[name]
    for door in doors:
        if door.recognises(paths):
            return door
    what = "; ".join(door.blurb.rstrip(".") for door in doors)
    raise UserError(f"{paths[0]} is none of what can be brought: {what}.")
