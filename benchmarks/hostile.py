"""Ways in which a stranger's run folder may be spoilt, drawn by hypothesis."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import socket
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from PIL import Image

GIANT = 3 * 10**9

VALUES: tuple[str, ...] = (
    "null", "true", "-1", "0", "1e308", "1e400", "-1e400", "NaN", "Infinity", "1" * 30, "9" * 5000,
    '""', '"x"', '"' + "é" * 20_000 + '"', "[]", "{}", "[1,2]", '{"started": 5}', "[1000000000]",
    "[1000000000,1000000000]", "[3,100000,100000]", "[1,16,16]", "[1e400]", '["a","b"]',
    "65536", "2147483648", "9223372036854775808", '"../../etc/passwd"', '"![](http://a.b/c.png)"',
    "[" * 200 + "]" * 200, '{"a":' * 900 + "1" + "}" * 900, "[" * 100_000, '"\\ud800"',
    "[" + ",".join("0" * 50_000) + "]",
)  # fmt: skip
"""JSON, or nearly, put in the place of a value."""


@dataclass(frozen=True)
class Mutation:
    """What is done to which file; `apply` does it."""

    file: str
    how: str
    where: float
    value: int

    def __str__(self) -> str:
        return f"{self.file}: {self.how} ({self.where:.3f}, {self.value})"

    def apply(self, run: Path) -> None:
        """Spoil the file in the run folder."""
        HOW[self.how](run / self.file, self)


HOW: dict[str, Callable[[Path, Mutation], None]] = {}


def _way(does: Callable[[Path, Mutation], None]) -> Callable[[Path, Mutation], None]:
    HOW[does.__name__.strip("_")] = does
    return does


def mutations(files: list[str]) -> st.SearchStrategy[Mutation]:
    """Every way of spoiling every one of these files of a run."""

    def of(file: str) -> st.SearchStrategy[Mutation]:
        kind = Path(file).suffix
        ways = [*ANY, *BY_KIND.get(kind, ())]
        where = st.floats(0, 1, exclude_max=True)
        value = st.integers(0, len(VALUES) - 1)
        return st.builds(Mutation, st.just(file), st.sampled_from(ways), where, value)

    return st.sampled_from(files).flatmap(of)


# --- of any file ---------------------------------------------------------------------------------


@_way
def truncate(path: Path, mutation: Mutation) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * mutation.where)])


@_way
def flip_bytes(path: Path, mutation: Mutation) -> None:
    data = bytearray(path.read_bytes())
    at = int(len(data) * mutation.where)
    data[at : at + 8] = bytes((mutation.value * 37 + i * 91) % 256 for i in range(8))
    path.write_bytes(data)


@_way
def remove(path: Path, mutation: Mutation) -> None:
    path.unlink()


@_way
def link(path: Path, mutation: Mutation) -> None:
    targets = ("/etc/passwd", "/dev/zero", "/nowhere", "/proc/self/mem", "/", "config.json")
    path.unlink()
    path.symlink_to(targets[mutation.value % len(targets)])


@_way
def pipe(path: Path, mutation: Mutation) -> None:
    path.unlink()
    os.mkfifo(path)


@_way
def device(path: Path, mutation: Mutation) -> None:
    path.unlink()
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero
    except OSError:  # not everybody may make one
        path.symlink_to("/dev/zero")


@_way
def unix_socket(path: Path, mutation: Mutation) -> None:
    path.unlink()
    place = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(f"/proc/self/fd/{place}/{path.name}")  # a long path fits no socket's name
    finally:
        os.close(place)


@_way
def folder(path: Path, mutation: Mutation) -> None:
    path.unlink()
    path.mkdir()


@_way
def giant(path: Path, mutation: Mutation) -> None:
    os.truncate(path, GIANT)


@_way
def parent_link(path: Path, mutation: Mutation) -> None:
    """The folder that the file lies in becomes a link to a copy of it elsewhere."""
    moved = path.parent.with_name(f"{path.parent.name}.moved")
    if path.parent.parent.name == ".store":
        moved = path.parent.parent.with_name(moved.name)
    path.parent.rename(moved)
    path.parent.symlink_to(moved)


# --- of JSON and records -------------------------------------------------------------------------


@_way
def whole_value(path: Path, mutation: Mutation) -> None:
    path.write_bytes(VALUES[mutation.value].encode())


@_way
def one_value(path: Path, mutation: Mutation) -> None:
    path.write_text(_spoilt(path.read_text(), mutation))


@_way
def one_key(path: Path, mutation: Mutation) -> None:
    values = json.loads(path.read_text())
    values[f"of_later_{mutation.value}"] = "?"
    path.write_text(json.dumps(values).replace('"?"', VALUES[mutation.value]))


@_way
def long_text(path: Path, mutation: Mutation) -> None:
    """A sentence of 80 MB."""
    values = json.loads(path.read_text())
    values["message"] = "x" * 80_000_000
    path.write_text(json.dumps(values))


@_way
def one_record(path: Path, mutation: Mutation) -> None:
    lines = path.read_text().splitlines()
    at = int(len(lines) * mutation.where)
    lines[at] = _spoilt(lines[at], mutation)
    path.write_text("\n".join(lines) + "\n")


@_way
def odd_lines(path: Path, mutation: Mutation) -> None:
    odd = [f'{{"kind":{kind},"step":{value},"terms":{value},"value":{value},"name":{value},'
           f'"kl_per_dim":{value},"weights":{value},"message":{value},"images":{value}}}'
           for kind in ('"step"', '"validation"', '"set"', '"preview"', '"note"', "[]")
           for value in VALUES]  # fmt: skip
    with path.open("a") as file:
        file.write("\n".join(odd) + "\n")


@_way
def many_records(path: Path, mutation: Mutation) -> None:
    """300 MB of honest or of unheard of records."""
    lines = path.read_text().splitlines()
    line = lines[int(len(lines) * mutation.where)] if mutation.value % 2 else (
        '{"kind":"set","step":1,"value":1.0,"name":"beta"}'
    )  # fmt: skip
    block = "".join(line.replace('"step":', f'"step":{n}', 1) + "\n" for n in range(10_000))
    with path.open("a") as file:
        while file.tell() < 3 * 10**8:
            file.write(block)


@_way
def long_line(path: Path, mutation: Mutation) -> None:
    with path.open("a") as file:
        file.write('{"kind":"step","step":1,"terms":{"recon":' + "1" * 50_000_000 + "}}\n")


def _spoilt(text: str, mutation: Mutation) -> str:
    """JSON with one of its values, however deep it lies, replaced."""
    values = json.loads(text)
    places = list(_places(values))
    holder, key = places[int(len(places) * mutation.where)]
    holder[key] = "\0"
    return json.dumps(values).replace('"\\u0000"', VALUES[mutation.value])


def _places(value: Any) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


# --- of tensors ----------------------------------------------------------------------------------


@_way
def promise(path: Path, mutation: Mutation) -> None:
    """A head that promises something else of the same data."""
    head, data = _split(path)
    names = [name for name in head if name != "__metadata__"]
    if not names:
        return
    spec = head[names[int(len(names) * mutation.where)]]
    changes: tuple[dict[str, Any], ...] = (
        {"dtype": "F64"}, {"dtype": "I32"}, {"dtype": "U8"}, {"dtype": 5}, {"shape": [2**62, 4]},
        {"shape": [-1]}, {"shape": [math.prod(spec["shape"])]}, {"shape": "x"}, {"shape": []},
        {"data_offsets": [0, 2**60]}, {"data_offsets": [0]}, {"data_offsets": None},
        {"shape": [1] * 300}, {"shape": [0]}, {"shape": [*spec["shape"], 1]},
    )  # fmt: skip
    spec.update(changes[mutation.value % len(changes)])
    _join(path, head, data)


@_way
def metadata(path: Path, mutation: Mutation) -> None:
    head, data = _split(path)
    told = head.setdefault("__metadata__", {"step": "1"})
    keys = [*told, "step"]
    told[keys[int(len(keys) * mutation.where)]] = VALUES[mutation.value]
    _join(path, head, data)


@_way
def sparse_tensor(path: Path, mutation: Mutation) -> None:
    """A head that is right about 3 GB of nothing: the last tensor, or one row of each, grown."""
    head, data = _split(path)
    last = max((n for n in head if n != "__metadata__"), key=lambda n: head[n]["data_offsets"][1])
    spec = head[last]
    start, end = spec["data_offsets"]
    rest = math.prod(spec["shape"][1:]) or 1
    item = (end - start) // max(1, math.prod(spec["shape"])) or 8
    rows = GIANT // (rest * item)
    spec["shape"] = [rows, *spec["shape"][1:]]
    spec["data_offsets"] = [start, start + rows * rest * item]
    _join(path, head, data[:start])
    os.truncate(path, path.stat().st_size + rows * rest * item)


@_way
def long_head(path: Path, mutation: Mutation) -> None:
    data = path.read_bytes()
    lengths = (2**63, 2**40, 10**8, 3, 0)
    path.write_bytes(lengths[mutation.value % len(lengths)].to_bytes(8, "little") + data[8:])


def _split(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _join(path: Path, head: dict[str, Any], data: bytes) -> None:
    text = json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


# --- of pictures ---------------------------------------------------------------------------------


@_way
def huge_picture(path: Path, mutation: Mutation) -> None:
    """30 000 × 30 000 pixels in a file of 110 kB."""
    path.write_bytes(_huge())


@_way
def other_picture(path: Path, mutation: Mutation) -> None:
    buffer = io.BytesIO()
    kinds = ("GIF", "JPEG", "TIFF", "BMP", "PPM")
    Image.new("L", (8, 8)).save(buffer, kinds[mutation.value % len(kinds)])
    path.write_bytes(buffer.getvalue())


@_way
def wrong_size(path: Path, mutation: Mutation) -> None:
    data = bytearray(path.read_bytes())
    sides = ((0, 0), (2**31 - 1, 2**31 - 1), (1, 1), (5000, 5000), (33, 7))
    width, height = sides[mutation.value % len(sides)]
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(data)


@cache
def _huge() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(buffer, "PNG")
    return buffer.getvalue()


ANY = ("truncate", "flip_bytes", "remove", "link", "pipe", "device", "unix_socket", "folder",
       "giant", "parent_link")  # fmt: skip
BY_KIND: dict[str, tuple[str, ...]] = {
    ".json": ("whole_value", "one_value", "one_value", "one_value", "one_value", "one_key",
              "long_text"),
    ".jsonl": ("whole_value", "one_record", "one_record", "odd_lines", "many_records",
               "long_line"),
    ".safetensors": ("promise", "promise", "metadata", "sparse_tensor", "long_head"),
    ".png": ("huge_picture", "other_picture", "wrong_size"),
}  # fmt: skip


def copied(run: Path, place: Path) -> Path:
    """A copy of a good run in a store of its own, beside a second one called "good" and the sweeps
    of its store."""
    store = place / ".store"
    shutil.copytree(run, store / "mutant")
    shutil.copytree(run, store / "good")
    if (sweeps := run.parent / ".sweeps").is_dir():
        shutil.copytree(sweeps, store / ".sweeps")
    return store
