"""What a run keeps as JSON beside its records, as it is believed: checked, finite, bounded."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, FiniteFloat

LONGEST_TEXT = 4000
"""Characters of a sentence for people; more of it is cut."""


def _finite(value: Any) -> Any:
    """None, which stands for "not known", where a training that diverged left no number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _moment(text: Any) -> Any:
    if isinstance(text, str) and text:
        try:
            if 0 <= datetime.fromisoformat(text).timestamp() < 2**36:
                return text
        except (ValueError, OverflowError, OSError):
            pass
        raise ValueError("no date and time")
    return text


def cut(message: object) -> object:
    """A reason may quote what it could not read; nobody reads more than a page of it."""
    if isinstance(message, str) and len(message) > LONGEST_TEXT:
        return message[: LONGEST_TEXT - 1] + "…"
    return message


Number = Annotated[float | None, BeforeValidator(_finite)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Short = Annotated[str, Field(max_length=LONGEST_TEXT)]


class Stored(BaseModel):
    """Keys that a later version adds are let through, and nobody here asks for them."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Summary(Stored):
    """`summary.json`: what was measured of the trained model, in nats per image."""

    step: Count | None = None
    split: Short | None = None
    images: Count | None = None
    recon: Number = None
    kl: Number = None
    elbo: Number = None
    nats_per_pixel: Number = None
    bits_per_dim: Number = None
    mse: Number = None
    sigma: Number = None
    beta: Number = None
    is_density: bool = True
    incomparable: Short = ""
    active_units: Count | None = None
    latent_dim: Count | None = None
    weights: Count | None = None
    images_per_s: Number = None
    term_weights: dict[Short, FiniteFloat] | None = None
    controls: dict[Short, FiniteFloat] | None = None
    kl_per_dim: Annotated[list[Number] | None, FailFast()] = None


class Environment(Stored):
    """`environment.json`: what a run was made with. `started` is ISO 8601."""

    started: Annotated[str | None, BeforeValidator(_moment)] = None
    python: Short = ""
    platform: Short = ""
    device: Short = ""
    threads: Count = 0
    packages: dict[Short, Short] = {}
    command: Annotated[list[Short], FailFast()] = []
    resumed: Annotated[list[dict[str, Any]], FailFast()] = []
