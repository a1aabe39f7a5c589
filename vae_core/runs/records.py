"""The small facts that a run folder keeps as JSON: its data and its state."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, FailFast, Field

from vae_core.runs.stored import Count, Short, cut
from vae_core.settings import Settings

State = Literal["starting", "training", "paused", "finished", "stopped", "failed", "interrupted"]
ACTIVE: frozenset[State] = frozenset({"starting", "training", "paused"})


class PartDigests(Settings):
    """Of each part: SHA-256 of its images in their order and of the names of their labels."""

    train: str
    validation: str
    test: str


Side = Annotated[int, Field(ge=1, le=2**16)]
Channels = Annotated[int, Field(ge=1, le=64)]


class DataCard(Settings):
    """What is kept of the data set beside the model."""

    dataset: Short
    image_shape: tuple[Channels, Side, Side]
    n_train: Count
    n_validation: Count
    n_test: Count = 0
    label_names: Annotated[tuple[str, ...], FailFast(), Field(max_length=2**16)] = ()
    factor_names: Annotated[tuple[Short, ...], FailFast(), Field(max_length=1000)] = ()
    notes: Annotated[tuple[str, ...], FailFast(), Field(max_length=10_000)] = ()
    digest: PartDigests | None = None
    """None in runs that were trained before it was kept."""


class Status(Settings):
    """What the worker last said of itself. `updated` is ISO 8601 in UTC."""

    state: State = "starting"
    step: Count = 0
    total_steps: Count = 0
    epoch: Count = 0
    images_per_s: float | None = None
    seconds_left: float | None = None
    message: Annotated[str, BeforeValidator(cut)] = ""
    acceptable: bool = False
    """Resuming was refused because the images are not as they were, and may be asked for again."""
    updated: Short = ""
