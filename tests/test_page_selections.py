"""Selections on the pages: shown again, renamed, combined, deleted and trained on; and how many
points and rows travel."""

from __future__ import annotations

import base64
import errno
import io
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from latent_workbench.components.scatter import (
    Colouring,
    PointsSelected,
    parse_event,
    scatter_data,
)
from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.encodings.take_home import packed_images, table_of
from latent_workbench.live.arrays import ARRAYS, SMALL, Shelf, array_routes, sent
from latent_workbench.shared import access
from tests.pages import open_page, texts
from vae_core.analysis import kept_images, survey_hashes, survey_of
from vae_core.errors import UserError
from vae_core.progress import no_progress
from vae_core.runs import Run
from vae_core.selections import load_selections, save_selection


@pytest.fixture
def run(tiny_run: Run) -> Run:
    survey = survey_of(tiny_run, "cached")
    hashes = survey_hashes(tiny_run, survey)
    save_selection(tiny_run, "low", "cached", hashes[survey.labels < 3])
    save_selection(tiny_run, "few", "cached", hashes[:20])
    return tiny_run


KEY = "encodings-saved-tiny"
ZIP = "Download tiny-few.zip"


def test_a_saved_selection_is_shown_again(run: Run) -> None:
    survey = survey_of(run, "cached")
    app = open_page("encodings", run="tiny")
    app.selectbox(key=f"{KEY}-2").select("low").run()
    app.button(key=f"{KEY}-show").click().run()
    assert not app.exception and not app.warning
    assert f"**{(survey.labels < 3).sum()} images selected**" in texts(app)
    app.text_input(key="encodings-selection-tiny-name-1").set_value("low again")
    app.button(key="encodings-selection-tiny-save").click().run()
    assert not app.exception and not app.warning
    assert [each.name for each in load_selections(run)] == ["low", "few", "low again"]
    np.testing.assert_array_equal(load_selections(run)[2].hashes, load_selections(run)[0].hashes)


def test_selections_are_renamed_combined_deleted_and_brought_back(run: Run) -> None:
    app = open_page("encodings", run="tiny")
    app.selectbox(key=f"{KEY}-2").select("low").run()
    app.text_input(key=f"{KEY}-new-low").set_value("below three").run()
    app.button(key=f"{KEY}-rename").click().run()
    app.selectbox(key=f"{KEY}-2").select("few").run()
    app.selectbox(key=f"{KEY}-how").select("difference").run()
    app.button(key=f"{KEY}-combine").click().run()
    made = load_selections(run)[2]
    assert made.name == "few but not below three"
    low, few = (each.hashes for each in load_selections(run)[:2])
    np.testing.assert_array_equal(made.hashes, np.setdiff1d(few, low))
    app.button(key=f"{KEY}-delete").click().run()
    assert [each.name for each in load_selections(run)] == ["below three", "few"]
    app.button(key="encodings-saved-undo-tiny").click().run()
    assert load_selections(run)[2].name == made.name
    assert not app.exception and not app.warning


def test_a_saved_selection_is_taken_home_as_any_other_choice_of_images(run: Run) -> None:
    app = open_page("encodings", run="tiny")
    kinds = [each.label for each in app.get("download_button") if "saved-tiny" in each.proto.id]
    assert kinds == ["Names", "CSV", "Parquet"]
    app.button(key="take-zip-saved-tiny").click().run()
    deadline = time.monotonic() + 60
    while not (found := [each for each in app.get("download_button") if each.label == ZIP]):
        assert not app.exception and not app.warning and time.monotonic() < deadline
        app.run()  # a busy machine takes longer than a page waits
    assert len(found) == 1 and "as the model sees them" in texts(app)


def test_the_name_of_a_selection_is_words_and_fetches_nothing(run: Run) -> None:
    name = "![x](https://example.org/x.png)"
    hashes = survey_hashes(run, survey_of(run, "cached"))
    save_selection(run, name, "cached", hashes[:9])
    app = open_page("encodings", run="tiny")
    app.button(key="take-zip-saved-tiny").click().run()
    deadline = time.monotonic() + 60
    while not (found := [e for e in app.get("download_button") if "Download" in e.label]):
        assert not app.exception and not app.warning and time.monotonic() < deadline
        app.run()
    app.button(key=f"{KEY}-only").click().run()
    if "Learns from" not in texts(app):
        app.switch_page("pages/train.py").run()
    assert "Learns from" in texts(app)
    assert name not in texts(app) + found[0].label


def test_a_table_is_of_the_encodings_that_are_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = EncodedImages(run, *kept_images(run), "key")
    for name in ("kept_images", "survey_of"):
        monkeypatch.setattr(f"vae_core.export.source.{name}", None)  # read no others
    rows = np.array([5, 2])
    table = pd.read_csv(io.BytesIO(table_of(encoded, rows, "csv")))
    assert {"file", "label", "recon", "kl", "elbo"} <= {*table.columns}
    assert table["file"].tolist() == [encoded.name(5), encoded.name(2)]
    np.testing.assert_allclose(table["recon"], encoded.survey.recon[rows], rtol=1e-6)


def test_a_zip_waits_on_disk_and_is_read_when_it_is_fetched(run: Run) -> None:
    encoded = EncodedImages(run, *kept_images(run), "key")
    packed = packed_images(encoded, np.arange(7), no_progress)
    assert os.fstat(packed.file.fileno()).st_nlink == 0, "it goes with whoever holds it"
    content = packed.content()
    assert packed.content() == content and len(content) == packed.size
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None and len(archive.namelist()) == 7


def test_a_zip_that_the_disk_has_no_room_for_is_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("vae_core.export.originals.zip_images", full)
    encoded = EncodedImages(run, *kept_images(run), "key")
    with pytest.raises(UserError, match=r"No space left on device\. Free some space, or select"):
        packed_images(encoded, np.arange(7), no_progress)


def test_a_name_that_is_taken_is_told(run: Run) -> None:
    app = open_page("encodings", run="tiny")
    app.text_input(key=f"{KEY}-new-few").set_value("low").run()
    app.button(key=f"{KEY}-rename").click().run()
    assert "already" in app.warning[0].value and len(load_selections(run)) == 2


@pytest.mark.parametrize(
    ("use", "said"), [("only", "Learns from selection"), ("without", "Learns from all but")]
)
def test_the_form_on_train_takes_a_selection_and_gives_it_back(
    run: Run, use: str, said: str
) -> None:
    app = open_page("encodings", run="tiny")
    app.button(key=f"{KEY}-{use}").click().run()
    assert not app.exception
    if said not in texts(app):  # a test follows `switch_page` with the next run
        app.switch_page("pages/train.py").run()
    assert f"{said}" in texts(app) and "“few” of run tiny" in texts(app)
    assert app.selectbox(key="train-dataset").value == "digits"
    app.button(key="train-use-all").click().run()
    assert said not in texts(app) and not app.exception


def test_readers_see_selections_and_change_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "read_only_reason", lambda: "You may look.")
    app = open_page("encodings", run="tiny")
    for name in ("rename", "delete", "combine", "only", "without"):
        assert app.button(key=f"{KEY}-{name}").disabled, name
    assert not app.button(key=f"{KEY}-show").disabled


# --- how they travel ------------------------------------------------------------------------------


def test_large_arrays_go_by_the_route_and_small_ones_with_the_message() -> None:
    small, large = np.arange(8, dtype=np.float32), np.arange(SMALL, dtype=np.float32)
    assert base64.b64decode(sent(small)) == small.tobytes()
    named = sent(large)
    assert isinstance(named, dict) and named == sent(large.copy())
    client = TestClient(Starlette(routes=array_routes()))
    answer = client.get(f"/arrays/{named['array']}")
    assert answer.content == large.tobytes() and "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"] == "application/octet-stream"
    gone = client.get("/arrays/none")
    assert gone.status_code == 404 and "reload" in gone.json()["message"]


def test_the_oldest_arrays_make_room() -> None:
    shelf = Shelf(most=10)
    first, second = shelf.put(b"aaaa"), shelf.put(b"bbbb")
    assert shelf.get(first) == b"aaaa"
    third = shelf.put(b"cccc")
    assert shelf.get(second) is None and shelf.get(first) and shelf.get(third)
    assert shelf.get(shelf.put(b"d" * 50)) and shelf.get(third) is None


def test_a_million_points_are_a_small_message() -> None:
    points = np.random.default_rng(0).normal(size=(10**6, 2)).astype(np.float32)
    data = scatter_data(
        points, run="r", images="i", axes="a", titles=["x", "y"], labels=np.arange(10**6) % 9,
        label_names=[], colourings=[Colouring("x", points[:, 0], -1.0, 1.0)],
    )  # fmt: skip
    assert len(str(data)) < 10_000
    assert ARRAYS.get(data["points"]["array"]) == points.tobytes()


@pytest.mark.parametrize("rows", [[0], [1, 8, 19], list(range(20))])
def test_a_selection_is_read_as_bits_too(rows: list[int]) -> None:
    bits = np.packbits(np.isin(np.arange(20), rows), bitorder="little")
    event = {"kind": "selection", "images": "i", "bits": base64.b64encode(bits.tobytes()).decode()}
    found = parse_event(event, "i", "a", 20)
    assert isinstance(found, PointsSelected) and found.rows.tolist() == rows
    # Bits beyond the last point are no rows.
    assert parse_event(event | {"bits": "////"}, "i", "a", 20) is None


def test_shipped_runs_keep_selections_in_the_store(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "shipped", property(lambda self: True))
    save_selection(tiny_run, "some", "train", np.array([1], np.uint64))
    assert not tiny_run.has("saved_selections.json")
    assert (tmp_path / ".selections" / "tiny" / "saved_selections.json").is_file()
    assert [each.name for each in load_selections(tiny_run)] == ["some"]
