"""Reconstructions: what a model keeps of real images, and what it stays unsure of."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui.grids.images import RealImages, images_of
from ui.grids.sheets import Sheet, decoded
from ui.live.models import ready_torch
from ui.numbers import grouped
from vae_core.latent.ranking import picks
from vae_core.runs import Run

ORDERS = {"random": "Random", "best": "Best", "worst": "Worst"}
SPREAD_SCALE = 4
"""Standard deviations are shown so many times brighter: 0.25 is white."""


def draw(run: Run) -> list[Sheet]:
    """The controls, and images above their reconstructions and what the two differ by."""
    order, count, spread, again = st.columns([2, 1, 1.4, 1], vertical_alignment="bottom")
    how = order.segmented_control(
        "Which", list(ORDERS), default="random", required=True, key="recon-order",
        format_func=ORDERS.__getitem__, help="Best and worst by reconstruction error in nats.",
    )  # fmt: skip
    n = int(count.number_input("Images", 2, 24, 10, key="recon-count"))
    wants_spread = spread.toggle(
        "Posterior spread", key="recon-spread",
        help="How far every pixel varies over samples of the posterior: what is not decided.",
    )  # fmt: skip
    if how == "random" and again.button(
        "Draw again", icon=":material/casino:", key="recon-again", width="stretch"
    ):
        st.session_state["recon-seed"] = st.session_state.get("recon-seed", 0) + 1
    images = images_of(run)
    survey = images.survey
    chosen = picks(survey, how, n, st.session_state.get("recon-seed", 0))
    originals, vectors = images.pictures[chosen], survey.mu[chosen]
    rebuilt = decoded(run, vectors)
    rows = {"original": originals, **_corrupted(images, originals), "reconstruction": rebuilt}
    rows["difference"] = _difference(originals, rebuilt)
    if wants_spread:
        with st.spinner("Drawing from the posteriors"):
            rows["spread"] = _spread(images, chosen)
    assert survey.recon is not None
    st.caption(
        f"Of {grouped(len(survey))} {images.origin}. Below each: −log p(x|z) in nats. "
        "Difference is the size of the error, pixel by pixel."
    )
    return [
        Sheet(
            run,
            "reconstructions",
            np.stack(list(rows.values())),
            np.broadcast_to(vectors, (len(rows), *vectors.shape)),
            rows=list(rows),
            columns=[f"{survey.recon[i]:.0f}" for i in chosen],
        )
    ]


def _difference(originals: np.ndarray, rebuilt: np.ndarray) -> np.ndarray:
    size = np.abs(originals.astype(np.int16) - rebuilt.astype(np.int16))
    return size.astype(np.uint8)


def _corrupted(images: RealImages, originals: np.ndarray) -> dict[str, np.ndarray]:
    """What a denoising model was shown in training, as a row; nothing for the others."""
    torch = ready_torch()
    from vae_core.data.batches import as_floats
    from vae_core.data.pictures import to_bytes

    x = as_floats(originals, torch.device("cpu"))
    shown = images.loaded.objective.corrupt(x, torch.Generator().manual_seed(0))
    return {} if shown is x else {"corrupted": to_bytes(shown)}


def _spread(images: RealImages, chosen: np.ndarray) -> np.ndarray:
    torch = ready_torch()
    from vae_core.data.batches import as_floats
    from vae_core.latent.planes import posterior_spread

    rows = []
    for i in chosen:
        x = as_floats(images.pictures[i : i + 1], torch.device("cpu"))
        _, deviation = posterior_spread(images.loaded.model, x)
        rows.append(np.rint(np.clip(deviation * SPREAD_SCALE, 0, 1) * 255).astype(np.uint8))
    return np.stack(rows)
