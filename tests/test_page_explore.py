"""Explore without a browser: what it tells its explorer, its directions, its address."""

from __future__ import annotations

import base64
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latent_workbench.components.explorer import explorer_data, moved
from latent_workbench.components.explorer.direction_sets import DIRECTION_SETS, offered, sliders_for
from latent_workbench.live.resources import encodings_of
from latent_workbench.shared.explore_view import CLASSES, LOCAL, PRINCIPAL, RAW, SAVED, View
from tests.engine import trained
from tests.pages import APP_STATE, open_page, texts
from vae_core.latent.encodings import save_encodings
from vae_core.latent.saved import save_direction
from vae_core.runs import Run


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def raw(*numbers: float) -> bytes:
    return np.array(numbers, "<f4").tobytes()


@pytest.fixture
def run(tiny_run: Run) -> Run:
    return tiny_run


def test_explorer_data_describes_the_space(run: Run) -> None:
    data = explorer_data(run, View(), "full")
    told, mu = data["directions"], encodings_of(run).mu
    assert data["run"] == "tiny" and data["shape"] == [1, 16, 16] and data["position"] is None
    vectors = floats(told["vectors"]).reshape(-1, 4)
    assert len(vectors) == len(told["deviations"]) == len(told["explained"]) == 4
    np.testing.assert_allclose(floats(told["center"]), mu.mean(0), atol=1e-5)
    along = (mu - mu.mean(0)) @ vectors[0]
    assert along.std(ddof=1) == pytest.approx(told["deviations"][0], rel=1e-3)
    assert sum(told["explained"]) == pytest.approx(1, abs=1e-4)


def test_the_map_has_every_encoding_in_sigma_with_its_label(run: Run) -> None:
    data, encodings = explorer_data(run, View(), "full"), encodings_of(run)
    points = floats(data["plane"]["points"]).reshape(-1, 2)
    assert len(points) == len(encodings.mu) == data["count"]
    np.testing.assert_allclose(points.std(0, ddof=1), 1, rtol=1e-3)
    np.testing.assert_allclose(points.mean(0), 0, atol=1e-3)
    assert np.frombuffer(base64.b64decode(data["labels"]), "<i2").tolist() == list(encodings.labels)
    assert np.frombuffer(base64.b64decode(data["places"]), "<i4").tolist() == list(
        encodings.indices
    )


def test_the_hero_has_two_sliders_and_takes_up_a_fitting_position_only(run: Run) -> None:
    data = explorer_data(run, View(z=raw(1, 2, 3, 4)), "hero")
    assert data["directions"]["names"] == ["1", "2"] and "plane" not in data
    assert floats(data["position"]).tolist() == [1, 2, 3, 4]
    assert explorer_data(run, View(z=raw(1)), "hero")["position"] is None


def test_a_view_is_restored_slider_by_slider_under_its_own_directions_only(run: Run) -> None:
    view = View(values=(0.5, 0, 0, -1), base=raw(1, 2, 3, 4), z=raw(9, 9, 9, 9))
    told = explorer_data(run, view, "full")["view"]
    assert told["values"] == (0.5, 0, 0, -1) and floats(told["base"]).tolist() == [1, 2, 3, 4]
    fewer = View(values=(0.5,), z=raw(9, 9, 9, 9))
    data = explorer_data(run, fewer, "full")
    assert data["view"] is None and floats(data["position"]).tolist() == [9, 9, 9, 9]


def test_raw_axes_come_with_the_most_informative_first(run: Run) -> None:
    encodings = encodings_of(run)
    mu, logvar = encodings.mu, encodings.logvar
    kl = 0.5 * (mu**2 + np.exp(logvar) - logvar - 1).mean(0)
    names = explorer_data(run, View(RAW), "full")["directions"]["names"]
    assert names == [f"z{i}" for i in np.argsort(-kl)]


def test_unused_axes_come_last_marked_and_folded_away(run: Run) -> None:
    told = explorer_data(run, View(RAW), "full")["directions"]
    assert told["dead"] == [True] * 4  # ten steps teach nothing, and the page says so
    encodings = encodings_of(run)
    spread = np.array([9, 0.01, 9, 9]) / encodings.mu.std(0)
    mu = (encodings.mu * spread).astype(np.float32)
    save_encodings(run, replace(encodings, mu=mu))
    told = explorer_data(run, View(RAW), "full")["directions"]
    assert len(told["names"]) == 3 and "z1" not in told["names"] and told["total"] == 4
    told = explorer_data(run, View(RAW, shown=11), "full")["directions"]
    assert told["names"][-1] == "z1" and told["dead"] == [False, False, False, True]


def test_without_encodings_the_sliders_are_the_priors_axes_and_say_so(run: Run) -> None:
    run.file("encodings.safetensors").unlink()
    data = explorer_data(run, View(), "full")
    told = data["directions"]
    assert told["names"] == ["z0", "z1", "z2", "z3"]
    assert told["deviations"] == [1.0] * 4 and told["explained"] is None
    assert data["plane"] is None and data["count"] == 0
    control = open_page("explore").get("button_group")[0]
    assert "no cached encodings" in control.proto.help


def test_local_directions_belong_to_the_point_where_they_were_fitted(run: Run) -> None:
    mu = encodings_of(run).mu
    here, there = (
        sliders_for(run, View(LOCAL, neighbours=30, at=mu[i].tobytes())).directions for i in (0, 9)
    )
    np.testing.assert_array_equal(here.center, mu[0])
    assert not np.allclose(here.vectors[0], there.vectors[0], atol=1e-3)


def test_class_directions_name_where_they_lead(run: Run) -> None:
    sliders = sliders_for(run, View(CLASSES, label=3))
    assert not sliders.orthogonal and len(sliders.names) == 9
    encodings = encodings_of(run)
    mean = encodings.mu[encodings.labels == 3].mean(0)
    np.testing.assert_allclose(sliders.directions.center, mean, atol=1e-5)
    assert "towards 3" not in sliders.names and "towards 4" in sliders.names


def test_saved_directions_become_sliders_at_once(run: Run) -> None:
    assert len(sliders_for(run, View(SAVED)).names) == 0
    save_direction(run, "thicker", np.array([0, 2, 0, 0], np.float32))
    sliders = sliders_for(run, View(SAVED))
    assert sliders.names == ("thicker",)
    assert sliders.directions.vectors[0].tolist() == [0, 1, 0, 0]
    deviation = encodings_of(run).mu[:, 1].std()
    assert sliders.directions.deviations[0] == pytest.approx(deviation, rel=1e-5)


def test_classes_are_offered_where_there_are_labels(run: Run) -> None:
    encodings = encodings_of(run)
    assert offered(run, encodings) == list(DIRECTION_SETS)
    assert CLASSES not in offered(run, replace(encodings, labels=None))
    assert CLASSES not in offered(run, replace(encodings, labels=np.zeros(300, np.int64)))


def test_a_link_reopens_its_view_and_a_damaged_one_says_so(run: Run) -> None:
    view = View(LOCAL, neighbours=50, at=raw(0, 0, 0, 1), values=(1, 0, 0, 0), base=raw(1, 2, 3, 4))
    app = open_page("explore", run="tiny", **view.to_query())
    found = app.session_state[APP_STATE].views["tiny"]
    assert replace(found, z=None) == view and len(found.z) == 16
    assert dict(app.query_params) == {"run": "tiny"} | view.to_query()
    assert app.number_input[0].value == 50
    app = open_page("explore", run="tiny", base="####")
    assert "The link's base is damaged" in texts(app)


def test_a_link_of_zero_values_keeps_its_base_and_knows_its_point(run: Run) -> None:
    base = raw(1, 2, 3, 4)
    link = View(base=base, values=(0, 0, 0, 0)).to_query()
    assert list(link) == ["base"]
    app = open_page("explore", run="tiny", **link)
    view = app.session_state[APP_STATE].views["tiny"]
    assert view.z == base
    told = explorer_data(run, view, "full")["view"]
    assert told["values"] == (0.0,) * 4 and floats(told["base"]).tolist() == [1, 2, 3, 4]


def test_a_link_made_for_another_run_opens_this_one_at_its_mean(run: Run) -> None:
    link = View(LOCAL, at=raw(1, 2), base=raw(1, 2), values=(1,)).to_query()
    app = open_page("explore", run="tiny", **link)
    assert app.session_state[APP_STATE].views["tiny"].kind == LOCAL
    data = explorer_data(run, app.session_state[APP_STATE].views["tiny"], "full")
    assert data["view"] is None and data["position"] is None
    gone = open_page("explore", run="gone", **link)
    assert "tiny" not in gone.session_state[APP_STATE].views or (
        gone.session_state[APP_STATE].views["tiny"].kind == PRINCIPAL
    )


def test_labels_and_files_that_are_not_right_leave_the_explorer_standing(run: Run) -> None:
    found = sliders_for(run, View(CLASSES, label=77))
    assert "towards 0" not in found.names and len(found.names) == 9
    run.file("saved_directions.json").write_text("nonsense")
    app = open_page("explore")
    assert not app.warning and "damaged" in app.error[0].value
    assert app.get("button_group")


def test_a_second_run_on_the_same_data_is_shown_beside(run: Run, tmp_path: Path) -> None:
    assert not [box for box in open_page("explore").selectbox if box.label == "Compare with"]
    for name in ("second", "third"):
        shutil.copytree(run.path, tmp_path / name)
    app = open_page("explore", run="tiny", beside="second")
    assert [header.value for header in app.subheader] == ["tiny", "second"]
    assert app.toggle[0].value is True
    app.selectbox(key="beside-tiny").select("third").run()
    assert [header.value for header in app.subheader] == ["tiny", "third"]
    assert app.query_params["beside"] == "third"


def test_a_conditional_run_offers_its_labels(tmp_path: Path, run: Run) -> None:
    assert "conditions" not in explorer_data(run, View(condition=3), "full")
    conditional = trained(tmp_path, "conditional", family="conditional-vae")
    data = explorer_data(conditional, View(condition=3), "hero")
    assert data["conditions"] == [str(digit) for digit in range(10)] and data["label"] == 3
    assert explorer_data(conditional, View(condition=99), "full")["label"] == 0


def test_what_the_browser_tells_becomes_the_view() -> None:
    told = {
        "values": [0.5, 0],
        "base": base64.b64encode(raw(1, 2)).decode(),
        "z": base64.b64encode(raw(3, 4)).decode(),
        "label": 5,
        "dial": 0.5,
        "directions": "raw/2",
    }
    view = moved(View(RAW, shown=2), told, "raw/2")
    told_so = {"condition": 5, "dial": 0.5, "z": raw(3, 4)}
    assert view == View(RAW, shown=2, values=(0.5, 0.0), base=raw(1, 2), **told_so)
    assert moved(view, told | {"base": None}, "raw/2").base is None
    # A release and a change of directions may come in one go: the values were of the old ones.
    late = moved(View(LOCAL), told, "local/8")
    assert late == View(LOCAL, **told_so)


def test_a_button_makes_the_page_that_one_takes_home(run: Run) -> None:
    app = open_page("explore")
    app.button(key="html-file").click().run()
    end = time.monotonic() + 180
    while not app.get("download_button") and time.monotonic() < end:
        time.sleep(1)
        app.run()
    assert not app.warning and not app.exception
    (offered_file,) = app.get("download_button")
    assert "tiny.html" in offered_file.proto.label
    assert any("MB" in caption.value for caption in app.caption)
