"""Images that stand out."""

from __future__ import annotations

import numpy as np
import streamlit as st

from latent_workbench.components.sheet import sheet
from latent_workbench.encodings.encoded_images import (
    EncodedImages,
    opening_spinner,
)
from latent_workbench.shared.current_run import open_in_explore
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.formatting import number
from vae_core.imaging.png import tile

CRITERIA = {"-elbo": "−ELBO", "recon": "Reconstruction error"}
PICTURED, LISTED = 12, 100


def draw(encoded: EncodedImages) -> None:
    """The ranking with its pictures."""
    by = st.segmented_control(
        "Ranked by", list(CRITERIA), default="-elbo" if encoded.survey.kl is not None else "recon",
        required=True, key=f"outliers-by-{encoded.key}", format_func=CRITERIA.__getitem__,
        help="−ELBO finds what the model holds for unlikely, reconstruction error what it cannot "
        "draw.",
    )  # fmt: skip
    with errors_shown(st.info), opening_spinner(encoded.images):
        _ranking(encoded, by)


def _ranking(encoded: EncodedImages, by: str) -> None:
    from vae_core.latent.selection import ranked

    order, values = ranked(encoded.survey, by)
    few = order[:PICTURED]
    labels = None if encoded.survey.labels is None else encoded.survey.labels[few]
    originals = encoded.images.gather(few)
    rebuilt = encoded.decoded(encoded.survey.mu[few], labels)
    both = tile(np.concatenate([originals, rebuilt]), len(few))
    names = [number(float(value)) for value in values[: len(few)]]
    cell = sheet(
        "outliers", both, ["original", "reconstruction"], names,
        f"{CRITERIA[by]}, nats, of {encoded.description}", hint="Click to open it in Explore",
    )  # fmt: skip
    if cell is not None:
        open_in_explore(encoded.run.id, encoded.survey.mu[few[cell[1]]])
    st.dataframe(table(encoded, order[:LISTED]), hide_index=True, height=280)


def table(encoded: EncodedImages, rows: np.ndarray) -> dict[str, list[object]]:
    """Names, labels and measures of the images at `rows`."""
    survey = encoded.survey
    columns: dict[str, list[object]] = {"image": [encoded.name(int(row)) for row in rows]}
    if survey.labels is not None:
        columns["label"] = [survey.label_name(int(survey.labels[row])) for row in rows]
    measured = {"ELBO, nats": survey.elbo, "recon, nats": survey.recon, "KL, nats": survey.kl}
    measured["± KL, nats"] = survey.kl_error
    return columns | {
        name: np.round(values[rows], 2).tolist()
        for name, values in measured.items()
        if values is not None
    }
