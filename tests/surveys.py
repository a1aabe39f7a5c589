"""Surveys that are constructed, so that what should be found in them is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from vae_core.latent.survey import Survey


def constructed(mu: np.ndarray, **known: Any) -> Survey:
    """A survey of the encodings mu [N, D], with what else is known of them."""
    nothing = {"logvar": None, "recon": None, "kl": None, "labels": None}
    return Survey(
        **{
            "split": "train",
            "mu": mu.astype(np.float32),
            "label_names": (),
            "files": (),
            "indices": np.arange(len(mu)),
            "step": 10,
            **nothing,
            **known,
        }
    )
