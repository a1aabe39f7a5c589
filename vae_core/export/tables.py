"""Encodings, one image a row: as comma-separated values, as Parquet, and as NumPy arrays."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from vae_core.data.columns import Columns, kind_of
from vae_core.export.source import Export, Source, formats
from vae_core.latent.survey import Survey
from vae_core.names import readable, unused
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


def _written(source: Source, name: str, write: Callable[[Any, io.BytesIO], object]) -> Export:
    buffer = io.BytesIO()
    write(table(source.survey), buffer)
    return Export({name: buffer.getvalue()}, f"{in_words(len(source.survey), source.split)}.")


def table(survey: Survey) -> Any:
    """A pyarrow table of what is known of every image.

    Columns: split, index (place in the split), file (where images came from none, what a person
    calls them), label, what else is known of the images (`vae_core.data.columns`), recon, kl, elbo
    (in nats), as far as they are known, kl_error where kl is estimated from draws, then z0, z1, …:
    the posterior mean.
    """
    import pyarrow as pa

    columns: dict[str, Any] = {"split": [survey.split] * len(survey), "index": survey.indices}
    columns["file"] = [survey.name(row) for row in range(len(survey))]
    if survey.labels is not None:
        columns["label"] = [readable(survey.label_name(int(i))) for i in survey.labels]
    measured = {name: getattr(survey, name) for name in ("recon", "kl", "elbo", "kl_error")}
    measured |= {f"z{i}": survey.mu[:, i] for i in range(survey.mu.shape[1])}
    ours = {**columns, **measured}.keys()
    for name, values in written(survey.columns).items():
        columns[unused(readable(name), ours | columns.keys())] = values
    columns |= {name: values for name, values in measured.items() if values is not None}
    return pa.table(columns)


def written(columns: Columns) -> dict[str, Any]:
    """Columns as pyarrow has them, null where nothing is known."""
    import pyarrow as pa

    def array(values: np.ndarray) -> Any:
        match kind_of(values):
            case "number":
                return pa.array(values, from_pandas=True)
            case "attribute":
                return pa.array(values, mask=values < 0)
            case "text":
                return pa.array([readable(text) or None for text in values], pa.string())
            case "date":
                return pa.array(values)

    return {name: array(values) for name, values in columns.items()}
