"""Encodings as Parquet."""

from __future__ import annotations

import io

from vae_core.export.source import Export, Source, formats
from vae_core.export.table import table
from vae_core.runs import in_words


@formats.register(
    "parquet",
    label="Parquet",
    blurb="The table of the CSV with its types, smaller; for pandas.",
    order=20,
)
def parquet(source: Source) -> Export:
    """One row for each image."""
    from pyarrow.parquet import write_table

    buffer = io.BytesIO()
    rows = table(source.survey)
    write_table(rows, buffer, compression="zstd")
    return Export(
        {"encodings.parquet": buffer.getvalue()}, in_words(rows.num_rows, source.split) + "."
    )
