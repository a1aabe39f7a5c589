"""What the decoder draws over a plane of the latent space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st

from ui.axes import Axis, axes_of, raw_pair
from ui.empty import no_runs
from ui.figures import grid_figure
from ui.live.models import weights_version
from ui.loaded import model_of
from ui.state import current_run
from vae_core.errors import UserError
from vae_core.runs import Run

SIGMA, RAW_UNITS = "σ", "latent units"
SIDE = 540
"""Height of the picture in px that a page of 800 px has room for."""
SMALLEST_CELL = 56


@st.cache_data(max_entries=32, show_spinner="Decoding the grid")
def decoded_tile(
    path: Path, version: int | None, center: np.ndarray, steps: np.ndarray, values: np.ndarray
) -> tuple[bytes, tuple[int, int]]:
    """The grid as PNG, with its width and height; `version` says which weights drew it."""
    from vae_core.data.pictures import tile, to_png
    from vae_core.latent.grids import decoded_grid

    grid = decoded_grid(model_of(Run(path)), center, steps[0], steps[1], values)
    image = tile(grid.reshape(-1, *grid.shape[2:]), len(values))
    return to_png(image), (image.shape[2], image.shape[1])


def course_plot(reach: float, names: tuple[str, str]) -> None:
    """Set the controls to the grid that courses show: two raw dimensions around the origin."""
    st.session_state["grid-x"], st.session_state["grid-y"] = names
    st.session_state["grid-units"] = RAW_UNITS
    st.session_state["grid-reach"] = reach
    st.session_state["grid-n"] = 20


def controls(axes: dict[str, Axis]) -> tuple[Axis, Axis, bool, float, int]:
    """The toolbar: two directions, units, range and number of pictures."""
    names = list(axes)
    for key in ("grid-x", "grid-y"):  # another run may not have the direction chosen before
        if st.session_state.get(key) not in names:
            st.session_state[key] = names[0] if key == "grid-x" else names[min(1, len(names) - 1)]
    across, upwards, units, reach, n, course = st.columns(
        [1.5, 1.5, 1.3, 1, 1, 1.6], vertical_alignment="bottom"
    )
    first = across.selectbox("Across", names, key="grid-x")
    second = upwards.selectbox("Upwards", names, key="grid-y")
    in_sigma = units.segmented_control(
        "Units",
        [SIGMA, RAW_UNITS],
        default=SIGMA,
        required=True,
        key="grid-units",
        help="σ counts standard deviations of the encodings from their mean; "
        "latent units are absolute, with every other dimension at 0.",
    )
    reach_value = reach.number_input("Range ±", 0.1, 10.0, 2.0, 0.5, key="grid-reach")
    count = n.number_input("Pictures a side", 2, 25, 9, 1, key="grid-n")
    with course.container(horizontal=True, gap="small"):
        for value in (1.0, 3.0):
            st.button(
                f"(−{value:.0f}, {value:.0f})",
                key=f"course-{value:.0f}",
                help=f"The course plot: z0 and z1 from −{value:.0f} to {value:.0f}, all others 0.",
                on_click=course_plot,
                args=(value, raw_pair(axes)),
            )
    return axes[first], axes[second], in_sigma == SIGMA, float(reach_value), int(count)


def page(run: Run) -> None:
    """Draw the toolbar and the grid."""
    st.title(f"Grids of {run.id}")
    first, second, in_sigma, reach, n = controls(axes_of(run))
    unit = SIGMA if in_sigma else RAW_UNITS
    center = first.center if in_sigma else np.zeros_like(first.center)
    scales = (first.deviation, second.deviation) if in_sigma else (1.0, 1.0)
    steps = np.stack([first.vector * scales[0], second.vector * scales[1]])
    values = np.linspace(-reach, reach, n, dtype=np.float32)
    png, size = decoded_tile(run.path, weights_version(run), center, steps, values)
    side = max(SIDE, SMALLEST_CELL * n)
    titles = (f"{first.name}, in {unit}", f"{second.name}, in {unit}")
    st.plotly_chart(grid_figure(png, size, reach, n, titles, side), key="grid")
    st.download_button(
        "Download PNG", png, f"{run.id}-grid.png", "image/png", icon=":material/download:"
    )


current = current_run()
if current is None:
    no_runs("see what its decoder draws over a plane of the latent space")
else:
    try:
        page(current)
    except UserError as error:
        st.warning(str(error))
