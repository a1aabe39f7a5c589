"""Where the encoder puts the images: posterior means, coloured by label."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui.axes import axes_of
from ui.empty import no_runs
from ui.figures import scatter_figure
from ui.loaded import encodings_of
from ui.numbers import grouped
from ui.state import current_run
from vae_core.errors import UserError
from vae_core.runs import Run

SIGMA, RAW_UNITS = "σ", "latent units"


def page(run: Run) -> None:
    """Draw the controls and the scatter."""
    st.title(f"Encodings of {run.id}")
    encodings = encodings_of(run)
    if encodings is None:
        st.info(
            "This run has no encodings yet: they are cached when an epoch ends. "
            "Train it for one epoch, then come back."
        )
        if st.button("Go to Train", icon=":material/model_training:"):
            st.switch_page("pages/train.py", query_params={"run": run.id})
        return
    axes = axes_of(run)
    names = list(axes)
    for key in ("encodings-x", "encodings-y"):  # another run may not have the axis chosen before
        if st.session_state.get(key) not in names:
            st.session_state[key] = names[0 if key == "encodings-x" else min(1, len(names) - 1)]
    across, upwards, units = st.columns(3)
    first = axes[across.selectbox("Across", names, key="encodings-x")]
    second = axes[upwards.selectbox("Upwards", names, key="encodings-y")]
    unit = units.segmented_control(
        "Units",
        [SIGMA, RAW_UNITS],
        default=SIGMA,
        required=True,
        key="encodings-units",
        help="σ counts standard deviations of the encodings from their mean; "
        "latent units are absolute.",
    )
    points = np.stack([axis.along(encodings.mu, unit == SIGMA) for axis in (first, second)], axis=1)
    titles = (f"{first.name}, in {unit}", f"{second.name}, in {unit}")
    st.plotly_chart(
        scatter_figure(points, encodings.labels, encodings.label_names, encodings.indices, titles),
        key="encodings",
    )
    st.caption(
        f"{grouped(len(points))} posterior means of training images, "
        f"encoded at step {grouped(encodings.step)}. "
        "Click a label to hide it, twice to see it alone."
    )


current = current_run()
if current is None:
    no_runs("see where its encoder puts the images")
else:
    try:
        page(current)
    except UserError as error:
        st.warning(str(error))
