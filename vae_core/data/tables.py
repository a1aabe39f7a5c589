"""A table that lies beside images, as its file has it: columns of texts, whatever wrote it.

Strangers write these files. What of one cannot be read is a sentence that says how much and gives
an example, and the rest counts; sizes are bounded, and nothing in a file is executed.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from vae_core.units import grouped

if TYPE_CHECKING:
    import pyarrow as pa

MOST_COLUMNS = 1000
MOST_ROWS = 10_000_000
MOST_TEXT = 1000
"""Characters of a value; a caption has less."""

MOST_UNPACKED = 2 * 10**9
"""Bytes that a table may take in memory: CSV of 200 MB and ten columns takes 300 MB."""

HEAD = 64 * 1024
"""Bytes by which the delimiter is told."""

DELIMITERS = ",;\t|"
LINES_AT_ONCE = 50_000
ROWS_AT_ONCE = 256
"""Of a Parquet file, where one long text may stand in every row and take its room only once."""

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""How files of another encoding begin."""

LIST_MARK = ";"
"""Between the values of one cell that is a list."""


@dataclass(frozen=True)
class Table:
    """rows: a pyarrow table whose columns are texts, null where there is nothing.

    unnamed: columns without a name of their own, such as the index that pandas writes.
    notes: sentences on what of the file could not be read.
    """

    rows: pa.Table
    unnamed: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


class NoTable(Exception):
    """The file gives no table; the message says why in a few words."""


IsName = Callable[[str], bool]
"""Whether a text is the name of an image: a first line with one in it is no head."""


def read_table(name: str, data: bytes, is_name: IsName) -> Table:
    """The table in a file, by the extension of its name.

    Raises:
        NoTable: when it is none, is empty, or is larger than tables of images are.
    """
    import pyarrow as pa

    read = READERS[PurePosixPath(name).suffix.lower()]
    try:
        table = read(data, is_name)
    except (pa.ArrowException, UnicodeError, csv.Error, OSError) as error:  # nothing is read here
        raise NoTable(f"it cannot be read ({_first_line(error)})") from None
    if not table.rows.num_rows:
        raise NoTable("it has no rows")
    if table.rows.num_columns > MOST_COLUMNS:
        kept = table.rows.select(range(MOST_COLUMNS))
        more = table.rows.num_columns - MOST_COLUMNS
        note = f"the first {grouped(MOST_COLUMNS)} of its columns were read, not the {more} others"
        table = Table(kept, table.unnamed, (*table.notes, note))
    return table


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


# --- comma-separated values -----------------------------------------------------------------------


@dataclass
class _RaggedRows:
    """Rows with another number of fields than the head: short ones are filled up, as spreadsheets
    leave empty cells out at the end; of long ones nobody knows which field is too many."""

    names: Sequence[str]
    delimiter: str
    short: list[list[str | None]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def take(self, row: Any) -> str:
        """What pyarrow calls with each; it goes on without the row."""
        values: list[str | None] = list(next(csv.reader([row.text], delimiter=self.delimiter), []))
        while len(values) > len(self.names) and not values[-1]:
            values.pop()
        kind = "long" if len(values) > len(self.names) else "short"
        if kind == "short":
            self.short.append([*values, *[None] * (len(self.names) - len(values))])
        if row.actual_columns < len(self.names) or kind == "long":
            self.counts[kind] = self.counts.get(kind, 0) + 1
            self.examples.setdefault(kind, row.text.splitlines()[0][:80] if row.text else "")
        return "skip"

    def notes(self) -> Iterator[str]:
        for kind, said in (
            ("short", "fewer fields than its head, and the missing ones count as empty"),
            ("long", "more fields than its head, and were left out"),
        ):
            if count := self.counts.get(kind, 0):
                rows = "1 row has" if count == 1 else f"{grouped(count)} rows have"
                said = said.replace("and were", "and was") if count == 1 else said
                yield f"{rows} {said} (such as “{self.examples[kind]}”)"


def _read_csv(data: bytes, is_name: IsName) -> Table:
    """Values separated by whatever separates them alike in most lines."""
    import pyarrow as pa
    from pyarrow import csv as arrow

    data, notes = _as_utf8(data)
    delimiter, data = _declared(data)
    # An odd number of quotes is none that encloses: it would swallow all rows up to the next one.
    quoted = data.count(b'"') % 2 == 0
    head = _head(data, quoted)
    delimiter = delimiter or _delimiter(head, quoted)
    first = next((row for row in _parsed(head, delimiter, quoted) if any(row)), [])
    if not first:
        raise NoTable("it is empty")
    has_head = not any(is_name(value) for value in first)
    names, unnamed = _column_names(first if has_head else [""] * len(first))
    ragged = _RaggedRows(names, delimiter)
    rows = arrow.read_csv(
        pa.BufferReader(data),
        arrow.ReadOptions(
            column_names=names, skip_rows_after_names=int(has_head), block_size=1 << 24
        ),
        arrow.ParseOptions(
            delimiter=delimiter,
            quote_char='"' if quoted else False,
            newlines_in_values=quoted,
            invalid_row_handler=ragged.take,
        ),
        arrow.ConvertOptions(
            column_types={name: pa.string() for name in names},
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    if ragged.short:
        more = dict(zip(names, zip(*ragged.short, strict=True), strict=True))
        rows = pa.concat_tables([rows, _texts(more)])
    if delimiter != ",":
        rows = _with_points(rows)
    return Table(rows, unnamed, (*notes, *ragged.notes()))


def _as_utf8(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The text as UTF-8 without a mark at its beginning, and what it was taken for where that is
    a guess."""
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding, "replace").encode(), ()
    try:
        data.decode("utf-8")
        return data, ()
    except UnicodeDecodeError:
        pass
    try:
        text, name = data.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        text, name = data.decode("latin-1"), "Latin-1"
    return text.encode(), (f"it is not in UTF-8 and was read as {name}; save it as UTF-8 if names "
                           "look wrong",)  # fmt: skip


def _declared(data: bytes) -> tuple[str, bytes]:
    """The delimiter that a first line such as `sep=;` names, "" without one; and the rest."""
    line, _, rest = data.partition(b"\n")
    told = line.strip().decode("utf-8", "replace")
    if told.lower().startswith("sep=") and len(told) == 5:
        return told[4], rest
    return "", data


def _head(data: bytes, quoted: bool) -> str:
    """The first whole lines."""
    text = data[:HEAD].decode("utf-8", "ignore")
    if len(data) > HEAD and "\n" in text:
        text = text[: text.rindex("\n")]
        if quoted and text.count('"') % 2:  # the last value goes on
            text = text[: text.rindex('"')].rpartition("\n")[0] or text
    return text


def _parsed(text: str, delimiter: str, quoted: bool) -> Iterator[list[str]]:
    lines = io.StringIO(text, newline="")
    if quoted:
        return csv.reader(lines, delimiter=delimiter)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)


def _delimiter(head: str, quoted: bool) -> str:
    """What parts most lines into as many fields as the first, and into the most of them."""

    def fit(delimiter: str) -> tuple[bool, float, int]:
        lengths = [len(row) for row in _parsed(head, delimiter, quoted) if row]
        fields = lengths[0] if lengths else 0
        alike = sum(length == fields for length in lengths) / max(1, len(lengths))
        return fields > 1, round(alike, 1), fields

    return max(DELIMITERS, key=fit)


def _column_names(first: Sequence[str]) -> tuple[list[str], frozenset[str]]:
    """A name for each column, all different, and those that have none of their own."""
    names: list[str] = []
    unnamed = set()
    for i, each in enumerate(first, 1):
        told = " ".join(each.split())
        name = told or f"column {i}"
        repeats = 2
        while name in names:
            name, repeats = f"{told or 'column'} ({repeats})", repeats + 1
        names.append(name)
        if not told or told.lower().startswith("unnamed: "):
            unnamed.add(name)
    return names, frozenset(unnamed)


def _with_points(rows: pa.Table) -> pa.Table:
    """Numbers such as 3,14 as 3.14, in a column where all of them are so written: tables whose
    delimiter is no comma come from where the comma is decimal."""
    import pyarrow.compute as pc

    for i, name in enumerate(rows.column_names):
        column = rows.column(i)
        plain = pc.match_substring_regex(column, r"^\s*[+-]?\d+(,\d+)?\s*$")
        if pc.all(plain).as_py() and pc.any(pc.match_substring(column, ",")).as_py():
            rows = rows.set_column(i, name, pc.replace_substring(column, ",", "."))
    return rows


def _texts(columns: Mapping[str, Iterable[str | None]]) -> pa.Table:
    import pyarrow as pa

    return pa.table({name: pa.array(list(each), pa.string()) for name, each in columns.items()})


# --- lines of JSON --------------------------------------------------------------------------------


def _read_json_lines(data: bytes, is_name: IsName) -> Table:
    """An object a line, as `metadata.jsonl` of the Hugging Face hub."""
    import pyarrow as pa

    data, notes = _as_utf8(data)
    pieces, wrong, example, number = [], 0, "", 0
    lines = io.BytesIO(data)
    while chunk := [line for _, line in zip(range(LINES_AT_ONCE), lines, strict=False)]:
        records = []
        for line in chunk:
            number += 1
            record = _record(line)
            if record is not None:
                records.append(record)
            elif line.strip():
                wrong, example = wrong + 1, example or f"line {number}"
        if records:
            pieces.append(_from_records(records))
    if wrong:
        lines_are = (
            "1 line is no object" if wrong == 1 else f"{grouped(wrong)} lines are no objects"
        )
        notes = (*notes, f"{lines_are} in JSON and left out (such as {example})")
    if not pieces:
        raise NoTable("it has no rows")
    return Table(pa.concat_tables(pieces, promote_options="default"), notes=notes)


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _from_records(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Objects as rows; the values of an object within are columns of their own."""
    columns: dict[str, list[str | None]] = {}
    for i, record in enumerate(records):
        for name, value in _flat(record):
            if name not in columns:
                if len(columns) > MOST_COLUMNS:
                    continue
                columns[name] = [None] * len(records)
            columns[name][i] = _as_text(value)
    return _texts(columns)


def _flat(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", each) for inner, each in value.items())
        else:
            yield name, value


def _as_text(value: Any) -> str | None:
    """A value as CSV would have it; a list as its values between `LIST_MARK`s; None for what is
    more than that."""
    match value:
        case str():
            return value or None
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case list() if all(isinstance(each, str | bool | int | float) for each in value):
            return LIST_MARK.join(_as_text(each) or "" for each in value) or None
    return None


# --- Parquet --------------------------------------------------------------------------------------


def _read_parquet(data: bytes, is_name: IsName) -> Table:
    """Columns of numbers, texts, dates and lists of these; others are named in a note."""
    import pyarrow as pa
    from pyarrow import parquet

    file = parquet.ParquetFile(pa.BufferReader(data))
    about = file.metadata
    told = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    if about.num_rows > MOST_ROWS or told > MOST_UNPACKED:
        raise NoTable(f"it has {grouped(about.num_rows)} rows, more than tables of images have")
    schema = file.schema_arrow
    wanted = [each.name for each in schema if _is_plain(each.type)]
    others = [name for name in schema.names if name not in wanted]
    pieces, taken = [], 0
    for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=wanted[: MOST_COLUMNS + 1]):
        pieces.append(pa.Table.from_batches([batch]))
        taken += batch.nbytes
        if taken > MOST_UNPACKED:  # whatever it says of itself
            raise NoTable("it unpacks to more than tables of images do")
    rows = pa.concat_tables(pieces) if pieces else pa.table({})
    named = _class_names(schema.metadata)
    columns = {n: _column_of_texts(rows.column(n), named.get(n, ())) for n in rows.column_names}
    listed = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if others[5:] else "")
    notes = (f"columns of other things than numbers and texts were left out ({listed})",)
    return Table(pa.table(columns), notes=notes if others else ())


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _is_plain(kind.value_type) and not types.is_nested(kind.value_type)
    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    texts = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    dates = types.is_timestamp(kind) or types.is_date(kind)
    return bool(texts or dates or types.is_integer(kind) or types.is_floating(kind)
                or types.is_decimal(kind) or types.is_boolean(kind))  # fmt: skip


def _column_of_texts(column: Any, names: Sequence[str]) -> Any:
    """A column as texts; numbers of classes as their names."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    kind = column.type
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.array((_as_text(each) for each in column.to_pylist()), pa.string())
    if names and types.is_integer(kind):
        return pa.array(
            (names[i] if i is not None and 0 <= i < len(names) else None
             for i in column.to_pylist()), pa.string()
        )  # fmt: skip
    return pc.cast(column, pa.string())


def _class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """What the numbers of classes stand for, as the datasets of the Hugging Face hub say it."""
    try:
        told = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: [str(each) for each in about["names"]]
            for name, about in told.items()
            if isinstance(about, dict) and about.get("_type") == "ClassLabel" and "names" in about
        }
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}


# --- columns of a text ----------------------------------------------------------------------------


def _read_text(data: bytes, is_name: IsName) -> Table:
    """What spaces part, as `list_attr_celeba.txt`: it begins with the number of its rows, and its
    head leaves out the column of the names."""
    data, notes = _as_utf8(data)
    first, _, rest = data.lstrip().partition(b"\n")
    data = rest if first.strip().isdigit() else data
    if not any(mark in _head(data, False).partition("\n")[0] for mark in DELIMITERS):
        data = re.sub(rb" *(\r?\n) *", rb"\1", re.sub(rb" {2,}", b" ", data.strip(b" ")))
        data = data.replace(b" ", b"\t")
        head, row = [line.count("\t") for line in (*_head(data, False).splitlines(), "", "")[:2]]
        data = b"\t" + data if head + 1 == row else data
    table = _read_csv(data, is_name)
    return Table(table.rows, table.unnamed, (*notes, *table.notes))


READERS: dict[str, Callable[[bytes, IsName], Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".txt": _read_text,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}
"""By the extension of a file."""
