"""The points at two thirds of the page, and at one third what was last pointed at."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import streamlit as st

from latent_workbench.components.explorer.space import space_of
from latent_workbench.components.scatter import (
    Categories,
    Colouring,
    ImageClick,
    Link,
    PlaneClick,
    ScatterEvent,
    SelectionCleared,
    scatter,
)
from latent_workbench.encodings import looked_through
from latent_workbench.encodings.details import (
    clicked_image,
    clicked_plane,
    direction_form,
    selected_images,
)
from latent_workbench.encodings.encoded_images import (
    QUICKLY_COMPARED,
    Compared,
    EncodedImages,
    is_compared,
    neighbours_of,
    opening_spinner,
)
from latent_workbench.encodings.marks import marks_on
from latent_workbench.encodings.plane import Plane, choose_axes, plane_of
from latent_workbench.encodings.selections import newest, recalled, saved_selections
from latent_workbench.live.models import weights_version
from latent_workbench.live.resources import prior_of, sliders_of
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.explore_view import PRINCIPAL
from latent_workbench.shared.formatting import grouped
from latent_workbench.shared.state import rerun_fragment, session
from vae_core.data.columns import Columns, as_numbers, kind_of, known
from vae_core.errors import UserError
from vae_core.latent.explored import LABEL_COLORS
from vae_core.names import readable, unused

RADII = (1, 2)
DAY = 24 * 3600
"""Seconds."""

ENDS = (2.0, 98.0)
"""Percentiles at which the colours end: a few extremes shall not make all others look alike."""


@st.fragment
def scatter_view(encoded: EncodedImages) -> None:
    """One fragment: a click reruns this part alone."""
    axes = choose_axes(encoded)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        plane = plane_of(encoded, axes)
        clicked = None
        if plane is not None:
            clicked = newest(encoded, draw_points("encodings-scatter", encoded, plane))
        _ask_for_purity(encoded)
    with right:
        if plane is not None:
            show_details(encoded, plane, clicked)
        direction_form(encoded)
        saved_selections(encoded)


def draw_points(
    key: str, encoded: EncodedImages, plane: Plane, link: Link | None = None
) -> ScatterEvent:
    """Draw the points; returns what was last clicked or drawn around among them."""
    survey, density, measured = encoded.survey, None, colourings(encoded)
    taken = {"label", *(each.name for each in measured)}
    further = {unused(readable(name), taken): each for name, each in survey.columns.items()}
    with suppress(UserError):  # encodings of an earlier step may be good where weights are not
        density = prior_of(encoded.run)
    thumbnails = {"split": encoded.split, "version": str(weights_version(encoded.run))}
    if encoded.is_cached:
        thumbnails = space_of(encoded.run, sliders_of(encoded.run, PRINCIPAL))["thumbnails"]
    return scatter(
        key,
        plane.points,
        run=encoded.run.id,
        images=encoded.key,
        axes=plane.name,
        titles=plane.titles,
        labels=survey.labels,
        label_names=survey.label_names,
        colourings=[*measured, *looked_through.colourings(encoded), *number_columns(further)],
        colour_by=looked_through.colour_by(encoded),
        categories=category_columns(further),
        files=survey.files,
        circles=RADII if plane.prior and density is not None and density.standard else (),
        decodes=plane.lift is not None,
        equal=not plane.flat,
        plain=plane.lift is None,
        thumbnails=thumbnails,
        link=link,
        marks=marks_on(encoded, plane),
        recalled=recalled(encoded),
    )


def show_details(encoded: EncodedImages, plane: Plane, clicked: ScatterEvent) -> None:
    """What was clicked or drawn around; what can be done while it is nothing."""
    if clicked is None or isinstance(clicked, SelectionCleared):
        _invite(encoded, plane)
        return
    with errors_shown(st.warning), opening_spinner(encoded.images):  # images may not be at hand
        if isinstance(clicked, ImageClick):
            clicked_image(encoded, clicked.index)
        elif isinstance(clicked, PlaneClick):
            clicked_plane(encoded, plane, clicked)
        else:
            selected_images(encoded, clicked.rows)


def _invite(encoded: EncodedImages, plane: Plane) -> None:
    empty = "" if plane.lift is None else " Click empty space to decode what lies there."
    turn = " Drag to turn the points." if plane.points.shape[1] == 3 else ""
    count = len(encoded.survey)
    st.markdown(
        f"**{grouped(count)} {'image' if count == 1 else 'images'}** {encoded.origin}, "
        f"encoded at step {grouped(encoded.survey.step)}.\n\nClick a point to see the image, "
        f"what the model makes of it, and its neighbours.{empty}{turn} Draw a lasso or a box "
        "around points to see what they share."
    )


def _ask_for_purity(encoded: EncodedImages) -> None:
    """Neighbours of many images take a while, and are looked for when they are wanted."""
    many = len(encoded.survey) > QUICKLY_COMPARED and encoded.survey.labels is not None
    if many and not is_compared(encoded):
        if st.button("Measure purity", key="encodings-ask-purity",
                     help="Compares all images; then points can be coloured by the share of their "
                     "neighbours that have their label."):  # fmt: skip
            session(Compared).keys.add(encoded.key)
            rerun_fragment()
    elif many and not (work := neighbours_of(encoded)).done:
        st.progress(work.share or 0.0, work.message or "Comparing encodings")


# --- what the points can be coloured by, beside their label ---------------------------------------


def colourings(encoded: EncodedImages) -> list[Colouring]:
    """Reconstruction error, KL and ELBO in nats, and purity, as far as they are known."""
    survey = encoded.survey
    measured = {"reconstruction error": survey.recon, "KL": survey.kl, "ELBO": survey.elbo}
    found = []
    for name, values in measured.items():
        if values is not None and np.isfinite(values).any():
            low, high = np.percentile(values[np.isfinite(values)], ENDS)
            found.append(Colouring(name, values, low, high, "nats"))
    purity = _purity(encoded)
    if purity is not None and np.isfinite(purity).any():
        found.append(Colouring("nearest-neighbour purity", purity, 0.0, 1.0))
    return found


def _purity(encoded: EncodedImages) -> np.ndarray | None:
    """Once asked for where there are many images; None until then and without labels."""
    from vae_core.latent.neighbours import purity

    labels = encoded.survey.labels
    if labels is None or not is_compared(encoded):
        return None
    work = neighbours_of(encoded)
    work.wait(1.0)
    return None if work.result is None else purity(work.result, labels)


def number_columns(columns: Columns) -> list[Colouring]:
    """Numbers and dates that are known of the images, on one scale each."""
    found = []
    for name, column in columns.items():
        if kind_of(column) not in ("number", "date") or not known(column).any():
            continue
        values = as_numbers(column)
        low, high = np.percentile(values[~np.isnan(values)], ENDS)
        ends = None
        if kind_of(column) == "date":
            days = [str(np.datetime64(round(each), "s")) for each in (low, high)]
            # The hour only where the day is not enough.
            ends = (days[0][:10], days[1][:10]) if high - low > DAY else (days[0], days[1])
        found.append(Colouring(name, values, low, high, ends=ends))
    return found


def category_columns(columns: Columns) -> list[Categories]:
    """Attributes and texts that are known of the images: of texts the most frequent ones, as many
    as there are colours, and one category for all others."""
    found = []
    for name, column in columns.items():
        match kind_of(column):
            case "attribute":
                found.append(Categories(name, column.astype(np.int64), ("no", "yes")))
            case "text":
                found.append(_most_frequent(name, column))
    return found


def _most_frequent(name: str, column: np.ndarray) -> Categories:
    texts, codes, counts = np.unique(column, return_inverse=True, return_counts=True)
    order = np.argsort(-np.where(texts == "", 0, counts), kind="stable")
    order = order[texts[order] != ""]
    shown, others = order[: len(LABEL_COLORS) - 1], order[len(LABEL_COLORS) - 1 :]
    if len(others) == 1:
        shown, others = order, others[:0]
    place = np.full(len(texts), -1)
    place[shown], place[others] = np.arange(len(shown)), len(LABEL_COLORS) - 1
    names = [str(text) for text in texts[shown]]
    names += [f"other ({grouped(len(others))} more)"] if len(others) else []
    return Categories(name, place[codes], names)
