"""Numbers that a person types, pages, and seeds; what is said of a field that cannot be taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from latent_workbench.shared.state import persistent, session

N = TypeVar("N", int, float)
T = TypeVar("T")


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


def page_of(items: Sequence[T], size: int, key: str) -> Sequence[T]:
    """Those of `items` on the page that is chosen here; there is nothing to choose of one page."""
    count = -(-len(items) // size)
    page = st.pagination(count, key=f"{key}-{count}") if count > 1 else 1
    return items[(page - 1) * size : page * size]


@dataclass
class Seeds:
    """Of what is drawn at random, by its kind."""

    of: dict[str, int] = field(default_factory=dict)


def draw_again(place: DeltaGenerator, kind: str, **options: Any) -> int:
    """A button that draws others; the seed of what is drawn now, for each kind one."""
    seeds = session(Seeds).of
    if place.button("Draw again", icon=":material/casino:", key=f"{kind}-again", **options):
        seeds[kind] = seeds.get(kind, 0) + 1
    return seeds.get(kind, 0)
