"""The sets of directions that Explore offers: one table, from a view to sliders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from latent_workbench.live.resources import (
    Sliders,
    encodings_of,
    encodings_version,
    region_of,
    sliders_of,
)
from latent_workbench.shared.explore_view import CLASSES, LOCAL, PRINCIPAL, RAW, SAVED, View
from vae_core.runs import Run

if TYPE_CHECKING:
    from vae_core.latent.encodings import Encodings


@dataclass(frozen=True)
class DirectionSet:
    """A way to choose directions; `sliders(run, encodings, view)` finds them."""

    label: str
    help: str
    sliders: Callable[[Run, Encodings, View], Sliders]


def _local(run: Run, encodings: Encodings, view: View) -> Sliders:
    from vae_core.latent.directions import local_directions

    region = region_of(run)
    at = encodings.mu.mean(axis=0)
    if view.at is not None and len(view.at) == 4 * len(at):  # else of another latent size
        at = np.frombuffer(view.at, "<f4")
    found = local_directions(region, at, view.neighbours)
    return Sliders(LOCAL, found, tuple(f"local {i + 1}" for i in range(len(found.vectors))))


def _classes(run: Run, encodings: Encodings, view: View) -> Sliders:
    from vae_core.latent.directions import class_directions

    assert encodings.labels is not None, "offered only where there are labels"
    label = view.label if view.label in encodings.labels else int(encodings.labels.min())
    found, targets = class_directions(encodings.mu, encodings.labels, label)
    names = tuple(f"towards {label_name(encodings, target)}" for target in targets)
    return Sliders(CLASSES, found, names, orthogonal=False)


def _saved(run: Run, encodings: Encodings, view: View) -> Sliders:
    from vae_core.latent.saved import saved_directions

    found, names = saved_directions(run, encodings.mu)
    return Sliders(SAVED, found, names, orthogonal=False)


DIRECTION_SETS = {
    PRINCIPAL: DirectionSet(
        "Principal",
        "Principal components of the encodings, the largest variance first. 1 σ is one standard "
        "deviation of the encodings along a direction; 0 is the mean of all encodings.",
        lambda run, encodings, view: sliders_of(run, PRINCIPAL),
    ),
    RAW: DirectionSet(
        "Raw axes",
        "Single latent dimensions, the one that carries most information (KL) first; unused ones "
        "come last. 1 σ is one standard deviation of the encodings along it.",
        lambda run, encodings, view: sliders_of(run, RAW),
    ),
    LOCAL: DirectionSet(
        "Local",
        "Principal components of the encodings nearest to the point where you are: the ways in "
        "which pictures like this one vary.",
        _local,
    ),
    CLASSES: DirectionSet(
        "Classes",
        "From the mean of one label to the mean of every other: add what makes a picture belong "
        "to another class.",
        _classes,
    ),
    SAVED: DirectionSet(
        "Saved",
        "Directions that you saved under a name; they are kept with the run.",
        _saved,
    ),
}
"""By the name that the address has for them."""


def offered(run: Run, encodings: Encodings | None) -> list[str]:
    """The sets that this run can offer."""
    if encodings is None or len(encodings.mu) < 2:
        return [RAW]
    several = encodings.labels is not None and len(np.unique(encodings.labels)) > 1
    return [kind for kind in DIRECTION_SETS if kind != CLASSES or several]


def sliders_for(run: Run, view: View) -> Sliders:
    """The sliders of a view; raw axes in units of the prior where the run has no encodings.

    Raises:
        UserError: when the run is gone, has no weights yet or is damaged.
    """
    encodings = encodings_of(run)
    if view.kind not in offered(run, encodings):
        return sliders_of(run, RAW)
    choice = View(view.kind, view.label, view.neighbours, view.at)
    return _sliders(run.path, encodings_version(run), _saved_version(run, view), choice)


def _saved_version(run: Run, view: View) -> int | None:
    if view.kind != SAVED:
        return None
    from vae_core.latent.saved import saved_version  # with torch, for which no first page waits

    return saved_version(run)


@st.cache_resource(max_entries=32, show_spinner=False)
def _sliders(path: Path, version: int | None, saved: int | None, choice: View) -> Sliders:
    run = Run(path)
    encodings = encodings_of(run)
    assert encodings is not None, "offered() asks for encodings"
    return DIRECTION_SETS[choice.kind].sliders(run, encodings, choice)


def meaning(kind: str, encodings: Encodings | None) -> str:
    """What the sliders of a set do, in a sentence or two."""
    if encodings is None:
        return (
            "This run has no cached encodings, so the sliders are raw latent dimensions, "
            "and 1 σ is one standard deviation of the prior."
        )
    return DIRECTION_SETS[kind].help


def label_name(encodings: Encodings, label: int) -> str:
    """The name of a label, or its number."""
    names = encodings.label_names
    return names[label] if 0 <= label < len(names) else str(label)
