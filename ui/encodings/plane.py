"""Where the points are drawn: over two directions of the latent space, or on a map."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from ui.axes import Axis, all_axes
from ui.background import Background
from ui.encodings.shown import Shown
from ui.waiting import awaited
from vae_core.data import Progress
from vae_core.runs import Run

DIRECTIONS = "Directions"
MAPS = {"t-SNE": "tsne", "UMAP": "umap"}
STACKED = "images stacked up"
BINS = 80


@dataclass(frozen=True)
class Plane:
    """Points float [N, 2] with what their axes are.

    lift: from (x, y) to a latent vector float32 [D]; None where a map knows no way back.
    prior: True where both axes are raw dimensions, in which the prior is N(0, 1).
    flat: True where one axis is no direction, so that both need not have one scale.
    """

    name: str
    points: np.ndarray
    titles: tuple[str, str]
    lift: Callable[[float, float], np.ndarray] | None = None
    prior: bool = False
    flat: bool = False


def choose_plane(shown: Shown) -> Plane | None:
    """The controls, and the plane that they describe; None while a map is drawn."""
    kind, first, second = st.columns([1.3, 1, 1], vertical_alignment="bottom")
    view = kind.segmented_control(
        "Axes", [DIRECTIONS, *MAPS], default=DIRECTIONS, required=True, key="encodings-view",
        help="Directions keep distances, and any point of them can be decoded. Maps keep "
        "neighbours together: sizes of groups and gaps between them mean little.",
    )  # fmt: skip
    if view != DIRECTIONS:
        return _map(shown, view)
    axes = all_axes(shown.run)
    names = [*axes]
    for key, options in (("encodings-x", names), ("encodings-y", [*names, STACKED])):
        if st.session_state.get(key) not in options:  # another run may not have the axis
            alone = shown.survey.mu.shape[1] == 1
            start = STACKED if alone else options[min(1, len(names) - 1)]
            st.session_state[key] = names[0] if key == "encodings-x" else start
    across = axes[first.selectbox("Across", names, key="encodings-x")]
    upwards = second.selectbox("Upwards", [*names, STACKED], key="encodings-y")
    if upwards in (STACKED, across.name):
        return stacked_plane(shown.survey.mu, across)
    return flat_plane(shown.survey.mu, across, axes[upwards])


def flat_plane(mu: np.ndarray, first: Axis, second: Axis) -> Plane:
    """Encodings mu [N, D] over two directions; raw dimensions in latent units, others in σ."""
    pair = (first, second)
    points = np.stack([axis.along(mu, not is_raw(axis)) for axis in pair], axis=1)
    prior = all(map(is_raw, pair))
    name = f"{first.name} × {second.name}"
    titles = (_title(first), _title(second))
    return Plane(name, points, titles, lambda x, y: lifted(pair, (x, y)), prior)


def stacked_plane(mu: np.ndarray, axis: Axis) -> Plane:
    """One direction alone: images that share a bin of it stand on top of each other."""
    along = axis.along(mu, not is_raw(axis))
    edges = np.linspace(along.min(), along.max(), BINS + 1)[1:-1]
    bins = np.digitize(along, edges)
    order = np.argsort(bins, kind="stable")
    starts = np.searchsorted(bins[order], bins[order])
    heights = np.empty(len(mu))
    heights[order] = np.arange(len(mu)) - starts + 1
    points = np.stack([along, heights], axis=1)
    return Plane(
        f"{axis.name} alone", points, (_title(axis), f"images in one of {BINS} bins"),
        lambda x, y: lifted((axis,), (x,)), flat=True,
    )  # fmt: skip


def lifted(axes: tuple[Axis, ...], at: tuple[float, ...]) -> np.ndarray:
    """The latent vector [D] at coordinates `at` of `axes` that lies nearest to their centre."""
    center, vectors = axes[0].center, np.stack([axis.vector for axis in axes])
    wanted = [
        value if is_raw(axis) else axis.center @ axis.vector + value * axis.deviation
        for axis, value in zip(axes, at, strict=True)
    ]
    moved: np.ndarray = center + np.linalg.pinv(vectors) @ (np.array(wanted) - vectors @ center)
    return moved.astype(np.float32)


def is_raw(axis: Axis) -> bool:
    """True for a latent dimension as it is: the prior's σ is then its unit."""
    return re.fullmatch(r"z\d+", axis.name) is not None


def _title(axis: Axis) -> str:
    return f"{axis.name}, latent units" if is_raw(axis) else f"{axis.name}, σ from the mean"


def _map(shown: Shown, view: str) -> Plane | None:
    given = (shown.run.path, shown.key, shown.split, MAPS[view])
    points = awaited(_drawn(*given), view, lambda: _drawn.clear(*given))
    return None if points is None else Plane(view, points, (f"{view} 1", f"{view} 2"))


@st.cache_resource(max_entries=8, show_spinner=False)
def _drawn(path: Path, key: str, split: str, kind: str) -> Background[np.ndarray]:
    run = Run(path)

    def work(progress: Progress) -> np.ndarray:
        from vae_core.analysis import in_process, map_of, survey_of
        from vae_core.latent.maps import load_map

        survey = survey_of(run, split)
        if load_map(run, split, kind, 2, 0, survey.step, len(survey)) is None:
            in_process(["encode", run.id, "--split", split, "--map", kind], run, progress)
        return map_of(run, split, kind).points

    return Background(work)
