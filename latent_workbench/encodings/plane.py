"""Where the points are drawn: over latent directions or on a map; flat or in space."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from latent_workbench.components.axes import Axis, all_axes, counterpart, without_share
from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.shared.state import restore
from latent_workbench.shared.tasks import Task, command, result_of
from vae_core.data import Progress
from vae_core.runs import Run

BINS = 80
DIRECTIONS = "Directions"
MAPS = {"t-SNE": "tsne", "UMAP": "umap"}
STACKED = "images stacked up"
FLAT = "none, flat"


@dataclass(frozen=True)
class AxesChoice:
    """kind: directions or a map. names: of one to three directions; one alone is stacked up.
    dimensions: of a map, 2, or 3 to be turned by hand."""

    kind: str
    names: tuple[str, ...] = ()
    dimensions: int = 2


def choose_axes(encoded: EncodedImages) -> AxesChoice:
    """Draw the controls, in one row."""
    kind, first, second, third = st.columns([1.5, 1, 1, 1], vertical_alignment="bottom")
    view = kind.segmented_control(
        "Axes", [DIRECTIONS, *MAPS], default=DIRECTIONS, required=True, key="encodings-view",
        help="Directions keep distances, and any point of them can be decoded. Maps keep "
        "neighbours together: sizes of groups and gaps between them mean little.",
    )  # fmt: skip
    if view != DIRECTIONS:
        spatial = first.segmented_control(
            "Dimensions", [2, 3], default=2, required=True, key="encodings-map-dimensions",
            format_func="{}-D".format, help="In 3-D, drag to turn the points.",
        )  # fmt: skip
        return AxesChoice(view, dimensions=spatial)
    names = [*all_axes(encoded.run)]
    alone = encoded.survey.mu.shape[1] == 1
    start = STACKED if alone else names[min(1, len(names) - 1)]
    across = _choice(first, "Across", names, "encodings-x", names[0])
    upwards = _choice(second, "Upwards", [*names, STACKED], "encodings-y", start)
    if upwards in (STACKED, across):
        return AxesChoice(DIRECTIONS, (across,))
    left = [name for name in names if name not in (across, upwards)]
    depth = _choice(third, "Depth", [FLAT, *left], "encodings-z", FLAT)
    chosen = (across, upwards) if depth == FLAT else (across, upwards, depth)
    return AxesChoice(DIRECTIONS, chosen)


def _choice(place: DeltaGenerator, label: str, names: list[str], key: str, start: str) -> str:
    restore(key, start, names)  # another run may not have the axis
    chosen = place.selectbox(label, names, key=key, format_func=without_share)
    assert chosen is not None
    return chosen


# --- points ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plane:
    """Points float [N, 2 or 3] with what their axes are.

    lift: from (x, y) to a latent vector float32 [D]; None where a map knows no way back, and in
        space, where a click means a line and not a point.
    prior: True where all axes are raw dimensions, in which most priors are N(0, 1).
    flat: True where one axis is no direction, so that both need not have one scale.
    project: from encodings [M, D] of other images to where they belong: [M, 2 or 3].
    """

    name: str
    points: np.ndarray
    titles: tuple[str, ...]
    lift: Callable[[float, float], np.ndarray] | None = None
    prior: bool = False
    flat: bool = False
    project: Callable[[np.ndarray], np.ndarray] | None = None


def plane_of(encoded: EncodedImages, axes: AxesChoice) -> Plane | None:
    """The plane or the space that was chosen; None while a map is drawn, which the page then shows.
    Raises UserError where the run has no such direction."""
    if axes.kind != DIRECTIONS:
        return _map(encoded, axes)
    known = all_axes(encoded.run)
    chosen = [counterpart(known, name, encoded.run) for name in axes.names]
    mu = encoded.survey.mu
    return stacked_plane(mu, chosen[0]) if len(chosen) == 1 else flat_plane(mu, *chosen)


def flat_plane(mu: np.ndarray, *axes: Axis) -> Plane:
    """Encodings mu [N, D] over two or three directions: in latent units where all of them are
    latent dimensions, else in σ, so that one unit serves all."""
    raw = all(map(is_raw, axes))

    def project(vectors: np.ndarray) -> np.ndarray:
        return np.stack([axis.along(vectors, not raw) for axis in axes], axis=1)

    name = " × ".join(axis.name for axis in axes)
    lift = (lambda x, y: lifted(axes, (x, y), raw)) if len(axes) == 2 else None
    titles = tuple(_title(axis, raw) for axis in axes)
    return Plane(name, project(mu), titles, lift, raw, project=project)


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
        project=lambda vectors: np.stack(
            [axis.along(vectors, not raw), np.zeros(len(vectors))], axis=1
        ),
    )  # fmt: skip


def lifted(axes: tuple[Axis, ...], at: tuple[float, ...], raw: bool) -> np.ndarray:
    """The latent vector [D] at coordinates `at` of `axes` that lies nearest to their centre; `raw`
    coordinates are latent units from the origin, others σ from the mean."""
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


def _map(encoded: EncodedImages, axes: AxesChoice) -> Plane | None:
    kind, dimensions = MAPS[axes.kind], axes.dimensions
    which = (encoded.run.path, encoded.key, encoded.split, kind, dimensions)
    key = f"{axes.kind}-{dimensions}-{encoded.run.id}"
    points = result_of(_drawn(*which), key, lambda: _drawn.clear(*which))
    titles = tuple(f"{axes.kind} {axis + 1}" for axis in range(dimensions))
    if points is None:
        return None
    name = f"{axes.kind} {dimensions}-D"
    return Plane(name, points, titles, project=lambda vectors: _beside(encoded, points, vectors))


def _beside(encoded: EncodedImages, points: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Where the images stand that lie nearest to encodings [M, D]: a map knows no other way."""
    from vae_core.latent.search import NearestEncodings

    places, _ = NearestEncodings(encoded.survey.mu).nearest(vectors, 1)
    found: np.ndarray = points[places[:, 0]]
    return found


@st.cache_resource(max_entries=8, show_spinner=False)
def _drawn(path: Path, key: str, split: str, kind: str, dimensions: int) -> Task[np.ndarray]:
    run = Run(path)

    def work(progress: Progress) -> np.ndarray:
        from vae_core.analysis import map_of, survey_of
        from vae_core.latent.maps import load_map

        survey = survey_of(run, split)
        if load_map(run, split, kind, dimensions, 0, survey.mu) is None:
            drawn = ("--split", split, "--map", kind, "--dimensions", str(dimensions))
            command(run, "encode", run.id, *drawn)(progress)
        return map_of(run, split, kind, dimensions).points

    return Task(work)
