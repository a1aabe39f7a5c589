"""Encodings: the page without a browser, and the arithmetic below it."""

from __future__ import annotations

import base64
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from latent_workbench.components.axes import axes_of
from latent_workbench.components.scatter import (
    ImageClick,
    PlaneClick,
    PointsSelected,
    SelectionCleared,
    parse_event,
)
from latent_workbench.encodings.compare import counterpart_of, rows_of, same_images
from latent_workbench.encodings.details import nearest_rows
from latent_workbench.encodings.encoded_images import told_gone
from latent_workbench.encodings.explained import heat_map
from latent_workbench.encodings.plane import STACKED, flat_plane, stacked_plane
from latent_workbench.encodings.score_view import in_words
from latent_workbench.live import images as live_images
from latent_workbench.live.cache import RunCache
from latent_workbench.live.resources import encodings_of
from tests.commands import in_this_thread
from tests.engine import trained
from tests.pages import open_page, texts
from tests.pictures import bring, png
from tests.test_jobs import until
from vae_core.analysis import survey_of
from vae_core.data.uploads import MB
from vae_core.errors import UserError
from vae_core.latent.encodings import encoded_step, save_encodings
from vae_core.latent.maps import make_map, save_map
from vae_core.latent.novelty import tail_shares, threshold
from vae_core.runs import Run, Store
from vae_core.score_images import load_scored

COMPLETING = "encodings-completing-tiny"
START, STOP, AGAIN = f"{COMPLETING}-start", f"stop-{COMPLETING}", f"again-{COMPLETING}"
MARKED = "latent_workbench.encodings.marks.MarkedImages"


@pytest.fixture
def run(tiny_run: Run) -> Run:
    return tiny_run


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process would do is done in this one."""
    monkeypatch.setattr("vae_core.child.in_process", in_this_thread)


def change(run: Run, **changes: Any) -> None:
    """Encodings as another run may have them."""
    save_encodings(run, replace(encodings_of(run), **changes))


def test_the_page_counts_the_images_and_says_what_to_do(run: Run) -> None:
    app = open_page("encodings")
    assert not app.warning
    assert "**300 images**" in texts(app) and "Click empty space to decode" in texts(app)
    app.selectbox(key="encodings-x").select("z2").run()
    assert not app.exception and not app.warning


def test_a_run_that_was_deleted_meanwhile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("latent_workbench.encodings.encoded_images.st.warning", said.append)
    assert not told_gone(Run(tmp_path)) and said == []
    assert told_gone(Run(tmp_path / "gone"))
    assert said == ["There is no run called 'gone' any more. Choose another one."]


def test_encodings_that_a_run_lacks_are_made_once_somebody_looks(run: Run) -> None:
    run.file("encodings.safetensors").unlink()
    app = open_page("encodings")
    assert "no encodings yet" in texts(app) and not app.button(key=STOP).disabled
    until(lambda: run.file("encodings.safetensors").exists(), seconds=120)
    until(lambda: "**300 images**" in texts(app.run()) and not app.info, seconds=60)
    assert encoded_step(run) == run.weights_step() == 10


def test_encodings_of_an_earlier_step_are_told_and_making_them_anew_can_be_stopped(
    run: Run,
) -> None:
    assert not open_page("encodings").info
    change(run, step=5)
    app = open_page("encodings")
    (told,) = app.info
    assert "of step 5, the weights are of step 10" in told.value
    app.button(key=STOP).click().run()
    until(lambda: any(each.key == AGAIN for each in app.run().button), seconds=60)
    assert "**300 images**" in texts(app) and "stopped" in texts(app)
    app.button(key=AGAIN).click().run()
    assert app.button(key=START).label == "Encode them now"


def test_who_may_only_look_has_nothing_made(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_READ_ONLY", "1")
    change(run, step=5)
    app = open_page("encodings")
    assert "of step 5" in texts(app) and app.button(key=START).disabled
    assert encoded_step(run) == 5


def test_a_diverged_run_says_so(run: Run) -> None:
    broken = encodings_of(run).mu.copy()
    broken[:5] = np.nan
    change(run, mu=broken)
    assert "5 of 300 images have no finite encoding" in open_page("encodings").warning[0].value


@pytest.mark.parametrize(
    "labels, names",
    [(None, ()), (np.zeros(300, np.int64), ("only",)), (np.arange(300) % 150, ())],
    ids=["none", "one", "150"],
)
def test_any_number_of_labels_gives_pages(
    run: Run, labels: np.ndarray | None, names: tuple[str, ...]
) -> None:
    change(run, labels=labels, label_names=names)
    app = open_page("encodings")
    assert not app.warning and "**300 images**" in texts(app)
    assert not opened("Outliers", run).warning
    assert not open_page("grids").warning


# --- axes -----------------------------------------------------------------------------------------


def test_axes_measure_in_sigma_from_the_mean_or_in_latent_units_from_the_origin(run: Run) -> None:
    mu = encodings_of(run).mu
    axis = axes_of(run)["z2"]
    np.testing.assert_allclose(axis.along(mu, in_sigma=False), mu[:, 2], rtol=1e-6)
    scaled = axis.along(mu, in_sigma=True)
    assert scaled.mean() == pytest.approx(0, abs=1e-4)
    assert scaled.std() == pytest.approx(1, abs=1e-3)


def test_raw_axes_are_the_prior_s_own_and_principal_ones_are_not(run: Run) -> None:
    mu, axes = encodings_of(run).mu, axes_of(run)
    raw = flat_plane(mu, axes["z0"], axes["z3"])
    assert raw.prior
    np.testing.assert_allclose(raw.points, mu[:, [0, 3]], rtol=1e-6)
    first = next(iter(axes.values()))
    assert not flat_plane(mu, first, axes["z0"]).prior


@pytest.mark.parametrize("second", ["z3", "principal"])
def test_a_point_of_the_plane_is_lifted_to_where_it_came_from(run: Run, second: str) -> None:
    mu, axes = encodings_of(run).mu, axes_of(run)
    chosen = axes["z3"] if second == "z3" else next(iter(axes.values()))
    plane = flat_plane(mu, axes["z0"], chosen)
    z = plane.lift(0.7, -1.3)
    np.testing.assert_allclose(flat_plane(z[None], axes["z0"], chosen).points, [[0.7, -1.3]], 1e-4)
    if second == "z3":  # what is not on the axes stays at the mean
        np.testing.assert_allclose(z, [0.7, mu[:, 1].mean(), mu[:, 2].mean(), -1.3], atol=1e-4)


def test_raw_dimensions_share_their_unit_and_mixed_axes_are_in_sigma(run: Run) -> None:
    mu, axes = encodings_of(run).mu, axes_of(run)
    space = flat_plane(mu, axes["z0"], axes["z3"], axes["z1"])
    np.testing.assert_allclose(space.points, mu[:, [0, 3, 1]], rtol=1e-6)
    assert space.prior and space.lift is None and len(space.titles) == 3
    mixed = flat_plane(mu, axes["z0"], next(iter(axes.values())), axes["z1"])
    np.testing.assert_allclose(mixed.points.std(axis=0), 1, rtol=5e-3)
    assert not mixed.prior and all(title.endswith("σ from the mean") for title in mixed.titles)


def test_one_dimension_is_stacked_like_a_histogram(run: Run) -> None:
    mu = np.array([[0.0], [0.001], [1.0], [0.002], [0.5]])
    axis = replace(axes_of(run)["z0"], vector=np.ones(1), center=np.zeros(1))
    plane = stacked_plane(mu, axis)
    assert plane.points[:, 0].tolist() == mu[:, 0].tolist()
    assert plane.points[:, 1].tolist() == [1, 2, 1, 3, 1]
    assert plane.lift(0.3, 99.0).tolist() == pytest.approx([0.3])


# --- what a browser says --------------------------------------------------------------------------


def told(**said: Any) -> Any:
    return parse_event({"images": "these", **said}, "these", "z0 × z1", 10)


def test_what_is_said_has_a_time() -> None:
    assert (
        told(kind="none", at=17.5) == SelectionCleared() and told(kind="none", at=17.5).at == 17.5
    )
    assert told(kind="image", index=3, at=12).at == 12


def test_clicks_and_selections_are_read() -> None:
    rows = base64.b64encode(np.array([1, 9], "<i4").tobytes()).decode()
    assert told(kind="image", index=9) == ImageClick(9)
    assert told(kind="spot", x=1.5, y=-2, axes="z0 × z1") == PlaneClick(1.5, -2.0)
    found = told(kind="selection", rows=rows)
    assert isinstance(found, PointsSelected) and found.rows.tolist() == [1, 9]


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "image", "index": 10},
        {"kind": "image", "index": -1},
        {"kind": "image"},
        {"kind": "image", "index": 1, "images": "others"},
        {"kind": "spot", "x": 1, "y": 2, "axes": "others"},
        {"kind": "spot", "x": "nan", "y": 2, "axes": "z0 × z1"},
        {"kind": "selection", "rows": "!"},
        {"kind": "selection", "rows": base64.b64encode(np.array([10], "<i4").tobytes()).decode()},
        {"kind": "selection", "rows": ""},
        {"kind": "spot", "x": 1, "y": 2, "axes": "z0 × z1", "at": "noon"},
        {"kind": "else"},
    ],
)
def test_what_is_not_about_these_points_is_not_believed(said: dict[str, Any]) -> None:
    assert told(**said) is None


def test_nearest_rows_leave_the_image_itself_out() -> None:
    mu = np.array([[0.0], [3.0], [1.0], [-0.5]])
    assert nearest_rows(mu, mu[0], 2).tolist() == [0, 3]
    assert nearest_rows(mu, mu[0], 9, without=0).tolist() == [3, 2, 1]


# --- tabs -----------------------------------------------------------------------------------------


def opened(tab: str, run: Run) -> AppTest:
    app = open_page("encodings")
    app.session_state["encodings-tab"] = tab
    app.run()
    assert not app.exception and not app.warning
    return app


def test_the_prior_tab_has_a_sentence_and_a_row_for_each_dimension(run: Run) -> None:
    app = open_page("encodings")
    assert "No dimension is active" in texts(app)  # ten steps of training teach nothing
    frame = app.dataframe[0].value
    mu = encodings_of(run).mu
    variances = dict(zip(frame["dimension"], frame["variance of μ"], strict=True))
    assert variances == pytest.approx({f"z{k}": mu[:, k].var() for k in range(4)}, rel=1e-4)
    assert list(frame["KL, nats"]) == sorted(frame["KL, nats"], reverse=True)


def test_outliers_are_ranked_by_what_was_measured_on_the_kept_images(run: Run) -> None:
    frame = opened("Outliers", run).dataframe[0].value
    assert len(frame) == 200
    worst = frame["−ELBO"]
    assert list(worst) == sorted(worst, reverse=True)
    np.testing.assert_allclose(worst, frame["Reconstruction error"] + frame["KL"], rtol=1e-5)
    assert frame["image"].str.fullmatch(r"training image \d+").all()


@pytest.mark.usefixtures("at_once")
def test_thumbnails_that_are_no_whole_images_are_ranked_and_explained_all_the_same(
    run: Run,
) -> None:
    kept = encodings_of(run)
    run.file("thumbnails.png").unlink()
    save_encodings(run, replace(kept, thumbnails=kept.thumbnails[:, :, ::2, ::2]))
    assert "Loss of a pixel" in texts(opened("Outliers", run))  # of the image in the data set
    assert len(scored("Outliers", run).selectbox(key="outliers-score").options) == 7


def scored(tab: str, run: Run) -> AppTest:
    """The tab once the process that scores the images has ended."""
    app = opened(tab, run)
    until(lambda: not app.run().get("progress"))
    assert not app.exception and not app.warning and not app.error
    return app


@pytest.mark.usefixtures("at_once")
def test_outliers_have_every_score_a_threshold_and_a_reason(run: Run) -> None:
    app = scored("Outliers", run)
    options = app.selectbox(key="outliers-score").options
    assert len(options) == 7 and "Distance to neighbours" in options
    assert app.selectbox(key="outliers-score").value == "knn"  # whatever was known at once
    found = load_scored(run, "cached")
    assert found is not None
    above = int((found.scores["knn"] > threshold(found.normal["knn"], 0.05)).sum())
    assert f"**{above}** of 300 images above" in texts(app)
    app.number_input(key="outliers-rate").set_value(0.0).run()
    strict = int((found.scores["knn"] > found.normal["knn"].max()).sum())
    assert f"**{strict}** of 300 images above" in texts(app)
    app.segmented_control(key="outliers-by").set_value("By hand").run()
    app.number_input(key="outliers-threshold-knn").set_value(-1e9).run()
    assert "**300** of 300 images above" in texts(app)
    said = texts(app)
    assert "Loss of a pixel" in said and "The way to the nearest training image" in said
    assert "validation images" in said


@pytest.mark.usefixtures("at_once")
def test_labels_that_are_normal_tell_which_score_wins(run: Run) -> None:
    app = scored("Outliers", run)
    app.multiselect(key="outliers-normal").set_value([str(i) for i in range(9)]).run()
    assert not app.exception
    frame = app.dataframe[0].value
    found = load_scored(run, "cached")
    assert found is not None
    expected = found.detections([str(i) for i in range(9)])
    best = max(each.auroc for each in expected.values())
    assert frame["AUROC"][0] == f"{best:.3f} ★" and len(frame) == len(expected)
    assert "The way to the nearest normal image" in texts(app)


def test_a_model_without_kl_starts_with_another_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    run = trained(tmp_path, "plain", family="autoencoder", train={"epochs": 1})
    app = opened("Outliers", run)
    assert app.selectbox(key="outliers-at-once-score").value == "recon"


@pytest.mark.usefixtures("at_once")
def test_new_images_by_a_path_are_scored_and_marked(run: Run, tmp_path: Path) -> None:
    """One picture is enough; its row, its p-value in words, and its place among the points."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 16)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "strange.png")
    app = opened("New images", run)
    app.text_input(key="new-images-path").set_value(str(tmp_path / "strange.png")).run()
    until(lambda: not app.run().get("progress"))
    assert not app.exception and not app.warning and not app.error
    app.selectbox(key="new-images-score").set_value("recon").run()
    frame = app.dataframe[0].value
    assert list(frame["image"]) == ["strange.png"] and list(frame["stranger than, %"]) == [100]
    assert "stranger than all 90 validation images" in texts(app)
    (marked,) = app.session_state[MARKED].of.values()
    assert marked.names == ("strange.png",) and marked.picked == 0
    app.session_state["encodings-tab"] = "Export"
    app.run()
    assert not app.session_state[MARKED].of, "rings are of the tab that is open"
    app.session_state["encodings-tab"] = "New images"
    app.run()
    assert app.session_state[MARKED].of
    app.text_input(key="new-images-path").set_value("").run()
    assert not app.session_state[MARKED].of


def test_what_holds_no_picture_is_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    app = opened("New images", run)
    app.text_input(key="new-images-path").set_value(str(tmp_path / "empty")).run()
    until(lambda: not app.run().get("progress"))
    (told,) = app.warning
    assert "There are no images in" in told.value and str(tmp_path) not in told.value


@pytest.mark.usefixtures("at_once")
def test_visitors_who_may_only_look_may_show_the_model_pictures(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_READ_ONLY", "1")
    app = opened("New images", run)
    (uploads,) = (app.session_state[key] for key in app.session_state if "NewImages" in str(key))
    assert uploads.uploads.largest == 100 * MB and uploads.uploads.kind == "looks"
    upload = bring(uploads.uploads, "one.png", png(3))
    app.run()
    until(lambda: not app.run().get("progress"))
    assert upload.name == "one.png" and not app.warning
    assert list(app.dataframe[0].value["image"]) == ["one.png"]


def test_p_values_are_told_in_words() -> None:
    assert in_words(1 / 91, 90) == "stranger than all 90 validation images"
    assert in_words(tail_shares(np.array([3.0]), np.arange(4.0))[0], 4) == (
        "stranger than 75 % of the validation images"
    )


def test_a_heat_map_is_dark_where_nothing_is_lost_and_bright_where_most_is() -> None:
    loss = np.zeros((4, 5), np.float32)
    loss[1, 2] = 7
    drawn = heat_map(loss).astype(int)
    assert drawn.shape == (3, 4, 5) and drawn.sum(0)[1, 2] == drawn.sum(0).max()
    assert (drawn.sum(0) < 60).sum() == 19


@pytest.mark.parametrize("to", ["csv", "npz", "safetensors"])
def test_exports_are_made_and_named(run: Run, to: str) -> None:
    app = opened("Export", run)
    app.selectbox(key="encodings-format").select(to).run()
    app.button[-1].click().run()
    labels = [button.proto.label for button in app.get("download_button")]
    assert labels == [f"Download tiny.{to}"]


# --- unusual spaces -------------------------------------------------------------------------------


def test_one_latent_dimension_is_stacked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    trained(tmp_path, "line", model={"latent_dim": 1}, train={"epochs": 1})
    app = open_page("encodings")
    assert not app.warning and "**300 images**" in texts(app)
    assert app.selectbox(key="encodings-y").value == STACKED


def test_a_map_of_the_kept_encodings_is_drawn_where_it_is_known(run: Run) -> None:
    kept = encodings_of(run)
    drawn = replace(make_map(kept.mu, "pca"), kind="tsne")
    save_map(run, "cached", drawn, kept.mu)
    app = open_page("encodings")
    app.segmented_control(key="encodings-view").set_value("t-SNE").run()
    assert not app.exception and not app.warning
    # A map knows no way back, so empty space is not offered.
    assert "Click a point" in texts(app) and "Click empty space" not in texts(app)


# --- in space, whole parts, and beside another run ------------------------------------------------


def test_three_axes_make_a_space_and_a_map_may_have_three_dimensions(run: Run) -> None:
    app = open_page("encodings")
    app.selectbox(key="encodings-z").select("z3").run()
    assert not app.exception and not app.warning
    assert "Drag to turn the points" in texts(app) and "Click empty space" not in texts(app)
    kept = encodings_of(run)
    drawn = replace(make_map(kept.mu, "pca", 3), kind="umap")
    assert drawn.points.shape == (300, 3)
    save_map(run, "cached", drawn, kept.mu)
    app.segmented_control(key="encodings-view").set_value("UMAP").run()
    app.segmented_control(key="encodings-map-dimensions").set_value(3).run()
    assert not app.exception and not app.warning and "Drag to turn" in texts(app)


def test_a_whole_part_is_shown_without_its_images_and_says_so_when_they_are_missing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = survey_of(run, "validation")
    monkeypatch.setattr(live_images, "DATASETS", RunCache(absent, "config.json", 2))
    app = open_page("encodings")
    app.selectbox(key="encodings-part-tiny").select("validation").run()
    assert not app.exception and not app.warning
    assert f"**{len(found)} images**" in texts(app)
    app.session_state["encodings-tab"] = "Outliers"
    app.run()
    assert not app.exception and "The data set is gone." in texts(app)
    # The choice outlives a visit to another page.
    app.switch_page("pages/grids.py").run()
    app.switch_page("pages/encodings.py").run()
    assert app.selectbox(key="encodings-part-tiny").value == "validation"


def absent(run: Run) -> Any:
    raise UserError("The data set is gone.")


def test_another_run_on_the_same_images_stands_beside(run: Run) -> None:
    shutil.copytree(run.path, run.path.parent / "other")
    shutil.copytree(run.path, run.path.parent / "fewer")
    fewer = run.data_card().model_copy(update={"digest": None})
    Store().get("fewer").write_json("data.json", fewer)
    app = open_page("encodings", run="tiny")
    choice = app.selectbox(key="encodings-beside-tiny")
    assert choice.options == ["other"]  # not "fewer": its images are others
    choice.select("other").run()
    assert not app.exception and not app.warning
    said = "The same 300 images in two spaces. Of an image's 10 nearest neighbours in one, 10 are"
    assert said in texts(app)  # a copy agrees with itself


def test_images_are_the_same_where_both_runs_recorded_the_same(run: Run) -> None:
    other = Run(run.path.parent / "other")
    other.path.mkdir()
    card = run.data_card()
    assert card.digest is not None
    for digest, same in [
        (card.digest, True),
        (card.digest.model_copy(update={"validation": "of other images"}), False),
        (None, False),
    ]:
        other.write_json("data.json", card.model_copy(update={"digest": digest}))
        assert same_images(run, other) is same, digest


def test_images_of_older_runs_are_the_same_where_nothing_chose_others(run: Run) -> None:
    other = Run(run.path.parent / "other")
    other.path.mkdir()
    config = run.config()
    for each in (run, other):
        each.write_json("data.json", run.data_card().model_copy(update={"digest": None}))
    for change, same in [
        ({}, True),
        ({"data_dir": "elsewhere"}, True),  # where a known data set lies does not matter
        ({"image_size": 32}, True),
        ({"limit": 50}, False),
        ({"validation_fraction": 0.5}, False),
        ({"dataset": "sprites"}, False),
    ]:
        data = config.data.model_copy(update=change)
        text = config.model_copy(update={"data": data}).model_dump_json()
        other.write_bytes("config.json", text.encode())
        assert same_images(run, other) is same, change


def test_rows_are_matched_by_what_the_image_is() -> None:
    indices = np.array([40, 10, 30, 20])
    assert rows_of(np.array([10, 11, 20, 99]), indices).tolist() == [1, 3]
    assert rows_of(np.array([5]), indices).tolist() == []
    one = shown(indices)
    other = shown(np.array([30, 50, 40]))
    assert counterpart_of(ImageClick(2), one, other) == ImageClick(0)
    assert (
        counterpart_of(ImageClick(3), one, other) is None
        and counterpart_of(PlaneClick(0, 0), one, other) is None
    )
    selected = counterpart_of(PointsSelected(np.array([0, 1, 2])), one, other)
    assert isinstance(selected, PointsSelected) and selected.rows.tolist() == [2, 0]
    assert counterpart_of(PointsSelected(np.array([1])), one, other) is None


def shown(indices: np.ndarray) -> Any:
    return SimpleNamespace(survey=SimpleNamespace(identities=indices))
