"""Manifold: the decoder over a plane of the latent space."""

from __future__ import annotations

import numpy as np
import streamlit as st

from latent_workbench.components.axes import Axis, all_axes, counterpart, raw_pair, without_share
from latent_workbench.grids.sheets import Sheet, decoded, image_number, ticks
from latent_workbench.live.resources import encodings_of, prior_of
from latent_workbench.shared.state import restore
from vae_core.latent.grids import MOST_A_SIDE, even_values, plane_vectors, quantile_values
from vae_core.runs import Run

SIGMA, RAW_UNITS, QUANTILES = "σ", "latent units", "quantiles"


def draw(run: Run, other: Run | None = None) -> list[Sheet]:
    """The controls, and the sheet they ask for; the same plane of `other` beside it. Raises
    UserError where a run is damaged, or `other` has no such directions."""
    axes = all_axes(run)
    names = list(axes)
    for key, start in (("grid-x", names[0]), ("grid-y", names[min(1, len(names) - 1)])):
        restore(key, start, names)  # another run may not have the direction chosen before
    across, upwards, scale, reach, side, center, course = st.columns(
        [1.4, 1.4, 2.4, 0.8, 0.8, 0.9, 1.1], vertical_alignment="bottom"
    )
    first = axes[across.selectbox("Across", names, key="grid-x", format_func=without_share)]
    second = axes[upwards.selectbox("Upwards", names, key="grid-y", format_func=without_share)]
    density = prior_of(run)
    units = [SIGMA, RAW_UNITS]
    if density is not None and density.standard:  # of another prior the cuts would not be equal
        units.append(QUANTILES)
    if st.session_state.get("grid-units") not in units:
        st.session_state.pop("grid-units", None)
    unit = scale.segmented_control(
        "Steps",
        units,
        default=SIGMA,
        required=True,
        key="grid-units",
        help="σ counts standard deviations of the encodings from their mean. Latent units are "
        "absolute, with all else at 0. Quantiles cut the prior N(0, I) into equal shares; models "
        "with another prior, or none, do not offer them.",
    )
    far = reach.number_input(
        "Range ±", 0.1, 10.0, 2.0, 0.5, key="grid-reach", disabled=unit == QUANTILES
    )
    n = int(side.number_input("A side", 2, MOST_A_SIDE, 9, 1, key="grid-n"))
    image = image_number(
        run,
        center,
        "Image",
        key="grid-center",
        placeholder="none",
        help="Number of an encoded image to stand in the middle; empty for the mean of all.",
    )
    with course.container(horizontal=True, gap="small"):
        for value in (1.0, 3.0):
            st.button(
                f"±{value:.0f}",
                key=f"course-{value:.0f}",
                help=f"The course plot: z0 and z1 from −{value:.0f} to {value:.0f}, all others 0. "
                "An autoencoder has holes at ±3, a VAE fills ±1.",
                on_click=_course_plot,
                args=(value, raw_pair(axes)),
            )
    values = quantile_values(n) if unit == QUANTILES else even_values(n, float(far))
    sheets = [_plane(run, (first, second), values, unit, image)]
    if other is not None:
        theirs = all_axes(other)
        pair = (counterpart(theirs, first.name, other), counterpart(theirs, second.name, other))
        sheets.append(_plane(other, pair, values, unit, image))
    return sheets


def _plane(
    run: Run, axes: tuple[Axis, Axis], values: np.ndarray, unit: str, image: int | None
) -> Sheet:
    """One run's plane: around an encoded image, else its mean (in σ) or the origin."""
    encodings, (first, second) = encodings_of(run), axes
    center = first.center if unit == SIGMA else np.zeros_like(first.center)
    if image is not None and encodings is not None:
        center = encodings.mu[min(image, len(encodings.mu)) - 1]
    scales = (first.deviation, second.deviation) if unit == SIGMA else (1.0, 1.0)
    vectors = plane_vectors(center, first.vector * scales[0], second.vector * scales[1], values)
    names = ticks(values)
    named = RAW_UNITS if unit == QUANTILES else unit
    return Sheet(
        run,
        f"manifold-{run.id}",
        decoded(run, vectors),
        vectors,
        rows=names[::-1],
        columns=names,
        across=f"{first.name}, in {named}",
        upwards=f"{second.name}, in {named}",
    )


def _course_plot(reach: float, names: tuple[str, str]) -> None:
    """Set the controls to the grid that courses show: two raw dimensions around the origin."""
    st.session_state["grid-x"], st.session_state["grid-y"] = names
    st.session_state["grid-units"] = RAW_UNITS
    st.session_state["grid-reach"] = reach
    st.session_state["grid-n"] = 20
    st.session_state["grid-center"] = None
