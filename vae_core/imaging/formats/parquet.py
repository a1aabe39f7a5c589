"""Parquet with a column of pictures, as data sets lie on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from vae_core.imaging.image_table import ROWS, ImageTable
from vae_core.imaging.kinds import Format, NotAnImage, formats


def open_parquet(file: BinaryIO) -> ImageTable:
    """Open one: what lies where stands at its end; rows are read a few at a time."""
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        table = parquet.ParquetFile(file, pre_buffer=False, memory_map=False)
        groups = [table.metadata.row_group(i).num_rows for i in range(table.num_row_groups)]
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise NotAnImage(f"no Parquet that can be read: {_first_line(error)}") from None
    starts = np.cumsum([0, *groups])

    def start_of(row: int) -> int:
        return int(starts[np.searchsorted(starts, row, side="right") - 1])

    def batches(columns: Sequence[str], start: int) -> Iterator[tuple[int, Any]]:
        if not columns:
            return
        group = int(np.searchsorted(starts, start, side="right")) - 1
        wanted = list(range(group, len(groups)))
        try:
            for batch in table.iter_batches(ROWS, wanted, list(columns), use_threads=False):
                yield start, batch
                start += batch.num_rows
        except (pyarrow.ArrowException, OSError) as error:
            raise NotAnImage(f"damaged: {_first_line(error)}") from None

    return ImageTable(table.schema_arrow, int(starts[-1]), start_of, batches)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200].rstrip(".")


formats.add(
    Format(
        name="parquet",
        label="Parquet",
        blurb="Images as on the Hugging Face hub: struct of bytes and path, bytes, or lists.",
        endings=(".parquet", ".pq"),
        library="pyarrow",
        pictures="each row",
        labels="a ClassLabel, or a column called label; the others are columns",
        build=open_parquet,
        part="row",
        several=True,
        order=22,
    )
)
