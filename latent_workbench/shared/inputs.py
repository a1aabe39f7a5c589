"""Numbers that a person types, and what is said below a field that cannot take what it holds."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from streamlit.delta_generator import DeltaGenerator

from latent_workbench.shared.state import persistent

N = TypeVar("N", int, float)


def bounded(
    cell: DeltaGenerator, label: str, key: str, low: N, high: N, start: N, **options: Any
) -> tuple[N, str]:
    """A number that belongs to no setting, and why it cannot be taken, "" where it can.

    The widget itself has no bounds: a browser keeps what lies beyond them to itself, so the page
    would go on with an older number than the one that its field shows.
    """
    step = 1 if isinstance(start, int) else step_of(start)
    value: N = persistent(cell.number_input, label, key=key, default=start, step=step, **options)
    problem = "" if low <= value <= high else f"{label} lies between {low:g} and {high:g}."
    field_error(cell, problem)
    return value, problem


def field_error(place: DeltaGenerator, problem: str) -> None:
    """Say beside a field why what it holds cannot be taken; nothing where there is no problem."""
    if problem:
        place.markdown(f":red[:small[:material/error: {problem}]]")


def step_of(start: float | None) -> float:
    """A tenth of the magnitude of `start`: 1e-4 for 1e-3, 0.1 for 1 and where nothing is known."""
    if not start:
        return 0.1
    return 10.0 ** (math.floor(math.log10(abs(start))) - 1)
