"""Arrow's own files and streams (and Feather, which is the same) with a column of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from vae_core.imaging.image_table import ROWS, ImageTable
from vae_core.imaging.kinds import Format, NotAnImage, formats


def open_arrow(file: BinaryIO) -> ImageTable:
    """Open one, of either kind: a stream is what `Dataset.save_to_disk` of the hub writes."""
    import pyarrow

    try:
        reader = _reader(file)
        starts, count = [0], 0
        for batch in _all(reader):
            count += batch.num_rows
            starts.append(count)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise NotAnImage(f"no Arrow file that can be read: {_first_line(error)}") from None
    schema = reader.schema

    def batches(columns: Sequence[str], start: int) -> Iterator[tuple[int, Any]]:
        if not columns:
            return
        first = 0
        try:
            for whole in _all(_reader(file)):
                if first + whole.num_rows > start:
                    for low in range(0, whole.num_rows, ROWS):
                        yield first + low, _chosen(whole.slice(low, ROWS), columns)
                first += whole.num_rows
        except (pyarrow.ArrowException, OSError) as error:
            raise NotAnImage(f"damaged: {_first_line(error)}") from None

    def start_of(row: int) -> int:
        return max(each for each in starts if each <= row)

    return ImageTable(schema, count, start_of, batches)


def _reader(file: BinaryIO) -> Any:
    import pyarrow

    file.seek(0)
    head = file.read(6)
    file.seek(0)
    opened = pyarrow.PythonFile(file, mode="r")
    if head == b"ARROW1":
        return pyarrow.ipc.open_file(opened)
    return pyarrow.ipc.open_stream(opened)


def _all(reader: Any) -> Iterator[Any]:
    if hasattr(reader, "get_batch"):
        yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
    else:
        yield from reader


def _chosen(batch: Any, columns: Sequence[str]) -> Any:
    """Some columns; `image.path` is a field of one."""
    import pyarrow

    found = []
    for name in columns:
        column = batch.column(name) if name in batch.schema.names else None
        if column is None:
            outer, _, inner = name.rpartition(".")
            column = batch.column(outer).field(inner)
        found.append(column)
    return pyarrow.RecordBatch.from_arrays(found, names=list(columns))


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200].rstrip(".")


formats.add(
    Format(
        name="arrow",
        label="Arrow",
        blurb="Files, streams and Feather with images as in Parquet.",
        endings=(".arrow", ".feather", ".ipc"),
        library="pyarrow",
        pictures="each row",
        labels="as in Parquet",
        build=open_arrow,
        part="row",
        several=True,
        order=23,
    )
)
