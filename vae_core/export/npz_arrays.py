"""Encodings as NumPy arrays."""

from __future__ import annotations

import io

import numpy as np

from vae_core.export.source import Export, Source, formats
from vae_core.export.table import readable


@formats.register(
    "npz", label="NumPy", blurb="Means, log-variances, labels and names as arrays, for np.load."
)
def npz(source: Source) -> Export:
    """Arrays of N images: mu, logvar, recon, kl, kl_error, labels, label_names, files, index."""
    survey = source.survey
    arrays = {
        "mu": survey.mu,
        "logvar": survey.logvar,
        "recon": survey.recon,
        "kl": survey.kl,
        "kl_error": survey.kl_error,
        "labels": survey.labels,
        "label_names": np.array([readable(name) for name in survey.label_names], np.str_),
        "files": np.array([readable(name) for name in survey.files], np.str_),
        "index": survey.indices,
    }
    buffer = io.BytesIO()
    known = {name: array for name, array in arrays.items() if array is not None}
    np.savez_compressed(buffer, allow_pickle=False, **known)
    return Export({"encodings.npz": buffer.getvalue()}, f"{len(survey)} images.")
