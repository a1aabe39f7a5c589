"""What the points can be coloured by, beside their label."""

from __future__ import annotations

import numpy as np
import streamlit as st

from latent_workbench.components.scatter import Colouring
from latent_workbench.encodings.shown import QUICKLY_COMPARED, Shown, neighbours_of

ENDS = (2.0, 98.0)
"""Percentiles at which the colours end: a few extremes shall not make all others look alike."""
MEASURE = "encodings-purity"


def colourings(shown: Shown) -> list[Colouring]:
    """Reconstruction error, KL and ELBO in nats, and purity, as far as they are known."""
    survey = shown.survey
    measured = {"reconstruction error": survey.recon, "KL": survey.kl, "ELBO": survey.elbo}
    found = []
    for name, values in measured.items():
        if values is not None and np.isfinite(values).any():
            low, high = np.percentile(values[np.isfinite(values)], ENDS)
            found.append(Colouring(name, values, low, high, "nats"))
    purity = _purity(shown)
    if purity is not None and np.isfinite(purity).any():
        found.append(Colouring("nearest-neighbour purity", purity, 0.0, 1.0))
    return found


def _purity(shown: Shown) -> np.ndarray | None:
    """Once asked for where there are many images; None until then and without labels."""
    from vae_core.latent.neighbours import purity

    labels = shown.survey.labels
    if labels is None:
        return None
    asked = st.session_state.setdefault(MEASURE, set())
    if len(shown.survey) > QUICKLY_COMPARED and shown.key not in asked:
        return None
    work = neighbours_of(shown)
    work.wait(1.0)
    return None if work.result is None else purity(work.result, labels)
