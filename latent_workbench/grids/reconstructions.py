"""Reconstructions: what a model keeps of real images, and what it stays unsure of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from latent_workbench.grids.sheets import RealImages, Sheet, decoded, images_of
from latent_workbench.live.models import ready_torch
from latent_workbench.shared.formatting import grouped
from latent_workbench.shared.inputs import draw_again
from vae_core.latent.selection import picks
from vae_core.names import shortened
from vae_core.runs import Run

if TYPE_CHECKING:
    from torch import Tensor

ORDERS = {"random": "Random", "best": "Best", "worst": "Worst"}
ROOM = 120
"""Characters that there is room for below all pictures together."""

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
    seed = draw_again(again, "recon", width="stretch") if how == "random" else 0
    images = images_of(run)
    survey = images.as_trained
    chosen = picks(survey, how, n, seed)
    originals, vectors = images.shown(chosen), survey.mu[chosen]
    labels = None if survey.labels is None else survey.labels[chosen]
    rebuilt = decoded(run, vectors, labels)
    corrupts = images.loaded.objective.corrupts
    rows = {"original": originals}
    if corrupts:
        from vae_core.imaging.png import to_bytes

        rows["corrupted"] = to_bytes(images.seen(_encoder_input(images, chosen)))
    difference = np.abs(originals.astype(np.int16) - rebuilt)
    rows |= {"reconstruction": rebuilt, "difference": difference.astype(np.uint8)}
    if wants_spread:
        with st.spinner("Drawing from the posteriors"):
            rows["spread"] = _spread(images, chosen)
    assert survey.recon is not None
    st.caption(
        f"Of {grouped(len(survey))} {images.origin}. Below each: −log p(x|z) in nats. "
        "Difference is the size of the error, pixel by pixel."
        + " The encoder is shown the corrupted images; errors are measured against the originals."
        * corrupts
    )
    errors = [f"{survey.recon[i]:.0f}" for i in chosen]
    files = images.names(chosen) if survey.files else []
    short = [shortened(name, ROOM // n) for name in files]
    return [
        Sheet(
            run,
            "reconstructions",
            np.stack(list(rows.values())),
            np.broadcast_to(vectors, (len(rows), *vectors.shape)),
            rows=list(rows),
            columns=[f"{e}\n{name}" for e, name in zip(errors, short, strict=False)] or errors,
            column_titles=[f"{name}: {e} nats" for e, name in zip(errors, files, strict=False)],
        )
    ]


def _encoder_input(images: RealImages, chosen: np.ndarray) -> Tensor:
    """The images at `chosen` as the encoder was shown them for `as_trained`."""
    torch = ready_torch()
    from vae_core.data.batches import as_floats

    x = as_floats(images.pictures[chosen], torch.device("cpu"))
    return images.loaded.objective.corrupted(x, chosen)


def _spread(images: RealImages, chosen: np.ndarray) -> np.ndarray:
    torch = ready_torch()
    from vae_core.latent.grids import posterior_spread

    model, labels, rows = images.loaded.model, images.survey.labels, []
    for i, x in zip(chosen, _encoder_input(images, chosen).split(1), strict=True):
        conditioned = model if labels is None else model.conditioned(torch.tensor([int(labels[i])]))
        deviation = posterior_spread(conditioned, x)
        rows.append(np.rint(np.clip(deviation * SPREAD_SCALE, 0, 1) * 255).astype(np.uint8))
    return np.stack(rows)
