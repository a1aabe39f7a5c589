"""What is known of images beside their label goes with them: through parts, files and surveys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from vae_core.config import DataConfig
from vae_core.data import ArrayImages, ImageSet
from vae_core.data.columns import (
    Columns,
    as_numbers,
    attribute_names,
    equal,
    joined,
    kind_of,
    known,
    rows_of,
)
from vae_core.data.images import subset
from vae_core.data.split_record import record_splits, restore_splits
from vae_core.data.splits import split_dataset
from vae_core.latent.stored_names import files_of, packed, read_columns, stored_columns
from vae_core.runs import Tensors

COLUMNS: Columns = {
    "age": np.array([3.5, np.nan, 7.0]),
    "taken": np.array(["2024-01-02", "NaT", "1969-12-31T23:59:59"], "M8[s]"),
    "smiles": np.array([1, 0, -1], np.int8),
    "place": np.array(["Bergün", "", "Ålesund 🐟"], "O"),
}


def opened(data: bytes, path: Path) -> Tensors:
    path.write_bytes(data)
    return Tensors(path.open("rb"))


def test_an_array_says_what_its_values_are() -> None:
    kinds = [kind_of(column) for column in COLUMNS.values()]
    assert kinds == ["number", "date", "attribute", "text"]
    assert [known(column).tolist() for column in COLUMNS.values()] == [
        [True, False, True], [True, False, True], [True, True, False], [True, False, True],
    ]  # fmt: skip
    assert attribute_names(COLUMNS) == ("smiles",)
    assert as_numbers(COLUMNS["taken"])[[0, 2]].tolist() == [1704153600.0, -1.0]
    assert np.isnan(as_numbers(COLUMNS["taken"])[1]) and np.isnan(as_numbers(COLUMNS["smiles"])[2])
    with pytest.raises(TypeError):
        as_numbers(COLUMNS["place"])


def test_what_one_set_does_not_know_is_not_known_of_its_images() -> None:
    both = joined([(COLUMNS, 3), ({"age": np.array([1.0]), "place": np.array([4.0])}, 1), ({}, 2)])
    assert {name: len(column) for name, column in both.items()} == dict.fromkeys(COLUMNS, 6)
    assert known(both["age"]).tolist() == [True, False, True, True, False, False]
    assert both["place"][3:].tolist() == ["", "", ""] and (both["smiles"][3:] == -1).all()
    assert np.isnat(both["taken"][3:]).all()


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)


@given(st.lists(TEXT, max_size=8))
def test_texts_are_read_as_they_were_stored(tmp_path_factory, texts: list[str]) -> None:
    columns = {"x": np.array(texts, "O").reshape(len(texts)), "y": np.zeros(len(texts))}
    arrays, told = stored_columns(columns)
    path = tmp_path_factory.mktemp("stored") / "x"
    found = read_columns(opened(save(arrays, {"columns": told}), path), len(texts))
    assert equal(found, columns)


def test_columns_and_names_are_read_as_they_were_stored(tmp_path: Path) -> None:
    arrays, told = stored_columns(COLUMNS)
    names = ("a/ü.png", "b\udcff.png", "c" * 300)
    data = save(arrays | {"files": packed(names)}, {"columns": told})
    file = opened(data, tmp_path / "x")
    assert equal(read_columns(file, 3), COLUMNS) and files_of(file, 3) == names
    assert files_of(file, 4) == ()
    for damaged in ("{}", '[["age", "pickle"]]', '[["age"]]', "[" * 100_000, '[["no", "text"]]'):
        with pytest.raises(ValueError):
            read_columns(opened(save(arrays, {"columns": damaged}), tmp_path / "y"), 3)
    wrong = {**arrays, "column.3": np.array([0, 1, 99], np.int32)}
    with pytest.raises(ValueError, match="is not there"):
        read_columns(opened(save(wrong, {"columns": told}), tmp_path / "z"), 3)


def test_columns_follow_their_images_into_parts_and_out_of_a_record() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 1, 4, 4)).astype(np.uint8)
    number = np.arange(40.0)
    pool = ImageSet(ArrayImages(pixels), columns={"n": number}, files=tuple(map(str, range(40))))
    dataset = split_dataset("x", pool, None, DataConfig(validation_fraction=0.3))
    mixed = split_dataset("x", subset(pool, np.arange(40)[::-1]), None, DataConfig())
    restored = restore_splits(mixed, record_splits(dataset))
    for each in (dataset, restored):
        for part in each.parts.values():
            assert len(part) > 2
            assert [str(int(n)) for n in part.columns["n"]] == list(part.files)
            first = part.images.gather(np.arange(len(part)))
            assert (first == pixels[part.columns["n"].astype(int)]).all()
    assert equal(
        rows_of(dataset.train.columns, np.array([1])), {"n": dataset.train.columns["n"][1:2]}
    )
