"""The main act: the points at two thirds, and at one third what was last pointed at."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from latent_workbench.components.explorer.space import space_of
from latent_workbench.components.scatter import Image, Link, Nothing, Spot, Told, scatter
from latent_workbench.encodings import pointed, selected
from latent_workbench.encodings.colours import MEASURE, colourings
from latent_workbench.encodings.part_images import sign_of_opening
from latent_workbench.encodings.plane import Plane, plane_of
from latent_workbench.encodings.shown import QUICKLY_COMPARED, Shown, neighbours_of
from latent_workbench.encodings.view import choose_view
from latent_workbench.live.loaded import prior_of, sliders_of
from latent_workbench.live.models import weights_version
from latent_workbench.shared.explore_view import PRINCIPAL
from latent_workbench.shared.numbers import grouped
from latent_workbench.shared.without_paths import without_paths
from vae_core.errors import UserError
from vae_core.runs import part_name

RADII = (1, 2)


@st.fragment
def act(shown: Shown) -> None:
    """One fragment: a click reruns this part alone."""
    view = choose_view(shown)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        plane = plane_of(shown, view)
        told = None if plane is None else points("encodings-scatter", shown, plane)
        _ask_for_purity(shown)
    with right:
        if plane is not None:
            tell(shown, plane, told)
        selected.direction(shown)


def points(key: str, shown: Shown, plane: Plane, link: Link | None = None) -> Told:
    """Draw the points; returns what was last clicked or drawn around among them."""
    survey, density = shown.survey, None
    with suppress(UserError):  # encodings of an earlier step may be good where weights are not
        density = prior_of(shown.run)
    thumbnails = {"split": shown.split, "version": str(weights_version(shown.run))}
    if shown.kept:
        thumbnails = space_of(shown.run, sliders_of(shown.run, PRINCIPAL))["thumbnails"]
    return scatter(
        key,
        plane.points,
        run=shown.run.id,
        images=shown.key,
        axes=plane.name,
        titles=plane.titles,
        labels=survey.labels,
        label_names=survey.label_names,
        colourings=colourings(shown),
        circles=RADII if plane.prior and density is not None and density.standard else (),
        decodes=plane.lift is not None,
        equal=not plane.flat,
        plain=plane.lift is None,
        thumbnails=thumbnails,
        link=link,
    )


def tell(shown: Shown, plane: Plane, told: Told) -> None:
    """What was clicked or drawn around; what can be done while it is nothing."""
    if told is None or isinstance(told, Nothing):
        _invite(shown, plane)
        return
    try:
        with sign_of_opening(shown.images):
            if isinstance(told, Image):
                pointed.image(shown, told.index)
            elif isinstance(told, Spot):
                pointed.spot(shown, plane, told)
            else:
                selected.selection(shown, told.rows)
    except UserError as error:  # such as images that are not at hand
        st.warning(without_paths(error))


def _invite(shown: Shown, plane: Plane) -> None:
    empty = "" if plane.lift is None else " Click empty space to decode what lies there."
    turn = " Drag to turn the points." if plane.points.shape[1] == 3 else ""
    count = len(shown.survey)
    st.markdown(
        f"**{grouped(count)} {'image' if count == 1 else 'images'}** of the "
        f"{part_name(shown.split)} part, encoded at step "
        f"{grouped(shown.survey.step)}.\n\nClick a point to see the image, what the model "
        f"makes of it, and its neighbours.{empty}{turn} Draw a lasso or a box around points to "
        "see what they share."
    )


def _ask_for_purity(shown: Shown) -> None:
    """Neighbours of many images take a while, and are looked for when they are wanted."""
    asked = st.session_state.setdefault(MEASURE, set())
    many = len(shown.survey) > QUICKLY_COMPARED and shown.survey.labels is not None
    if not many or (shown.key in asked and neighbours_of(shown).done):
        return
    if shown.key not in asked:
        if st.button("Measure purity", key="encodings-ask-purity",
                     help="Compares all images; then points can be coloured by the share of their "
                     "neighbours that have their label."):  # fmt: skip
            asked.add(shown.key)
            st.rerun(scope="fragment")
        return
    work = neighbours_of(shown)
    st.progress(work.share or 0.0, work.message or "Comparing encodings")
