"""Samples of several models side by side: a run in each row, a z in each column."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from latent_workbench.live.models import ready_torch, weights_version
from latent_workbench.shared.without_paths import without_paths
from vae_core.errors import UserError
from vae_core.imaging.png import tile, to_png
from vae_core.runs import Run

COUNT = 10
"""Samples of each run: 56 px and more a side at 1280 px."""

PAGE = 8
"""Runs in sight: a moment each to load and decode, when they are first shown."""

SEED = "same-z-seed"


def same_z(runs: Sequence[Run]) -> None:
    """Draw `COUNT` samples of each run's own prior, from the same random numbers in all."""
    words, pages, again = st.columns([2.6, 1, 0.8], vertical_alignment="center")
    words.markdown(
        "**Samples of the same z**",
        help="Each run draws from its own prior with the same random numbers: runs with the same "
        "prior and latent size decode the very same z, column by column.",
    )
    if again.button("Draw again", icon=":material/casino:", key="same-z-again"):
        st.session_state[SEED] = st.session_state.get(SEED, 0) + 1
    count = -(-len(runs) // PAGE)
    with pages:
        page = st.pagination(count, key=f"same-z-page-{count}") if count > 1 else 1
    with st.container(key="same-z", gap="xsmall"):
        for run in runs[(page - 1) * PAGE : page * PAGE]:
            name, strip = st.columns([1, 4.2], vertical_alignment="center")
            name.markdown(f":small[{run.id}]")
            with strip:
                _strip(run, st.session_state.get(SEED, 0))


def _strip(run: Run, seed: int) -> None:
    version = weights_version(run)
    if version is None:
        st.caption("No weights yet.")
        return
    try:
        source = base64.b64encode(_samples(run.path, version, seed)).decode()
    except UserError as error:
        st.caption(without_paths(error))
        return
    st.html(
        f'<img class="same-z-picture" alt="Samples of {run.id}" '
        f'src="data:image/png;base64,{source}" '
        'style="width:100%;image-rendering:pixelated;border-radius:4px;display:block">'
    )


@st.cache_data(max_entries=400, show_spinner=False)
def _samples(path: Path, version: int, seed: int) -> bytes:
    ready_torch()
    from vae_core.latent.grids import prior_pictures
    from vae_core.loading import load_run

    return to_png(tile(prior_pictures(load_run(Run(path)).sound().model, COUNT, seed), COUNT))
