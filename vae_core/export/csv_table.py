"""Encodings as comma-separated values."""

from __future__ import annotations

import io

from vae_core.export.source import Export, Source, formats
from vae_core.export.table import table
from vae_core.runs import in_words


@formats.register(
    "csv",
    label="CSV",
    blurb="Encodings, labels and file names, for spreadsheets and any language.",
    order=10,
)
def csv(source: Source) -> Export:
    """One row for each image; numbers are written so that they read back unchanged."""
    from pyarrow.csv import write_csv

    buffer = io.BytesIO()
    rows = table(source.survey)
    write_csv(rows, buffer)
    return Export({"encodings.csv": buffer.getvalue()}, in_words(rows.num_rows, source.split) + ".")
