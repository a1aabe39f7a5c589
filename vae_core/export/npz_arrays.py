"""Encodings as NumPy arrays."""

from __future__ import annotations

import io

import numpy as np

from vae_core.data.columns import kind_of
from vae_core.export.source import Export, Source, formats
from vae_core.names import readable
from vae_core.runs import in_words


@formats.register(
    "npz",
    label="NumPy",
    blurb="Means, log-variances, labels and names as arrays, for np.load.",
    order=30,
)
def npz(source: Source) -> Export:
    """As arrays of N images: mu, logvar, recon, kl, kl_error, labels, files, index; what else is
    known of them as "column.<name>"; and split."""
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
        "split": np.array(survey.split),
    }
    for name, values in survey.columns.items():
        is_text = kind_of(values) == "text"
        array = np.array([readable(text) for text in values], np.str_) if is_text else values
        arrays[f"column.{readable(name)}"] = array
    buffer = io.BytesIO()
    known = {name: array for name, array in arrays.items() if array is not None}
    np.savez_compressed(buffer, allow_pickle=False, **known)
    return Export({"encodings.npz": buffer.getvalue()}, f"{in_words(len(survey), survey.split)}.")
