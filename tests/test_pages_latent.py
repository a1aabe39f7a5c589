"""Explore, Grids, Encodings and Tune β on a real trained run, with no data set present."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages import ROOT, open_page, texts
from ui.axes import axes_of
from ui.loaded import encodings_of, model_of
from ui.numbers import number
from vae_core.runs import Run

PAGES = ("explore", "grids", "encodings", "tune_beta")


@pytest.fixture
def run(tiny_run: Run) -> Run:
    return tiny_run


def charts(app: AppTest) -> list[Any]:
    """The figures on the page, as plotly's JSON."""
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def axis_titles(figure: Any) -> list[str]:
    return [figure["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")]


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


@pytest.mark.parametrize("name", PAGES)
def test_damaged_weights_are_told_in_a_sentence(run: Run, name: str) -> None:
    run.file("model.safetensors").write_bytes(b"not weights")
    run.file("encodings.safetensors").write_bytes(b"not encodings")
    app = open_page(name)
    if name != "tune_beta":  # which needs neither
        assert "damaged" in app.warning[0].value


# --- grids ---------------------------------------------------------------------------------------


def test_the_grid_changes_with_its_controls_and_can_be_taken_home(run: Run) -> None:
    app = open_page("grids")
    before = charts(app)[0]
    app.number_input(key="grid-n").set_value(4).run()
    assert not app.exception and charts(app)[0] != before
    assert "Download PNG" in [button.proto.label for button in app.get("download_button")]


def test_course_plots_are_one_click_in_raw_latent_units(run: Run) -> None:
    app = open_page("grids")
    app.button(key="course-3").click().run()
    assert (app.selectbox(key="grid-x").value, app.selectbox(key="grid-y").value) == ("z0", "z1")
    assert app.number_input(key="grid-reach").value == 3.0
    assert axis_titles(charts(app)[0]) == ["z0, in latent units", "z1, in latent units"]


def test_the_grid_is_what_the_decoder_draws(run: Run) -> None:
    from pages.grids import decoded_tile
    from ui.live.models import decode_pixels, weights_version
    from vae_core.data.pictures import from_png

    steps = np.eye(4, dtype=np.float32)[:2]
    values = np.array([-2.0, 0.0, 2.0], np.float32)
    center = np.full(4, 0.25, np.float32)
    png, size = decoded_tile(run.path, weights_version(run), center, steps, values)
    assert size == (48, 48)
    # The upper right cell has both at their largest.
    expected = decode_pixels(model_of(run), (center + 2 * steps[0] + 2 * steps[1])[None])
    assert np.abs(from_png(png, 1)[0, :16, 32:].astype(int) - expected[0, ..., 0]).max() <= 1


# --- encodings -----------------------------------------------------------------------------------


def test_encodings_are_coloured_by_label_and_counted(run: Run) -> None:
    app = open_page("encodings")
    encodings = encodings_of(run)
    assert f"{number(len(encodings.mu))} posterior means" in texts(app)
    assert len(charts(app)[0]["data"]) == len(np.unique(encodings.labels)) == 10
    app.selectbox(key="encodings-x").select("z2").run()
    assert not app.exception and axis_titles(charts(app)[0])[0] == "z2, in σ"


def test_axes_measure_in_sigma_from_the_mean_or_in_latent_units_from_the_origin(run: Run) -> None:
    mu = encodings_of(run).mu
    axis = axes_of(run)["z2"]
    np.testing.assert_allclose(axis.along(mu, in_sigma=False), mu[:, 2], rtol=1e-6)
    scaled = axis.along(mu, in_sigma=True)
    assert scaled.mean() == pytest.approx(0, abs=1e-4) and scaled.std() == pytest.approx(
        1, abs=1e-3
    )


def test_no_encodings_yet(run: Run) -> None:
    run.file("encodings.safetensors").unlink()
    assert "no encodings yet" in texts(open_page("encodings"))


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
