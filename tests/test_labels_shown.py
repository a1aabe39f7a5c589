"""What a table says of images reaches every place that shows them, the data set there or not."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from latent_workbench.encodings.details import known_of
from latent_workbench.encodings.points import category_columns, number_columns
from latent_workbench.train.dataset_preview import _balance, _skew_note
from tests.engine import tiny
from tests.folders import digit_files
from tests.surveys import constructed
from vae_core.analysis import survey_of
from vae_core.data.columns import equal
from vae_core.export import Source, export
from vae_core.latent.encodings import load_encodings
from vae_core.names import readable, shortened, unused
from vae_core.runs import Run, Store
from vae_core.score_images import score_images
from vae_core.training.worker import work

PLACES = ("Bergün", "Chur", "Davos")


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, dict[str, str]]]:
    """A run on digits that a table describes, and what it says of each file. The folder is gone."""
    root = tmp_path_factory.mktemp("described")
    paths = digit_files(root / "pictures", (0, 1, 7), 12)
    rows = {}
    for i, path in enumerate(paths):
        name = str(path.relative_to(root / "pictures"))
        rows[name] = {
            "kind": f"kind {path.parent.name}", "weight": f"{i / 4}", "place": PLACES[i % 3],
            "taken": f"2024-03-{i % 28 + 1:02}", "split": "the odd one", "round": str(i % 2),
        }  # fmt: skip
    with (root / "pictures" / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file_name", *next(iter(rows.values()))])
        writer.writeheader()
        writer.writerows({"file_name": name, **row} for name, row in rows.items())
    config = tiny(
        data={"dataset": "folder", "data_dir": str(root / "pictures"), "label_column": "kind"},
        train={"batch_size": 8, "epochs": 1, "sampling": "balanced"},
    )
    run = Store(root / "store").create("described", config)
    work(run)
    survey_of(run, "train")
    shutil.rmtree(root / "pictures")
    return run, rows


def test_encodings_keep_names_and_columns(described) -> None:
    run, rows = described
    kept = load_encodings(run)
    assert set(kept.files) <= set(rows) and len(kept.files) == len(kept.mu)
    assert kept.label_names == ("kind 0", "kind 1", "kind 7")
    assert list(kept.columns) == ["weight", "place", "taken", "split", "round", "folder"]
    for i, name in enumerate(kept.files):
        assert kept.labels is not None and kept.label_names[kept.labels[i]] == rows[name]["kind"]
        assert kept.columns["weight"][i] == float(rows[name]["weight"])
        assert kept.columns["place"][i] == rows[name]["place"]
        assert str(kept.columns["taken"][i])[:10] == rows[name]["taken"]
        assert kept.columns["round"][i] == int(rows[name]["round"])
        assert kept.columns["folder"][i] == name.split("/")[0]
    whole = survey_of(run, "train")  # from the cache: the folder is gone
    assert set(whole.files) == set(kept.files) and whole.columns.keys() == kept.columns.keys()
    few = whole.rows(np.array([3, 1]))
    assert few.columns["weight"].tolist() == whole.columns["weight"][[3, 1]].tolist()


def test_the_previews_name_their_files_in_the_order_of_the_pictures(described) -> None:
    run, rows = described
    names = run.data_card().hold_outs
    kinds = [rows[name]["kind"] for name in names]
    assert len(names) >= 3 and len(set(names)) == len(names)
    assert kinds[:3] == ["kind 0", "kind 1", "kind 7"], "one of each class first"
    assert not set(names) & set(load_encodings(run).files)


@pytest.mark.parametrize("split", ["cached", "train"])
def test_the_default_csv_has_names_labels_and_columns_whatever_part_it_is_of(
    described, split: str
) -> None:
    run, rows = described
    (content,) = export(Source(run, split), "csv").files.values()
    found = list(csv.DictReader(io.StringIO(content.decode())))
    assert len(found) == len(load_encodings(run).mu)
    for row in found:
        said = rows[row["file"]]
        assert row["label"] == said["kind"] and row["place"] == said["place"]
        assert float(row["weight"]) == float(said["weight"]) and row["round"] == said["round"]
        assert row["taken"].startswith(said["taken"])
        assert row["split"] == split and row["split (2)"] == "the odd one", "ours keeps its name"
        assert float(row["z0"]) == float(row["z0"])


def test_other_formats_have_them_too(described) -> None:
    run, rows = described
    (npz,) = export(Source(run, "cached"), "npz").files.values()
    arrays = np.load(io.BytesIO(npz), allow_pickle=False)
    places = [rows[name]["place"] for name in arrays["files"]]
    assert arrays["column.place"].tolist() == places
    assert arrays["column.taken"].dtype == "M8[s]" and arrays["column.round"].dtype == np.int8
    about = export(Source(run, "cached"), "projector").files["metadata.tsv"].decode()
    lines = list(csv.DictReader(io.StringIO(about), delimiter="\t"))
    assert [line["place"] for line in lines] == places
    assert {line["file"] for line in lines} == set(arrays["files"])


def test_numbers_and_dates_colour_on_a_scale_and_texts_by_the_most_frequent() -> None:
    n = 150
    columns = {
        "weight": np.where(np.arange(n) % 10, np.arange(n) / 2, np.nan),
        "taken": np.datetime64("2024-01-01", "s") + np.arange(n) * np.timedelta64(86400, "s"),
        "hour": np.datetime64("2024-01-01", "s") + np.arange(n) * np.timedelta64(60, "s"),
        "nothing": np.full(n, np.nan),
        "round": (np.arange(n) % 3 - 1).astype(np.int8),
        "place": np.array([f"p{min(i % 30, i % 7)}" if i % 5 else "" for i in range(n)], "O"),
        "id": np.array([f"id {i}" for i in range(n)], "O"),
    }
    weight, taken, hour = number_columns(columns)
    assert np.isnan(weight.values[0]) and weight.low < weight.high and weight.ends is None
    assert taken.ends is not None and taken.ends[0].startswith("2024-01-0")
    assert hour.ends is not None and hour.ends[1].startswith("2024-01-01T02:")
    attribute, place, each = category_columns(columns)
    assert attribute.names == ("no", "yes") and attribute.codes.min() == -1
    counts = [int((place.codes == code).sum()) for code in range(len(place.names))]
    assert counts == sorted(counts, reverse=True) and len(counts) == 7
    assert (place.codes[::5] == -1).all() and place.codes[1] == place.names.index("p1")
    assert len(each.names) == 10 and each.names[-1] == "other (141 more)"
    assert int((each.codes == 9).sum()) == 141


def test_what_is_known_of_an_image_is_said_in_words() -> None:
    columns = {
        "weight": np.array([2.5, np.nan]), "smiles": np.array([1, 0], np.int8),
        "place": np.array(["Chur", ""], "O"), "taken": np.array(["2024-02-03", "NaT"], "M8[s]"),
        **{f"n{i}": np.array([i, i], float) for i in range(40)},
    }  # fmt: skip
    survey = constructed(np.zeros((2, 2)), columns=columns)
    said = known_of(survey, 0)
    assert said[:4] == ["weight: 2.50", "smiles", "place: Chur", "taken: 2024-02-03"]
    assert said[-1] == "and 20 more"
    assert known_of(survey, 1)[:2] == ["not smiles", "n0: 0"]


def test_many_labels_keep_bars_that_can_be_pointed_at_and_a_list() -> None:
    few = _balance({f"label {i}": 10 for i in range(6)})
    assert few.count("<i ") == 6 and "<details" not in few
    many = _balance({f"<label {i}>": 150 - i for i in range(150)})
    assert many.count("<i ") == 150 and "overflow-x: auto" in many and "flex: 1 0 5px" in many
    assert "All 150 labels" in many and many.count("<li>") == 150
    assert "&lt;label 149&gt;: 1" in many and "<label" not in many


def test_the_form_says_how_uneven_labels_are_and_what_can_be_done() -> None:
    counts = {"a": 4, "b": 900}
    assert _skew_note(counts, "shuffled").startswith("4 images of “a”, 900 of “b”. Balanced sampl")
    assert "draws every label equally often" in _skew_note(counts, "balanced")
    assert _skew_note({"a": 300, "b": 900}, "shuffled") == "" == _skew_note({}, "shuffled")


def test_names_are_text_and_lose_folders_and_middles_where_there_is_no_room() -> None:
    assert readable("a\udcff.png") == "a�.png"
    assert shortened("holiday/img_04.jpg", 30) == "holiday/img_04.jpg"
    assert shortened("holiday/2024/img_04.jpg", 16) == "…/img_04.jpg"
    assert shortened("holiday/2024/img_04.jpg", 10) == "img_04.jpg"
    for most in (5, 8, 13):
        short = shortened("a/very_long_name_0004.jpg", most)
        assert len(short) == most and "…" in short and short.endswith("g")
    assert unused("split", {"split", "split (2)"}) == "split (3)"
    assert equal({}, {})


def test_new_images_have_the_labels_and_columns_of_their_table(described, tmp_path: Path) -> None:
    run, _ = described
    paths = digit_files(tmp_path / "new", (0, 7), 4, first=30)
    lines = [f"{path.name},{'kind 7' if i else 'strange'},{i}" for i, path in enumerate(paths)]
    (tmp_path / "new" / "labels.csv").write_text("\n".join(["file,kind,n", *lines]))
    found = score_images(run, [tmp_path / "new"]).survey
    for name, label, n in zip(found.files, found.labels, found.columns["n"], strict=True):
        i = [str(path.relative_to(tmp_path / "new")) for path in paths].index(name)
        assert found.label_name(int(label)) == ("kind 7" if i else "strange") and n == i
    assert found.label_names[:3] == run.data_card().label_names
