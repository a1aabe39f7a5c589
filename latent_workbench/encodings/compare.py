"""Two runs on the same images side by side: what is selected in one lights up in the other."""

from __future__ import annotations

import numpy as np
import streamlit as st

from latent_workbench.components.scatter import (
    ImageClick,
    Link,
    PointsSelected,
    ScatterEvent,
    SelectionCleared,
)
from latent_workbench.encodings.details import direction_form
from latent_workbench.encodings.encoded_images import BY_KEY, QUICKLY_COMPARED, EncodedImages
from latent_workbench.encodings.plane import Plane, choose_axes, plane_of
from latent_workbench.encodings.points import draw_points, show_details
from latent_workbench.live.resources import encodings_version
from latent_workbench.shared.catalog import companions
from latent_workbench.shared.current_run import run_choice
from latent_workbench.shared.formatting import grouped, number
from latent_workbench.shared.tasks import Task
from vae_core.config import DataConfig
from vae_core.data import Progress, datasets
from vae_core.runs import Run

TEACHES = (
    "Draw around a group in one space. Where it stays together in the other, both models found the "
    "same likeness; where it scatters, only one of them did."
)

ALIKE = 10
"""Neighbours of each image that are compared."""

NOWHERE = (
    "Nothing here answers to it: a place in one space is none in the other, and a run keeps the "
    "encodings of some images only. Choose a whole part to have all."
)


def choose_other(run: Run) -> Run | None:
    """Another run whose images are the same ones, if one is wanted."""
    others = (
        each
        for each in companions(run, same_size=False)
        if encodings_version(each.run) is not None and same_images(run, each.run)
    )
    return run_choice(
        others, f"encodings-beside-{run.id}", placeholder="another run",
        help="A run on the same images: what you select in one space is shown in the other.",
    )  # fmt: skip


def same_images(run: Run, other: Run) -> bool:
    """True where both runs recorded the same images; of older runs, which recorded none, where
    both chose alike, so that place i of a part is the same image."""
    mine, theirs = run.data_card().digest, other.data_card().digest
    if mine or theirs:
        return mine == theirs
    return _choice(run.config().data) == _choice(other.config().data)


def _choice(config: DataConfig) -> tuple[object, ...]:
    own = datasets[config.dataset].origin == "own"
    where = config.data_dir if own else None
    return config.dataset, where, config.validation_fraction, config.limit


@st.fragment
def side_by_side(encoded: EncodedImages, other: EncodedImages) -> None:
    """One fragment: two spaces, and below them what was last pointed at in either."""
    axes, link = choose_axes(encoded), f"{encoded.key} {other.key}"
    st.caption(f"{_shared(encoded, other)} {TEACHES}")
    sides: list[tuple[EncodedImages, Plane, ScatterEvent]] = []
    pair = encoded.survey.identities, other.survey.identities
    # One small number for each image in either, which the browser can take.
    numbers = np.unique(np.concatenate(pair), return_inverse=True)[1]
    numbered = np.split(numbers, [len(encoded.survey)])
    for place, key, each, ids in zip(
        st.columns(2), ("", "-beside"), (encoded, other), numbered, strict=True
    ):
        with place:
            st.markdown(f"**{each.run.id}**")
            plane = plane_of(each, axes)
            if plane is not None:
                clicked = draw_points(f"encodings-scatter{key}", each, plane, Link(link, ids))
                sides.append((each, plane, clicked))
    if len(sides) < 2:
        return
    # What was clicked last counts, in whichever space.
    latest, _, clicked = max(sides, key=lambda side: getattr(side[2], "at", 0.0))
    if clicked is None or isinstance(clicked, SelectionCleared):
        return
    for place, (each, plane, _) in zip(st.columns(2), sides, strict=True):
        with place:
            here = clicked if each is latest else counterpart_of(clicked, latest, each)
            if here is None:
                st.caption(NOWHERE)
            else:
                show_details(each, plane, here)
            direction_form(each)


def counterpart_of(
    clicked: ScatterEvent, source: EncodedImages, target: EncodedImages
) -> ScatterEvent:
    """What was clicked or drawn around in `source`, of the same images in `target`; None where it
    has none of them."""
    if isinstance(clicked, ImageClick):
        rows = np.array([clicked.index])
    elif isinstance(clicked, PointsSelected):
        rows = clicked.rows
    else:
        return None
    here = rows_of(source.survey.identities[rows], target.survey.identities)
    if not len(here):
        return None
    return PointsSelected(here) if isinstance(clicked, PointsSelected) else ImageClick(int(here[0]))


def rows_of(wanted: np.ndarray, identities: np.ndarray) -> np.ndarray:
    """The rows of `identities` [N], all different, that hold one of `wanted` [M], in the order of
    `wanted`."""
    order = np.argsort(identities, kind="stable")
    places = np.searchsorted(identities, wanted, sorter=order)
    rows: np.ndarray = order[np.minimum(places, len(identities) - 1)]
    return rows[identities[rows] == wanted]


def _shared(encoded: EncodedImages, other: EncodedImages) -> str:
    """How many images are in both, and how far the two agree on which of them are alike."""
    shared = np.intersect1d(encoded.survey.identities, other.survey.identities)
    found = f"The same {grouped(len(shared))} images in two spaces."
    if not ALIKE < len(shared) <= QUICKLY_COMPARED:
        return found
    work = _agreement(encoded, other, shared)
    if not work.wait(1.0) or work.result is None:
        return found
    return (
        f"{found} Of an image's {ALIKE} nearest neighbours in one, {number(work.result)} are among "
        "its nearest in the other."
    )


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=BY_KEY)
def _agreement(encoded: EncodedImages, other: EncodedImages, _shared: np.ndarray) -> Task[float]:
    def work(progress: Progress) -> float:
        from vae_core.latent.neighbours import agreement, nearest_neighbours

        spaces = (each.survey for each in (encoded, other))
        vectors = [survey.mu[rows_of(_shared, survey.identities)] for survey in spaces]
        return agreement(*(nearest_neighbours(mu, ALIKE, progress) for mu in vectors))

    return Task(work)
