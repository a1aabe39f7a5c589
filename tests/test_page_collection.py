"""The Collection and Search tabs without a browser, and what is taken home."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from latent_workbench.components.question import parse
from latent_workbench.encodings.looked_through import Looked
from latent_workbench.encodings.query import Queries, Query
from latent_workbench.encodings.search import _version, _whole
from latent_workbench.live.resources import encodings_of
from tests.engine import trained
from tests.pages import open_page, texts
from vae_core.analysis import kept_images, known_surveys, survey_of
from vae_core.curation import curate
from vae_core.data import ArrayImages
from vae_core.errors import UserError
from vae_core.export.originals import file_list, safe_name, zip_images
from vae_core.export.source import Source
from vae_core.export.tables import table as as_table
from vae_core.latent.encodings import save_encodings
from vae_core.latent.saved import load_saved
from vae_core.latent.search import ImageSearch
from vae_core.runs import Run


@pytest.fixture
def run(tiny_run: Run) -> Run:
    return tiny_run


def change(run: Run, **changes: Any) -> None:
    save_encodings(run, replace(encodings_of(run), **changes))


def grouped_run(run: Run) -> None:
    """Encodings in two groups, one of them with a wrong label; images 3 and 4 are copies."""
    rng = np.random.default_rng(0)
    mu = rng.normal(size=(300, 4)).astype(np.float32)
    mu[:100] += 30
    mu[4] = mu[3]
    labels = (np.arange(300) >= 100).astype(np.int64)
    labels[7] = 1
    thumbnails = encodings_of(run).thumbnails.copy()
    thumbnails[4] = thumbnails[3]
    run.file("thumbnails.png").unlink()
    change(run, mu=mu, labels=labels, label_names=("cat", "dog"), thumbnails=thumbnails)


def opened(tab: str) -> AppTest:
    app = open_page("encodings")
    app.session_state["encodings-tab"] = tab
    app.run()
    assert not app.exception and not app.warning
    return app


def section(app: AppTest, number: int) -> AppTest:
    (choice,) = [each for each in app.segmented_control if "section" in each.key]
    choice.set_value(number).run()
    assert not app.exception and not app.warning
    return app


def looked(app: AppTest) -> Looked:
    found = app.session_state[f"{Looked.__module__}.{Looked.__qualname__}"]
    assert isinstance(found, Looked)
    return found


def html_of(app: AppTest) -> str:
    return "".join(each.proto.body for each in app.get("html"))


def test_a_collection_is_looked_through_and_told_section_by_section(run: Run) -> None:
    grouped_run(run)
    curate(run, "cached")  # as the process does that the page starts
    app = opened("Collection")
    assert "The largest of 2 groups" in texts(app)
    assert "near-duplicate" in texts(app) and ">keep<" in html_of(app)
    app = section(app, 1)
    assert "**dog** → **cat**?" in texts(app)
    before = texts(app).count("→ **")
    right = [each for each in app.button if each.label == "Looks right"]
    right[0].click().run()
    assert texts(app).count("→ **") == before - 1 or "Every image has the label" in texts(app)
    app = section(app, 2)
    assert "**Group 1**" in texts(app) and "dog: 100 %" in texts(app)
    app = section(app, 3)
    assert "Farthest from their neighbours" in texts(app)


def test_a_group_is_coloured_and_the_direction_to_it_opens_in_explore(run: Run) -> None:
    grouped_run(run)
    curate(run, "cached")
    app = section(opened("Collection"), 2)
    app.button(key="collection-show-tiny-0").click().run()
    assert not app.exception and list(looked(app).shown.values()) == [0]
    app.button(key="collection-go-tiny-1").click().run()
    assert not app.exception
    (saved,) = load_saved(run)
    assert saved.name == "to group 2 of 2 (cached)"
    mu = encodings_of(run).mu
    expected = mu[:100].mean(axis=0) - mu[100:].mean(axis=0)
    np.testing.assert_allclose(saved.vector, expected, atol=1.5)  # some are in no group


def test_smaller_groups_may_be_asked_for(run: Run) -> None:
    grouped_run(run)
    curate(run, "cached")
    app = section(opened("Collection"), 2)
    app.number_input(key="collection-smallest-tiny-cached").set_value(40).run()
    for _ in range(100):
        (made,) = looked(app).found.values()
        if made.smallest == 40:
            break
        app.run()
    assert made.smallest == 40 and not app.exception


@pytest.mark.parametrize(
    ("changes", "numbers"),
    [
        ({"labels": None, "label_names": ()}, "Likely mislabelled · 0"),
        ({"labels": np.arange(300) % 150, "label_names": ()}, "Likely mislabelled"),
        ({"mu": np.zeros((300, 4), np.float32)}, "Near-duplicates"),
    ],
    ids=["no labels", "150 labels", "one encoding for all"],
)
def test_unusual_collections_are_told_in_sentences(
    run: Run, changes: dict[str, Any], numbers: str
) -> None:
    change(run, **changes)
    curate(run, "cached")
    app = opened("Collection")
    (choice,) = [each for each in app.segmented_control if "section" in each.key]
    assert any(numbers in option for option in choice.options)
    for number in range(4):
        section(app, number)


# --- search ---------------------------------------------------------------------------------------


def test_search_answers_what_was_asked_with_names_and_distances(run: Run) -> None:
    app = opened("Search")
    assert "Choose or draw a picture" in texts(app)
    mu = encodings_of(run).mu
    state = Queries()
    state.of["tiny"] = Query("a point", mu[17], "", ("cached", 17))
    app.session_state[f"{Queries.__module__}.{Queries.__qualname__}"] = state
    app.run()
    assert not app.exception and "Nearest to **a point** among 300 training images" in texts(app)
    away = np.linalg.norm(mu - mu[17], axis=1)
    away[17] = np.inf
    nearest = kept_images(run)[0].name(int(away.argmin()))
    assert nearest in html_of(app) and html_of(app).count("<figure") >= 24


def test_the_whole_set_is_searched_as_soon_as_its_encodings_are_known(run: Run) -> None:
    assert [each.split for each in known_surveys(run)] == ["cached"]
    survey_of(run, "train")
    survey_of(run, "validation")
    assert [each.split for each in known_surveys(run)] == ["train", "validation"]
    whole = _whole(run.path, _version(run))
    assert whole is not None and len(whole.search) == sum(map(len, known_surveys(run)))
    kept = encodings_of(run)
    place = whole.place(("cached", 5))
    assert place is not None and whole.parts[0].survey.hashes[place[1]] == kept.hashes[5]  # type: ignore[index]


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        {"vector": [0.0] * 3, "picture": "data:image/png;base64,AAAA"},
        {"vector": [float("nan")] * 4, "picture": "data:image/png;base64,AAAA"},
        {"vector": [[1.0]] * 4, "picture": "data:image/png;base64,AAAA"},
        {"vector": ["x"] * 4, "picture": "data:image/png;base64,AAAA"},
        {"vector": [0.0] * 4, "picture": 'data:image/png;base64,A" onload="x'},
        {"vector": [0.0] * 4, "picture": "https://elsewhere.example/a.png"},
    ],
)
def test_what_is_no_picture_with_its_encoding_is_not_believed(told: Any) -> None:
    assert parse(told, 4) is None


def test_a_picture_is_asked_about_by_its_name() -> None:
    asked = parse(
        {"name": "a.png", "vector": [1, 2, 3, 4], "picture": "data:image/png;base64,AAAA"}, 4
    )
    assert asked is not None and asked.name == "a.png" and asked.z.tolist() == [1, 2, 3, 4]


def test_explore_shows_the_images_nearest_to_its_picture(run: Run) -> None:
    app = open_page("explore")
    app.toggle(key="explore-like").set_value(True).run()
    assert not app.exception and not app.warning
    assert "Nearest among 300 training images" in texts(app) and "<figure" in html_of(app)


def test_hits_of_several_surveys_are_told_apart(run: Run) -> None:
    first, second = survey_of(run, "train"), survey_of(run, "validation")
    found = ImageSearch([first, second])
    hits = found.nearest(second.mu[4], 5, without=(1, 4))
    every = np.concatenate([first.mu, second.mu])
    away = np.linalg.norm(every - second.mu[4], axis=1)
    away[len(first) + 4] = np.inf
    np.testing.assert_allclose(hits.distances, np.sort(away)[:5], rtol=1e-5)
    assert (1, 4) not in set(zip(hits.parts.tolist(), hits.rows.tolist(), strict=True))


# --- what is taken home ---------------------------------------------------------------------------


def _own(tmp_path: Path) -> tuple[Run, Path]:
    folder = tmp_path / "own"
    rng = np.random.default_rng(0)
    for label in ("cat", "dog ☂"):
        (folder / label).mkdir(parents=True)
        for i in range(12):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(
                folder / label / f"{i}.png"
            )
    data = {"dataset": "folder", "data_dir": str(folder), "limit": None, "image_size": 8}
    return trained(tmp_path / "store", "own", data=data, train={"batch_size": 8}), folder


def test_a_zip_holds_the_files_themselves(tmp_path: Path) -> None:
    run, folder = _own(tmp_path)
    found = survey_of(run, "train")
    rows, packed = np.array([2, 0, 5]), io.BytesIO()
    images = ArrayImages(np.zeros((len(found), 1, 8, 8), np.uint8))
    assert zip_images(run, found, rows, images, packed) == "3 original files."
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == [found.name(int(row)) for row in rows]
        for name in archive.namelist():
            assert archive.read(name) == (folder / name).read_bytes()
    assert file_list(found, rows).decode().splitlines() == [found.name(int(r)) for r in rows]
    with pytest.raises(UserError, match="fit into one zip"):
        zip_images(run, found, rows, images, io.BytesIO(), most=100)
    (folder / found.name(0)).unlink()
    with pytest.raises(UserError, match="1 of the 3 files are no longer"):
        zip_images(run, found, rows, images, io.BytesIO())
    with pytest.raises(UserError, match="Nothing is selected"):
        zip_images(run, found, rows[:0], images, io.BytesIO())


def test_images_that_came_from_no_files_are_packed_as_the_model_sees_them(run: Run) -> None:
    found, packed = kept_images(run)[0], io.BytesIO()
    images = ArrayImages(encodings_of(run).thumbnails)
    note = zip_images(run, found, np.array([3, 8]), images, packed)
    assert "as the model sees them" in note
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == [f"{found.name(row)}.png" for row in (3, 8)]
        shown = np.asarray(Image.open(io.BytesIO(archive.read(archive.namelist()[1]))))
    assert np.array_equal(shown, images.array[8, 0])


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/root/a.png", "root/a.png"),
        ("C:\\Windows\\a.png", "C_/Windows/a.png"),
        ("a/./b/../c.png", "a/b/c.png"),
        ("...", "image"),
        ("holiday/img ☂.jpg", "holiday/img ☂.jpg"),
    ],
)
def test_no_name_in_a_zip_leads_out_of_its_folder(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_the_kept_images_have_names_labels_and_scores_in_the_default_table(tmp_path: Path) -> None:
    run, _ = _own(tmp_path)
    rows = as_table(Source(run, "cached").survey).to_pydict()
    assert {"file", "label", "recon", "kl", "elbo"} <= rows.keys()
    whole = survey_of(run, "train")
    rows = as_table(Source(run, "cached").survey).to_pydict()
    assert set(rows["file"]) <= {whole.name(row) for row in range(len(whole))}
    at = [whole.name(row) for row in range(len(whole))].index(rows["file"][3])
    assert rows["recon"][3] == pytest.approx(float(whole.recon[at]))  # type: ignore[index]
