"""Samples: from the prior and from what was fitted to the encodings, beside real images."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui.grids.images import images_of
from ui.grids.sheets import Sheet, decoded
from ui.live.models import ready_torch
from ui.loaded import model_of
from vae_core.errors import UserError
from vae_core.runs import Run

SIDE = 6


def draw(run: Run) -> list[Sheet]:
    """The controls, and one sheet for each source; what cannot be shown says why."""
    torch = ready_torch()
    from vae_core.latent.priors import priors, sample, suitable

    model = model_of(run)
    names = suitable(model)
    which, warmth, again = st.columns([3, 2, 1], vertical_alignment="bottom")
    chosen = which.pills(
        "Draw from",
        names,
        selection_mode="multi",
        default=names[:2],
        format_func=lambda name: priors[name].label,
        key=f"samples-priors-{run.id}",
        help="Where samples of the two differ, the prior has holes: regions that no image is "
        "encoded to.",
    )
    temperature = warmth.slider(
        "Temperature", 0.1, 2.0, 1.0, 0.1, key="samples-temperature",
        help="Times the deviation: below 1 samples keep to what is likely.",
    )  # fmt: skip
    if again.button("Draw again", icon=":material/casino:", key="samples-again"):
        st.session_state["samples-seed"] = st.session_state.get("samples-seed", 0) + 1
    seed = st.session_state.get("samples-seed", 0)
    sheets = []
    for name in chosen:
        generator = torch.Generator().manual_seed(seed)
        try:
            z = sample(run, model, name, SIDE * SIDE, generator, temperature)
        except UserError as error:
            st.info(str(error))
            continue
        with torch.inference_mode():
            vectors = model.flatten(z).float().numpy().reshape(SIDE, SIDE, -1)
        title = priors[name].label
        sheets.append(Sheet(run, f"samples-{name}", decoded(run, vectors), vectors, title=title))
    try:
        sheets.append(_real(run, seed))
    except UserError as error:
        st.info(f"Real images are not shown: {error}")
    return sheets


def _real(run: Run, seed: int) -> Sheet:
    images = images_of(run)
    count = len(images.pictures)
    chosen = np.random.default_rng(seed).choice(count, SIDE * SIDE, replace=count < SIDE * SIDE)
    pictures = images.pictures[chosen].reshape(SIDE, SIDE, *images.pictures.shape[1:])
    vectors = images.survey.mu[chosen].reshape(SIDE, SIDE, -1)
    return Sheet(run, "real", pictures, vectors, title="Real images")
