"""Where the points are drawn: over directions of the latent space, or on a map."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from latent_workbench.components.axes import Axis, all_axes, counterpart
from latent_workbench.encodings.shown import Shown
from latent_workbench.encodings.view import DIRECTIONS, MAPS, View
from latent_workbench.shared.task import Task
from latent_workbench.shared.waiting import awaited
from vae_core.data import Progress
from vae_core.runs import Run

BINS = 80


@dataclass(frozen=True)
class Plane:
    """Points float [N, 2 or 3] with what their axes are.

    lift: from (x, y) to a latent vector float32 [D]; None where a map knows no way back, and in
        space, where a click means a line and not a point.
    prior: True where all axes are raw dimensions, in which most priors are N(0, 1).
    flat: True where one axis is no direction, so that both need not have one scale.
    """

    name: str
    points: np.ndarray
    titles: tuple[str, ...]
    lift: Callable[[float, float], np.ndarray] | None = None
    prior: bool = False
    flat: bool = False


def plane_of(shown: Shown, view: View) -> Plane | None:
    """The plane or the space of a view; None while a map is drawn, which the page then shows.

    Raises:
        UserError: when the run has no such direction.
    """
    if view.kind != DIRECTIONS:
        return _map(shown, view)
    known = all_axes(shown.run)
    axes = [counterpart(known, name, shown.run) for name in view.axes]
    mu = shown.survey.mu
    return stacked_plane(mu, axes[0]) if len(axes) == 1 else flat_plane(mu, *axes)


def flat_plane(mu: np.ndarray, *axes: Axis) -> Plane:
    """Encodings mu [N, D] over two or three directions: in latent units where all of them are
    latent dimensions, else in σ, so that one unit serves all."""
    raw = all(map(is_raw, axes))
    points = np.stack([axis.along(mu, not raw) for axis in axes], axis=1)
    name = " × ".join(axis.name for axis in axes)
    lift = (lambda x, y: lifted(axes, (x, y), raw)) if len(axes) == 2 else None
    return Plane(name, points, tuple(_title(axis, raw) for axis in axes), lift, raw)


def stacked_plane(mu: np.ndarray, axis: Axis) -> Plane:
    """One direction alone: images that share a bin of it stand on top of each other."""
    raw = is_raw(axis)
    along = axis.along(mu, not raw)
    edges = np.linspace(along.min(), along.max(), BINS + 1)[1:-1]
    bins = np.digitize(along, edges)
    order = np.argsort(bins, kind="stable")
    starts = np.searchsorted(bins[order], bins[order])
    heights = np.empty(len(mu))
    heights[order] = np.arange(len(mu)) - starts + 1
    points = np.stack([along, heights], axis=1)
    return Plane(
        f"{axis.name} alone", points, (_title(axis, raw), f"images in one of {BINS} bins"),
        lambda x, y: lifted((axis,), (x,), raw), flat=True,
    )  # fmt: skip


def lifted(axes: tuple[Axis, ...], at: tuple[float, ...], raw: bool) -> np.ndarray:
    """The latent vector [D] at coordinates `at` of `axes` that lies nearest to their centre.

    Args:
        raw: True for coordinates in latent units from the origin, False for σ from the mean.
    """
    center, vectors = axes[0].center, np.stack([axis.vector for axis in axes])
    wanted = [
        value if raw else axis.center @ axis.vector + value * axis.deviation
        for axis, value in zip(axes, at, strict=True)
    ]
    moved: np.ndarray = center + np.linalg.pinv(vectors) @ (np.array(wanted) - vectors @ center)
    return moved.astype(np.float32)


def is_raw(axis: Axis) -> bool:
    """True for a latent dimension as it is: the prior's σ is then its unit."""
    return re.fullmatch(r"z\d+", axis.name) is not None


def _title(axis: Axis, raw: bool) -> str:
    return f"{axis.name}, latent units" if raw else f"{axis.name}, σ from the mean"


def _map(shown: Shown, view: View) -> Plane | None:
    kind, dimensions = MAPS[view.kind], view.dimensions
    given = (shown.run.path, shown.key, shown.split, kind, dimensions)
    key = f"{view.kind}-{dimensions}-{shown.run.id}"
    points = awaited(_drawn(*given), key, lambda: _drawn.clear(*given))
    titles = tuple(f"{view.kind} {axis + 1}" for axis in range(dimensions))
    return None if points is None else Plane(f"{view.kind} {dimensions}-D", points, titles)


@st.cache_resource(max_entries=8, show_spinner=False)
def _drawn(path: Path, key: str, split: str, kind: str, dimensions: int) -> Task[np.ndarray]:
    run = Run(path)

    def work(progress: Progress) -> np.ndarray:
        from vae_core.analysis import map_of, survey_of
        from vae_core.child import in_process
        from vae_core.latent.maps import load_map

        survey = survey_of(run, split)
        if load_map(run, split, kind, dimensions, 0, survey.mu) is None:
            command = ["encode", run.id, "--split", split, "--map", kind]
            in_process([*command, "--dimensions", str(dimensions)], run, progress)
        return map_of(run, split, kind, dimensions).points

    return Task(work)
