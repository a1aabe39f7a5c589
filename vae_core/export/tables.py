"""Encodings, one image a row: as comma-separated values, as Parquet, and as NumPy arrays."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from vae_core.export.source import Export, Source, formats
from vae_core.latent.survey import Survey
from vae_core.runs import in_words


@formats.register(
    "csv",
    label="CSV",
    blurb="Encodings, labels and file names, for spreadsheets and any language.",
    order=10,
)
def csv(source: Source) -> Export:
    """Numbers are written so that they read back unchanged."""
    from pyarrow.csv import write_csv

    return _written(source, "encodings.csv", write_csv)


@formats.register(
    "parquet",
    label="Parquet",
    blurb="The table of the CSV with its types, smaller; for pandas.",
    order=20,
)
def parquet(source: Source) -> Export:
    """Compressed by zstd."""
    from pyarrow.parquet import write_table

    return _written(
        source, "encodings.parquet", lambda rows, to: write_table(rows, to, compression="zstd")
    )


@formats.register(
    "npz",
    label="NumPy",
    blurb="Means, log-variances, labels and names as arrays, for np.load.",
    order=30,
)
def npz(source: Source) -> Export:
    """As arrays of N images: mu, logvar, recon, kl, kl_error, labels, files, index; and split."""
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
    buffer = io.BytesIO()
    known = {name: array for name, array in arrays.items() if array is not None}
    np.savez_compressed(buffer, allow_pickle=False, **known)
    return Export({"encodings.npz": buffer.getvalue()}, f"{in_words(len(survey), survey.split)}.")


def _written(source: Source, name: str, write: Callable[[Any, io.BytesIO], object]) -> Export:
    buffer = io.BytesIO()
    write(table(source.survey), buffer)
    return Export({name: buffer.getvalue()}, f"{in_words(len(source.survey), source.split)}.")


def table(survey: Survey) -> Any:
    """A pyarrow table of what is known of every image.

    Columns: split, index (place in the split), file (where images came from none, what a person
    calls them), label, recon, kl, elbo (in nats), as far as they are known, kl_error where kl is
    estimated from draws, then z0, z1, …: the posterior mean.
    """
    import pyarrow as pa

    columns: dict[str, Any] = {"split": [survey.split] * len(survey), "index": survey.indices}
    columns["file"] = [survey.name(row) for row in range(len(survey))]
    if survey.labels is not None:
        columns["label"] = [readable(survey.label_name(int(i))) for i in survey.labels]
    for name in ("recon", "kl", "elbo", "kl_error"):
        if (values := getattr(survey, name)) is not None:
            columns[name] = values
    columns |= {f"z{i}": survey.mu[:, i] for i in range(survey.mu.shape[1])}
    return pa.table(columns)


def readable(name: str) -> str:
    """A file name as text that can be written: bytes that are no UTF-8 become �."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
