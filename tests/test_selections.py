"""Images that somebody chose: kept under a name, and what a run learns from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.commands import vae_core
from tests.engine import trained
from tests.surveys import constructed
from vae_core.analysis import survey_hashes, survey_of
from vae_core.config import DataConfig
from vae_core.data import ArrayImages, Dataset, ImageSet
from vae_core.data.restricted import restricted
from vae_core.data.splits import split_dataset
from vae_core.errors import UserError
from vae_core.run_data import dataset_of, recorded_by
from vae_core.runs import Run, Store
from vae_core.runs.layout import SAVED_SELECTIONS, SELECTION
from vae_core.selections import (
    COMBINATIONS,
    find_selection,
    forget_selection,
    keep_selections,
    load_selections,
    reference,
    rename_selection,
    save_selection,
)

SOME = np.array([7, 3, 2**63 + 1, 3], np.uint64)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "kept").mkdir()
    return Run(tmp_path / "kept")


def test_there_and_back_renamed_removed_and_brought_back(run: Run) -> None:
    assert load_selections(run) == ()
    save_selection(run, " cats ", "train", SOME)
    save_selection(run, "dogs 🐕", "validation", SOME[:1])
    cats, dogs = load_selections(run)
    assert (cats.name, cats.split, len(cats)) == ("cats", "train", 3)
    np.testing.assert_array_equal(cats.hashes, np.array([3, 7, 2**63 + 1], np.uint64))
    np.testing.assert_array_equal(cats.rows(np.array([9, 7, 3, 7], np.uint64)), [1, 2, 3])
    assert dogs.name == "dogs 🐕" and reference(run, dogs.name) == "dogs 🐕@kept"
    rename_selection(run, "cats", "felines")
    before = forget_selection(run, "felines")
    assert [each.name for each in load_selections(run)] == ["dogs 🐕"]
    keep_selections(run, before)
    assert [each.name for each in load_selections(run)] == ["felines", "dogs 🐕"]
    np.testing.assert_array_equal(find_selection(run, "felines").hashes, cats.hashes)


@pytest.mark.parametrize("name", ["", " ", "x" * 61, "known", "two\nlines"])
def test_names_that_cannot_be(run: Run, name: str) -> None:
    save_selection(run, "known", "train", SOME)
    with pytest.raises(UserError, match=r"1 to 60 characters|already"):
        save_selection(run, name, "train", SOME)
    save_selection(run, "other", "train", SOME)
    with pytest.raises(UserError, match=r"1 to 60 characters|already"):
        rename_selection(run, "other", name)
    assert [each.name for each in load_selections(run)] == ["known", "other"]


def test_what_is_not_there_or_damaged_is_said(run: Run) -> None:
    with pytest.raises(UserError, match="no image"):
        save_selection(run, "empty", "train", SOME[:0])
    with pytest.raises(UserError, match="no selection 'cats'; there is none"):
        find_selection(run, "cats")
    for text in (
        "nonsense",
        '{"selections": [{"name": "a", "hashes": "AAA"}]}',
        '{"selections": 3}',
    ):
        run.file(SAVED_SELECTIONS).write_text(text)
        with pytest.raises(UserError, match="Remove the file to save selections again"):
            load_selections(run)


def test_two_selections_become_one() -> None:
    a, b = np.array([1, 2, 3], np.uint64), np.array([2, 3, 4], np.uint64)
    made = {name: combine(a, b).tolist() for name, combine in COMBINATIONS.items()}
    assert made == {"union": [1, 2, 3, 4], "intersection": [2, 3], "difference": [1]}
    assert all(combine(a, b).dtype == np.uint64 for combine in COMBINATIONS.values())


def test_a_survey_that_does_not_know_its_images_cannot_be_chosen_from(run: Run) -> None:
    known = constructed(np.zeros((2, 3)), hashes=SOME[:2])
    np.testing.assert_array_equal(survey_hashes(run, known), SOME[:2])
    with pytest.raises(UserError, match="did not record which its images are"):
        survey_hashes(run, constructed(np.zeros((2, 3))))


# --- as a data set --------------------------------------------------------------------------------


def hundred(config: DataConfig, test: bool = True) -> Dataset:
    """100 different images of four labels, and ten test images."""
    pixels = np.random.default_rng(0).integers(0, 256, (110, 1, 8, 8), np.uint8)
    labels = np.arange(110) % 4
    sets = [ImageSet(ArrayImages(pixels[s]), labels[s]) for s in (slice(100), slice(100, 110))]
    return split_dataset(
        "drawn", sets[0], sets[1] if test else None, config, label_names=tuple("abcd")
    )


def hashes(dataset: Dataset) -> np.ndarray:
    return np.concatenate([part.known_hashes for part in dataset.parts.values()])


@pytest.mark.parametrize("test", [True, False])
def test_the_chosen_images_alone_are_split_anew(test: bool) -> None:
    config = DataConfig(selection="some@where", validation_fraction=0.25)
    whole = hundred(config, test)
    chosen = whole.train.known_hashes[:40]
    found = restricted(whole, chosen, config)
    np.testing.assert_array_equal(np.sort(hashes(found)), np.sort(chosen))
    assert 8 <= len(found.validation) <= 12 and found.test is None
    assert set(np.unique(found.validation.labels)) == {0, 1, 2, 3}
    # Whatever is not learned from is recorded as left out, and is never new.
    np.testing.assert_array_equal(found.left_out, np.setdiff1d(hashes(whole), chosen))
    assert "40 of" in found.notes[-1] and "'some@where'" in found.notes[-1]


def test_the_others_stay_in_their_parts() -> None:
    config = DataConfig(selection="some@where", selection_use="without")
    whole = hundred(config)
    chosen = np.concatenate([part.known_hashes[:3] for part in whole.parts.values()])
    found = restricted(whole, np.append(chosen, np.uint64(12345)), config)  # one that is not there
    for name, part in found.parts.items():
        before = whole.parts[name].known_hashes
        np.testing.assert_array_equal(part.known_hashes, before[~np.isin(before, chosen)])
    np.testing.assert_array_equal(found.left_out, np.sort(chosen))


def test_a_limit_counts_the_chosen_images() -> None:
    config = DataConfig(selection="some@where", limit=20)
    whole = hundred(config.model_copy(update={"limit": None}))
    chosen = whole.train.known_hashes[:60]
    found = restricted(whole, chosen, config)
    assert len(found.train) == 20 and np.isin(hashes(found), chosen).all()


@pytest.mark.parametrize("gone", [1, 40])
def test_images_that_are_missing_are_counted(gone: int) -> None:
    config = DataConfig(selection="some@where")
    chosen = hundred(config).train.known_hashes[:40].copy()
    chosen[:gone] += np.uint64(1)
    said = "All 40 images" if gone == 40 else "1 of the 40 images"
    with pytest.raises(UserError, match=f"{said} of selection 'some@where' are not in the data"):
        restricted(hundred(config), chosen, config)


def test_leaving_out_too_much_is_said() -> None:
    config = DataConfig(selection="some@where", selection_use="without")
    whole = hundred(config)
    with pytest.raises(UserError, match="There are no images"):
        restricted(whole, whole.train.known_hashes, config)


SETTINGS = [
    *("--dataset", "digits", "--epochs", "1"),
    *("--set", "data.image_size=16", "--set", "model.latent_dim=4"),
    *("--set", "model.options.channels=[8,16]", "--set", "model.options.hidden=32"),
    *("--set", "train.batch_size=16", "--set", "train.threads=1", "--set", "train.device=cpu"),
]


@pytest.mark.parametrize("use", ["only", "without"])
def test_a_run_learns_from_a_selection_and_can_be_moved(tmp_path: Path, use: str) -> None:
    source = trained(tmp_path, "source")
    survey = survey_of(source, "cached")
    rows = np.flatnonzero(survey.labels < 3)
    chosen = save_selection(source, "low digits", "cached", survey_hashes(source, survey)[rows])
    done = vae_core(
        "train", *SETTINGS, "--run", "next", "--store", str(tmp_path),
        "--set", "data.selection=low digits@source", "--set", f"data.selection_use={use}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = Store(tmp_path).get("next")
    record = recorded_by(run)
    assert record is not None
    parts = {name: record.hashes[name] for name in ("train", "validation")}
    used = np.concatenate([*parts.values()])
    if use == "only":
        np.testing.assert_array_equal(np.unique(used), chosen.hashes)
        assert 0 < len(parts["validation"]) < 0.2 * len(used)
    else:
        assert not np.isin(used, chosen.hashes).any() and len(used) > 1000
    # Its images travel with it: the run that they were chosen in may be gone.
    shutil.rmtree(source.path)
    again = dataset_of(run)
    assert not again.difference
    for name, part in again.parts.items():
        if name in parts:
            np.testing.assert_array_equal(part.known_hashes, parts[name])
    kept = json.loads(run.file(SELECTION).read_text())
    assert kept["name"] == "low digits"


def test_a_selection_that_is_not_there_is_refused_in_a_sentence(tmp_path: Path) -> None:
    trained(tmp_path, "source")
    for named, said in (
        ("cats@source", "has no selection 'cats'"),
        ("cats", "write NAME@RUN"),
        ("cats@gone", "gone"),
    ):
        setting = f"data.selection={named}"
        name = f"next-{len(said)}"
        done = vae_core(
            "train", *SETTINGS, "--run", name, "--store", str(tmp_path), "--set", setting
        )
        assert done.returncode == 2 and said in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
