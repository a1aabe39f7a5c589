"""Explore, Grids, Encodings and Tune β on a real trained run, with no data set present."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from latent_workbench.components.axes import all_axes
from latent_workbench.grids.sheets import ticks
from latent_workbench.grids.traversals import turns
from latent_workbench.live.loaded import encodings_of
from latent_workbench.shared.numbers import number
from latent_workbench.shared.state import STALE_S
from tests.engine import trained
from tests.pages import ROOT, open_page, texts
from vae_core.latent.encodings import save_encodings
from vae_core.latent.saved import save_direction
from vae_core.runs import Run
from vae_core.runs.derived import derived_folder

PAGES = ("explore", "grids", "encodings", "tune_beta")


@pytest.fixture
def run(tiny_run: Run) -> Run:
    return tiny_run


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_store_says_what_to_do_next(name: str) -> None:
    app = open_page(name)
    assert "Nothing is trained yet" in texts(app)
    assert "Train a model" in [button.label for button in app.button]


@pytest.mark.parametrize("name", PAGES)
def test_pages_open_the_only_run_and_write_it_into_the_address(run: Run, name: str) -> None:
    app = open_page(name)
    assert not app.warning
    assert app.query_params["run"] == "tiny"


def test_the_address_chooses_the_run_and_an_unknown_one_is_told(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "other")
    assert open_page("explore", run="other").title[0].value == "Explore other"
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60)
    app.query_params["run"] = "../tiny"
    app.run()
    assert not app.exception
    assert "There is no run called '../tiny'" in texts(app)


def test_a_run_picked_on_one_page_is_the_run_of_all(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "other")
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60)
    app.query_params["run"] = "tiny"
    app.run()
    # AppTest shows the picker, which the entry script draws, on the first page only.
    app.selectbox(key="run-picker").select("other").run()
    assert app.query_params["run"] == "other"
    for name in ("explore", "grids", "encodings"):
        app.switch_page(f"pages/{name}.py").run()
        assert app.title[0].value.endswith(" other")


def test_a_request_that_left_before_the_choice_does_not_undo_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choosing() -> None:
        import streamlit as st

        from latent_workbench.shared.state import choose_run, current_run_id

        if st.button("other"):
            choose_run("other")
        st.text(current_run_id([]))

    shutil.copytree(run.path, tmp_path / "other")
    app = AppTest.from_function(choosing)
    app.query_params["run"] = "tiny"
    app.run()
    assert app.text[0].value == "tiny"
    app.button[0].click().run()
    app.query_params["run"] = "tiny"  # a chart's request, from before
    app.run()
    assert app.text[0].value == app.query_params["run"] == "other"
    later = monotonic() + STALE_S
    monkeypatch.setattr("latent_workbench.shared.state.monotonic", lambda: later)
    app.query_params["run"] = "tiny"  # the browser's history
    app.run()
    assert app.text[0].value == "tiny"


@pytest.mark.parametrize("name", PAGES)
def test_damaged_weights_are_told_in_a_sentence(run: Run, name: str) -> None:
    run.file("model.safetensors").write_bytes(b"not weights")
    run.file("encodings.safetensors").write_bytes(b"not encodings")
    app = open_page(name, run="tiny")
    if name != "tune_beta":  # which needs neither
        assert "damaged" in app.error[0].value


# --- grids ---------------------------------------------------------------------------------------


def shown_kind(app: AppTest, kind: str) -> AppTest:
    app.segmented_control(key="grid-kind").set_value(kind).run()
    assert not app.exception and not app.warning
    return app


def downloads(app: AppTest) -> list[str]:
    return [button.proto.label for button in app.get("download_button")]


def test_every_kind_of_sheet_is_drawn_and_can_be_taken_home(run: Run) -> None:
    app = open_page("grids")
    assert downloads(app) == ["PNG"]
    assert downloads(shown_kind(app, "Traversals")) == ["PNG", "GIF", "WebP"]
    # A sheet for each prior, and one of real images.
    assert len(downloads(shown_kind(app, "Samples"))) == 3
    for how in ("worst", "best"):
        shown_kind(app, "Reconstructions")
        app.segmented_control(key="recon-order").set_value(how).run()
        assert downloads(app) == ["PNG"] and "training images that the run keeps" in texts(app)
    assert downloads(shown_kind(app, "Interpolations")) == ["PNG", "GIF", "WebP"]


def test_course_plots_are_one_click_in_raw_latent_units(run: Run) -> None:
    app = open_page("grids")
    app.button(key="course-3").click().run()
    assert (app.selectbox(key="grid-x").value, app.selectbox(key="grid-y").value) == ("z0", "z1")
    assert app.number_input(key="grid-reach").value == 3.0
    assert app.segmented_control(key="grid-units").value == "latent units"


def test_two_runs_show_the_same_plane_side_by_side(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "other")
    app = open_page("grids", run="tiny")
    app.selectbox(key="grid-beside").select("other").run()
    assert not app.exception and downloads(app) == ["PNG", "PNG"]


def test_planes_offer_principal_raw_class_and_saved_directions(run: Run) -> None:
    mu, labels = encodings_of(run).mu, encodings_of(run).labels
    save_direction(run, "smile", np.array([0.0, 3.0, 0.0, 4.0]))
    axes = all_axes(run)
    assert {"z0", "z3", "towards 0", "towards 9", "saved: smile"} <= axes.keys()
    np.testing.assert_allclose(axes["saved: smile"].vector, [0, 0.6, 0, 0.8], rtol=1e-6)
    way = mu[labels == 7].mean(axis=0) - mu.mean(axis=0)
    np.testing.assert_allclose(axes["towards 7"].vector, way / np.linalg.norm(way), atol=1e-5)


def test_course_plots_are_there_among_hundreds_of_dimensions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    deep = trained(tmp_path, "deep", family="hierarchical", train={"epochs": 1})
    size = encodings_of(deep).mu.shape[1]
    axes = all_axes(deep)
    assert size > 64 and axes["z1"].vector.tolist() == np.eye(size)[1].tolist()
    app = open_page("grids", run="deep")
    app.button(key="course-1").click().run()
    assert not app.exception and app.selectbox(key="grid-y").value == "z1"


def test_a_diverged_run_says_so(run: Run) -> None:
    broken = encodings_of(run).mu.copy()
    broken[:5] = np.nan
    save_encodings(run, replace(encodings_of(run), mu=broken))
    app = open_page("grids")
    assert "5 of 300 images have no finite encoding" in app.warning[0].value


def test_a_prior_that_takes_long_is_learned_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    run = trained(tmp_path, "coded", family="vq-vae", objective={"codes": 16, "halvings": 2})
    run.file("job.json").unlink()
    app = shown_kind(open_page("grids"), "Samples")
    app.button_group(key="samples-priors-coded").set_value(["autoregressive"]).run()
    app.button(key="samples-learning-autoregressive-coded-start").click().run()
    until = monotonic() + 60
    while not derived_folder(run).has("prior-autoregressive.safetensors") and monotonic() < until:
        assert not app.exception and not app.warning
        sleep(0.2)
    app.run()
    app.run()
    assert downloads(app) == ["PNG", "PNG"]  # its samples and real images


def test_animations_go_there_and_back() -> None:
    pictures = np.arange(3 * 4, dtype=np.uint8).reshape(3, 4, 1, 1, 1)
    frames = turns(pictures)
    assert frames.shape == (6, 1, 1, 3)
    assert frames[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 2, 1]


def test_ticks_have_one_length_and_a_true_minus() -> None:
    assert ticks(np.array([-1.5, -1e-4, 0, 2])) == ["−1.50", "0.00", "0.00", "2.00"]


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, text",
    [
        (97.0123, "97.0"),
        (0.01234, "0.0123"),
        (-417.2, "−417"),
        (12345.6, "12\u2009346"),
        (1234567.0, "1.23e+06"),
        (0.1, "0.1"),
        (4.0, "4"),
        (None, "—"),
        (float("nan"), "—"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text
