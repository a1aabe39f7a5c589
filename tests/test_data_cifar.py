"""CIFAR-10's own pickles, published or not, and idx files as people have them."""

from __future__ import annotations

import gzip
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures import lay_out
from tests.test_data_sets import everything, idx_files, load
from vae_core.data.plain_pickle import Damaged, Refused, load_plain
from vae_core.errors import UserError

BATCHES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
FOLDER = "cifar-10-batches-py"


def batch(seed: int, count: int = 10) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
    return {"data": pixels, "labels": [i % 10 for i in range(count)]}


def batches(write: Callable[[Any], bytes] = pickle.dumps) -> dict[str, bytes]:
    return {name: write(batch(i)) for i, name in enumerate(BATCHES)}


def python_2(values: dict[str, Any]) -> bytes:
    """As the published files were written: Python 2, protocol 2, text for text and for bytes."""

    def text(data: bytes) -> bytes:
        return b"T" + len(data).to_bytes(4, "little") + data

    pixels = values["data"]
    shape = b"".join(b"M" + n.to_bytes(2, "little") for n in pixels.shape) + b"\x86"
    kind = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R"
    kind += b"(K\x03" + text(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b")
    array += b"\x87R(K\x01" + shape + kind + b"\x89" + text(pixels.tobytes()) + b"tb"
    labels = b"](" + b"".join(b"K" + bytes([n]) for n in values["labels"]) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + labels + b"u."


WRITERS: dict[str, Callable[[Any], bytes]] = {
    "python 2": python_2,
    "bytes as keys": lambda b: pickle.dumps({key.encode(): value for key, value in b.items()}),
    "labels as an array": lambda b: pickle.dumps(b | {"labels": np.array(b["labels"])}),
    "labels as numpy's numbers": lambda b: pickle.dumps(
        b | {"labels": [np.int64(n) for n in b["labels"]]}
    ),
    "column by column": lambda b: pickle.dumps(b | {"data": np.asfortranarray(b["data"])}),
} | {f"protocol {p}": lambda b, p=p: pickle.dumps(b, protocol=p) for p in range(6)}


LAUGHS: list = []
for _ in range(40):  # in a file of 200 bytes
    LAUGHS = [LAUGHS, LAUGHS]


@pytest.mark.parametrize("written", WRITERS)
@pytest.mark.parametrize("named", [".", FOLDER])
def test_own_pickles_load_with_a_note(tmp_path: Path, written: str, named: str) -> None:
    lay_out(tmp_path / FOLDER, batches(WRITERS[written]))
    dataset = load("cifar10", tmp_path / named, validation_fraction=0.2)
    assert (len(dataset.train), len(dataset.validation)) == (40, 10)
    assert dataset.test is not None and dataset.test.labels is not None
    assert (everything(dataset.test).reshape(10, 3072) == batch(5)["data"]).all()
    assert dataset.test.labels.tolist() == batch(5)["labels"]
    assert dataset.notes == (
        f"The files in {tmp_path / FOLDER} are not the published ones: other checksums "
        f"({', '.join(BATCHES)}).",
        f"There are 50 training and 10 test images in {tmp_path / FOLDER}; published are "
        "50000 training and 10000 test images.",
    )


def test_pickles_under_another_name_are_found_where_they_are_named(tmp_path: Path) -> None:
    lay_out(tmp_path / "mine", batches())
    assert len(load("cifar10", tmp_path / "mine").train) == 40


class Program:
    """What a hostile file would hold."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, exec, os.remove, np.fromfile, getattr])
def test_a_pickle_that_would_run_is_refused(tmp_path: Path, protocol: int, function: Any) -> None:
    path = tmp_path / "witness"
    path.write_text("")
    arguments = {os.system: f"rm {path}", os.remove: str(path)}.get(function, f"1/0 # {path}")
    data = pickle.dumps(batch(0) | {"more": Program(function, arguments)}, protocol=protocol)
    with pytest.raises(Refused, match=function.__name__):
        load_plain(io.BytesIO(data))
    lay_out(tmp_path / FOLDER, batches() | {"data_batch_3": data})
    with pytest.raises(UserError, match=r"data_batch_3 was refused: it asks for .* Remove it\."):
        load("cifar10", tmp_path)
    assert path.exists()


def test_arrays_of_objects_are_refused() -> None:
    for hostile in (np.array([{}], object), np.zeros(2, [("a", "u1"), ("b", "O")])):
        with pytest.raises(Refused, match="an array of"):
            load_plain(io.BytesIO(pickle.dumps(hostile)))


def test_a_forged_type_or_size_reads_no_memory() -> None:
    """numpy's own `__setstate__` is never called, so its state cannot be forged."""
    made = pickle.dumps(np.zeros(6, np.uint8), protocol=2)
    with pytest.raises(Damaged):
        load_plain(io.BytesIO(made.replace(b"K\x06\x85", b"K\xff\x85")))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_told(data: bytes) -> None:
    try:
        load_plain(io.BytesIO(data))
    except (Damaged, Refused) as error:
        assert str(error)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"data_batch_2": None}, "data_batch_2 is missing"),
        ({"data_batch_2": b"cut"}, "data_batch_2 is damaged: "),
        ({"test_batch": pickle.dumps(batch(0))[:900]}, "test_batch is damaged: "),
        ({"test_batch": pickle.dumps([1])}, "test_batch holds no dictionary"),
        (
            {"test_batch": pickle.dumps(batch(0) | {"data": LAUGHS})},
            "test_batch holds lists of lists",
        ),
        ({"test_batch": pickle.dumps({"data": 1})}, "test_batch lacks data or labels"),
        (
            {"test_batch": pickle.dumps(batch(0) | {"labels": [1, 2]})},
            "test_batch has 10 images and 2 labels",
        ),
        (
            {"test_batch": pickle.dumps(batch(0) | {"labels": [99] * 10})},
            "test_batch has labels other than 0 to 9",
        ),
        (
            {"test_batch": pickle.dumps(batch(0) | {"data": np.zeros((10, 3072))})},
            "test_batch holds float64 pixels",
        ),
        (
            {"test_batch": pickle.dumps(batch(0) | {"data": np.zeros((10, 784), np.uint8)})},
            "test_batch holds no images of 3072 numbers each",
        ),
    ],
)
def test_bad_batches_are_told_in_a_sentence_and_kept(
    tmp_path: Path, files: dict[str, bytes | None], sentence: str
) -> None:
    kept = {name: data for name, data in (batches() | files).items() if data is not None}
    lay_out(tmp_path / FOLDER, kept)
    with pytest.raises(UserError, match=r"The files of CIFAR-10 in .* cannot be read: ") as told:
        load("cifar10", tmp_path)
    assert sentence in str(told.value)
    assert {path.name: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()} == kept


# --- idx files -------------------------------------------------------------------------------


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("place", ["MNIST/raw", "MNIST", "."])
def test_idx_files_as_people_have_them(
    tmp_path: Path, dotted: bool, zipped: bool, place: str
) -> None:
    """Gzipped as they are fetched by hand, with a dot as some archives have it, in any place."""
    files = {
        (name.replace("-idx", ".idx") if dotted else name) + (".gz" if zipped else ""): (
            gzip.compress(data) if zipped else data
        )
        for name, data in idx_files().items()
    }
    lay_out(tmp_path / place, files)
    dataset = load("mnist", tmp_path, validation_fraction=0.25)
    assert (len(dataset.train), len(dataset.validation)) == (30, 10)
    assert ("other checksums" in dataset.notes[0]) == zipped
    assert dataset.notes[-1].startswith("There are 40 training and 20 test images in ")
    assert len(list((tmp_path / place).iterdir())) == 4


def test_published_archives_are_not_complained_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    files = {f"{name}.gz": gzip.compress(data) for name, data in idx_files().items()}
    lay_out(tmp_path / "MNIST" / "raw", files)
    sums = [(name, hashlib.md5(data).hexdigest()) for name, data in files.items()]
    monkeypatch.setattr("torchvision.datasets.MNIST.resources", sums)
    assert not any("checksums" in note for note in load("mnist", tmp_path).notes)


@pytest.mark.parametrize("broken", [b"", b"\x1f\x8b cut", gzip.compress(b"not idx", mtime=0)])
def test_a_damaged_archive_is_told(tmp_path: Path, broken: bytes) -> None:
    files = {f"{name}.gz": gzip.compress(data) for name, data in idx_files().items()}
    lay_out(tmp_path / "MNIST" / "raw", files | {"train-images-idx3-ubyte.gz": broken})
    with pytest.raises(UserError, match=r"files of MNIST in .* cannot be read: train-images"):
        load("mnist", tmp_path)
