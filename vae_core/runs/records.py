"""The small facts that a run folder keeps as JSON: its data and its state."""

from __future__ import annotations

from typing import Literal

from vae_core.settings import Settings

State = Literal["starting", "training", "paused", "finished", "stopped", "failed", "interrupted"]
ACTIVE: frozenset[State] = frozenset({"starting", "training", "paused"})


class PartDigests(Settings):
    """Of each part: SHA-256 of its images in their order and of the names of their labels."""

    train: str
    validation: str
    test: str


class DataCard(Settings):
    """What is kept of the data set beside the model."""

    dataset: str
    image_shape: tuple[int, int, int]
    n_train: int
    n_validation: int
    n_test: int = 0
    label_names: tuple[str, ...] = ()
    factor_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    digest: PartDigests | None = None
    """None in runs that were trained before it was kept."""


class Status(Settings):
    """What the worker last said of itself. `updated` is ISO 8601 in UTC."""

    state: State = "starting"
    step: int = 0
    total_steps: int = 0
    epoch: int = 0
    images_per_s: float | None = None
    seconds_left: float | None = None
    message: str = ""
    acceptable: bool = False
    """Resuming was refused because the images are not as they were, and may be asked for again."""
    updated: str = ""
