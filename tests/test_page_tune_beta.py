"""The page Tune β on real runs: what it shows, and what its buttons do."""

from __future__ import annotations

import base64
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from latent_workbench.shared.formatting import number
from tests.engine import trained
from tests.pages import charts, texts
from tests.test_jobs import until
from vae_core.errors import UserError
from vae_core.loading import load_run
from vae_core.runs import Run, Store
from vae_core.runs.migrations import to_store
from vae_core.sweeps import BETA, SEED, Sweep, SweepSpec, sweeps_of
from vae_core.sweeps.sweep import create_sweep

APP = str(Path(__file__).resolve().parents[1] / "streamlit_app.py")


def numbers(values: Any) -> list[float]:
    """A trace's values, which plotly may have packed."""
    if isinstance(values, dict):
        packed = base64.b64decode(values["bdata"])
        return [float(value) for value in np.frombuffer(packed, values["dtype"])]
    return list(values)


@pytest.fixture
def run(tiny_run: Run) -> Run:
    return tiny_run


def tune(tab: str, run: str = "tiny", compare: bool = False, **parameters: str) -> AppTest:
    """The page with one of its tabs open, and runs being compared or not."""
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params.update({"run": run, **parameters})
    app.run()
    app.session_state["tune-tab"] = tab
    app.session_state["compare"] = compare
    app.switch_page("pages/tune_beta.py").run()
    assert not app.exception
    return app


def keys(app: AppTest) -> set[str]:
    return {button.key for button in app.button if button.key}


def test_live_shows_the_schedule_and_where_the_nats_are(run: Run) -> None:
    warm = {"objective": {"beta": 4.0, "schedule": "linear", "schedule_steps": 4}}
    run.write_json("config.json", to_store(run.config().updated(warm)))
    run.append("history.jsonl", {"kind": "set", "step": 8, "name": "beta", "value": 2.0})
    app = tune("Live")
    chart = charts(app)[0]
    planned, by_hand = (numbers(trace["y"]) for trace in chart["data"])
    assert (planned[0], max(planned), planned[-1]) == (0.0, 4.0, 4.0)
    assert by_hand[0] == 2.0
    assert chart["layout"]["shapes"][0]["x0"] == run.status().step, "where training stands"
    validation = [r for r in run.history()[0] if r["kind"] == "validation"][-1]["terms"]
    assert f"KL {number(validation['kl'])} nats" in texts(app)
    assert "sees nothing wrong" in texts(app)


def test_a_collapse_is_told_on_every_tab_and_its_remedy_starts_a_mended_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = run.config().updated({"objective": {"beta": 100.0}})
    run.write_json("config.json", to_store(config))
    run.file("history.jsonl").unlink()
    for step in (60, 70, 80):
        terms = {"recon": 200.0, "kl": 0.001}
        record = {"kind": "step", "step": step, "epoch": 2, "time": 1.0, "terms": terms}
        run.append("history.jsonl", record | {"total": 200.1, "beta": 100.0, "images_per_s": 1.0})
    started: list[Run] = []
    launch = lambda run, *told, **more: started.append(run)  # noqa: E731
    monkeypatch.setattr("vae_core.training.jobs._launch", launch)
    for tab in ("Live", "Sweep", "Units"):
        app = tune(tab)
        assert "The posterior has collapsed" in texts(app)
        assert "KL 0.001 nats per image over 4 dimensions at β = 100" in texts(app)
    app.button(key="remedy-collapsed-0").click().run()
    assert not app.exception
    assert [each.id for each in started] == ["tiny-mended"]
    assert started[0].config().objective["beta"] == 1.0
    assert app.query_params["run"] == "tiny-mended"


def test_comparable_runs_share_one_chart(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "beta-4")
    other = Store().get("beta-4")
    other.write_json("config.json", to_store(run.config().updated({"objective": {"beta": 4.0}})))
    measured = {"kl": 1.0, "recon": 500.0, "elbo": -501.0, "controls": {"beta": 4.0}}
    other.write_json("summary.json", run.summary() | measured)
    shutil.copytree(run.path, tmp_path / "faces")
    faces = Store().get("faces")
    faces.write_json(
        "config.json", to_store(run.config().updated({"model": {"likelihood": "gaussian"}}))
    )
    app = tune("Sweep", sweep="all", compare=True)
    points = charts(app)[0]["data"][-1]
    heads = [text.partition("<br>")[0] for text in points["text"]]
    shown = sorted(zip(points["customdata"], heads, strict=True))
    assert shown == [("beta-4", "β 4"), ("tiny", "β 1")]
    assert all("bits per dimension" in text for text in points["text"])
    table = app.dataframe[0].value
    assert list(table["run"]) == ["tiny", "beta-4"]
    assert list(table["objective.beta"]) == [1.0, 4.0]
    assert "latent_dim" in table and "model.latent_dim" not in table, "only what differs"


def pictures(app: AppTest, name: str) -> list[str]:
    """The pictures of this class on the page, as they are written into it."""
    found = [str(html.value) for html in app.get("html") if name in str(html.value)]
    return [html.partition('src="')[2].partition('"')[0] for html in found]


def test_runs_are_compared_by_curves_and_samples_of_the_same_z(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "copy")
    app = tune("Sweep", sweep="all", compare=True)
    curves = charts(app)[-1]
    assert {trace["name"] for trace in curves["data"]} == {"tiny", "copy"}
    assert curves["layout"]["xaxis"]["title"]["text"] == "step"
    assert "nats" in curves["layout"]["yaxis"]["title"]["text"]
    app.segmented_control(key="comparison-axis").set_value("epoch").run()
    curves = charts(app)[-1]
    validation = next(trace for trace in curves["data"] if trace["line"]["dash"] == "dash")
    epochs = run.config().train.epochs
    assert numbers(validation["x"])[-1] == epochs, "whole epochs where a part was measured"
    train = next(trace for trace in curves["data"] if trace["line"]["dash"] == "solid")
    assert len(set(numbers(train["x"]))) == len(numbers(train["x"])), "parts of epochs between"
    drawn = pictures(app, "same-z-picture")
    assert len(drawn) == 2 and drawn[0] == drawn[1], "equal models, equal z"
    app.button(key="same-z-again").click().run()
    assert pictures(app, "same-z-picture")[0] != drawn[0]
    app.multiselect(key="comparison-runs-all").set_value(["copy"]).run()
    assert len(pictures(app, "same-z-picture")) == 1
    (tmp_path / "copy" / "model.safetensors").unlink()
    assert "No weights yet" in texts(app.run())


def test_scores_are_made_by_a_process_beside_and_one_that_fails_stops_no_other(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With progress and a button that stops it; what went wrong is a sentence."""
    for name in ("tiny", "copy"):
        if name != "tiny":
            shutil.copytree(run.path, tmp_path / name)
        card = json.loads((tmp_path / name / "data.json").read_text())
        (tmp_path / name / "data.json").write_text(json.dumps(card | {"factor_names": ["shape"]}))
    asked: list[str] = []
    goes_on = threading.Event()

    def beside(command: list[str], of: Run, progress: Any) -> None:
        asked.append(" ".join(command))
        while not goes_on.wait(0.05):
            progress("Scoring all images: means", 0.5)
        raise UserError(f"Run {of.id!r} has collapsed.")

    monkeypatch.setattr("latent_workbench.tune.comparison.in_process", beside)
    app = tune("Sweep", sweep="all", compare=True)
    app.button(key="score-runs").click().run()
    assert "score-runs" not in keys(app) and "stop-scoring" in keys(app)
    (bar,) = [each.proto for each in app.get("progress") if "Scoring" in each.proto.text]
    assert bar.text.endswith(": Scoring all images: means") and bar.value == 25
    goes_on.set()
    until(lambda: len(asked) == 2)
    app.run()
    assert sorted(asked) == ["score copy", "score tiny"]
    assert "Run 'copy' has collapsed." in texts(app) and "Run 'tiny' has collapsed." in texts(app)
    goes_on.clear()
    app.button(key="again-scoring").click().run()
    app.button(key="score-runs").click().run()
    app.button(key="stop-scoring").click().run()
    until(lambda: "This was stopped." in texts(app.run()))
    assert not app.exception


def test_the_converter_tells_a_weight_in_every_convention(run: Run) -> None:
    app = tune("Units")
    app.selectbox(key="units-convention").select("pytorch-vae")
    app.number_input(key="units-weight-tiny-10").set_value(0.5)
    app.number_input(key="units-sigma-tiny-10").set_value(0.2)
    app.number_input(key="units-s-tiny-10").set_value(0.5).run()
    # β = w·P·s²/(2σ²) with P = 16·16; L = 4 times as much as a mean over dimensions.
    beta = 0.5 * 256 * 0.25 / (2 * 0.04)
    shown = texts(app)
    for weight in (beta, 0.5, 0.5 * 4, beta * 0.04 / 0.25):
        assert f"**{number(weight)}**" in shown
    assert "Bernoulli" in shown  # a warning that its σ is borrowed
    assert f"**{number(beta / 256)}**" in shown  # of a mean cross-entropy: β = w·P


def test_units_of_a_run_take_its_own_sigma_beta_and_latents(tiny_run: Run, tmp_path: Path) -> None:
    """The σ that a colour run has learned, not the 0.1 that its settings hold; 4·2·2 latents."""
    changes = {"family": "spatial-vae", "model": {"likelihood": "gaussian-optimal"}}
    objective = {"beta": 4.0, "schedule": "linear", "schedule_steps": 20, "halvings": 2}
    run = trained(tmp_path, "learned", **changes, objective=objective)
    sigma = float(load_run(run).model.likelihood.variance) ** 0.5
    app = tune("Units", "learned")
    assert not app.exception
    assert app.number_input(key="units-weight-learned-10").value == pytest.approx(4.0 * 9 / 20)
    found = app.number_input(key="units-sigma-learned-10").value
    assert found == pytest.approx(sigma, rel=1e-3) and abs(found - 0.1) > 0.02
    size = load_run(run).model.latent_size
    assert size > 4 and f"L = {size} latent dimensions" in texts(app)
    assert "saved weights have learned" in texts(app) and "bce." not in texts(app)


def test_units_of_an_absolute_error_are_not_told_as_those_of_a_squared_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    trained(tmp_path, "absolute", model={"likelihood": "laplace"}, train={"epochs": 1})
    app = tune("Units", "absolute")
    assert not app.exception and "no Gaussians of one σ" in texts(app)


def test_a_sweep_is_set_up_started_and_followed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[str] = []
    monkeypatch.setattr(
        "latent_workbench.tune.sweep_form.launch", lambda sweep: launched.append(sweep.id)
    )
    app = tune("Sweep")
    app.text_input(key="sweep-betas").input("0.5, 2")
    app.selectbox(key="sweep-second").select("model.latent_dim").run()
    app.text_input(key="sweep-model.latent_dim").input("2, 4")
    app.text_input(key="sweep-name").input("s").run()
    assert app.button(key="start-sweep").label == "Start 4 runs"
    app.button(key="start-sweep").click().run()
    assert not app.exception and launched == ["s"]
    spec = sweeps_of(Store())[0].spec()
    assert spec.vary == {"objective.beta": (0.5, 2.0), "model.latent_dim": (2, 4)}
    assert spec.base.data == run.config().data
    assert app.selectbox(key="sweep-choice").value == "s"
    assert "β 0.5 · latent_dim 2" in texts(app)


@pytest.mark.parametrize("betas, problem", [("0", "no positive"), ("1,1", "twice"), ("", "no v")])
def test_values_that_cannot_be_tried_are_told_at_once(run: Run, betas: str, problem: str) -> None:
    app = tune("Sweep")
    app.text_input(key="sweep-betas").input(betas).run()
    assert problem in app.error[0].value
    assert "start-sweep" not in keys(app)


@pytest.mark.parametrize(
    "key, text, problem",
    [
        ("sweep-name", "taken", "already a sweep called 'taken'"),
        ("sweep-name", "../out", "is no name of a sweep"),
        ("sweep-storage", "nonsense", "no database URL"),
        ("sweep-storage", "sqlite:////no/such/folder/study.db", "cannot be reached"),
    ],
)
def test_a_sweep_that_cannot_begin_says_why_and_leaves_nothing(
    run: Run, key: str, text: str, problem: str
) -> None:
    create_sweep(Store(), "taken", SweepSpec(base=run.config(), vary={BETA: (1.0,)}))
    app = tune("Sweep")
    app.text_input(key="sweep-name").input("new")
    app.text_input(key=key).input(text).run()
    app.button(key="start-sweep").click().run()
    assert problem in app.error[0].value and not app.exception
    assert [sweep.id for sweep in sweeps_of(Store())] == ["taken"]
    assert [each.id for each in Store()] == ["tiny"]


def test_the_queue_is_paused_ordered_and_cancelled_from_the_page(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = SweepSpec(base=run.config(), vary={BETA: (1.0, 2.0, 3.0)})
    sweep = create_sweep(Store(), "s", spec)
    monkeypatch.setattr(Sweep, "is_alive", lambda self: True)
    sweep.write_json("state.json", sweep.written_state().model_copy(update={"state": "running"}))
    app = tune("Sweep", sweep="s")
    app.button(key="up-2").click().run()
    assert [entry.number for entry in sweep.state().entries] == [0, 2, 1]
    app.button(key="drop-1").click().run()
    assert sweep.state().entry(1).state == "cancelled"
    app.button(key="pause-sweep").click().run()
    assert sweep.state().target == "pause"
    assert app.button(key="pause-sweep").label == "Resume"
    app.button(key="cancel-sweep").click().run()
    assert [entry.state for entry in sweep.state().entries] == ["cancelled"] * 3
    assert not app.exception


def staged(
    run: Run, sweep: Sweep, measured: dict[tuple[float, int], tuple[float, float, int]]
) -> None:
    """Let the runs of a sweep have been measured like this: (KL, recon, active) by (β, seed)."""
    state = sweep.written_state()
    for entry in state.entries:
        kl, recon, active = measured[entry.params[BETA], entry.params.get(SEED, 0)]
        made = Run(sweep.store.path / sweep.spec().run_name(sweep.id, entry.params))
        shutil.copytree(run.path, made.path)
        made.write_json("config.json", to_store(sweep.spec().config(entry.params)))
        summary = {"kl": kl, "recon": recon, "elbo": -kl - recon, "active_units": active}
        controls = {"controls": {"beta": entry.params[BETA]}}
        made.write_json("summary.json", run.summary() | summary | controls)
        done = {"state": "finished", "run": made.id, "value": -kl - recon}
        state = state.replaced(entry.model_copy(update=done))
    sweep.write_json("state.json", state.model_copy(update={"state": "finished"}))


def test_a_finished_sweep_shows_curve_advice_and_board(run: Run) -> None:
    measured = {(0.5, 0): (20.0, 60.0, 4), (1.0, 0): (10.0, 63.0, 4), (2.0, 0): (0.0, 90.0, 0)}
    spec = SweepSpec(base=run.config(), vary={BETA: tuple(beta for beta, _ in measured)})
    sweep = create_sweep(Store(), "s", spec)
    staged(run, sweep, measured)
    app = tune("Sweep", sweep="s")
    heads = [text.partition("<br>")[0] for text in charts(app)[0]["data"][-1]["text"]]
    assert sorted(heads) == ["β 0.5", "β 1", "β 2"]
    assert numbers(charts(app)[1]["data"][1]["y"]) == [4, 4, 0]
    shown = texts(app)
    for advice in ("β = 1 · knee", "β = 1 · no dimension lost", "β = 1 · best ELBO"):
        assert advice in shown
    for what in ("samples", "reconstructions", "traversal"):
        app.segmented_control(key="board-what").set_value(what).run()
        drawn = pictures(app, "board-picture")
        assert len(drawn) == 3 and len(set(drawn)) == 1, "copies of one model"
    chosen = spec.run_name("s", {BETA: 1.0})
    app.button(key=f"board-open-{chosen}").click().run()
    assert app.query_params["run"] == chosen


def test_a_pruned_run_is_drawn_as_none_that_was_finished(run: Run) -> None:
    """It was measured where it was stopped; no line and no advice goes by that."""
    measured = {(0.5, 0): (20.0, 60.0, 4), (1.0, 0): (10.0, 63.0, 4), (2.0, 0): (5.0, 99.0, 3)}
    spec = SweepSpec(base=run.config(), vary={BETA: tuple(beta for beta, _ in measured)})
    sweep = create_sweep(Store(), "s", spec)
    staged(run, sweep, measured)
    state = sweep.written_state()
    last = state.entry(2)
    gone = last.model_copy(update={"state": "pruned", "value": None, "message": "It is hopeless."})
    sweep.write_json("state.json", state.replaced(gone))
    pruned = Store().get(last.run)
    pruned.set_status(pruned.status().model_copy(update={"state": "stopped", "step": 3}))
    app = tune("Sweep", sweep="s")
    curve, units = charts(app)[:2]
    dots = curve["data"][-1]
    symbols = dict(zip(dots["customdata"], dots["marker"]["symbol"], strict=True))
    assert {name for name, symbol in symbols.items() if symbol != "circle"} == {pruned.id}
    mean = next(trace for trace in curve["data"] if trace.get("error_x"))
    assert numbers(mean["x"]) == [20.0, 10.0]
    line, finished, rings = units["data"]
    assert numbers(line["x"]) == numbers(finished["x"]) == [0.5, 1.0]
    assert numbers(rings["x"]) == [2.0] and rings["marker"]["symbol"] == "circle-open"
    shown = texts(app)
    assert f"{pruned.id} is left out: stopped at step 3" in shown
    assert ":material/content_cut:" in shown and "It is hopeless." in shown


def bars(trace: dict[str, Any], axis: str) -> list[float]:
    return numbers(trace[f"error_{axis}"]["array"])


def test_seeds_of_a_beta_are_one_point_with_a_spread(run: Run) -> None:
    """Seeds differ by 8 nats, β = 1 and β = 2 by 2.6; β = 8 has collapsed, with the best ELBO."""
    base = run.config().updated({"model": {"latent_dim": 4}})
    vary = {BETA: (0.5, 1.0, 2.0, 8.0), SEED: (0, 1)}
    sweep = create_sweep(Store(), "s", SweepSpec(base=base, vary=vary))
    staged(run, sweep, {
        (0.5, 0): (20.0, 120.0, 4), (0.5, 1): (19.0, 121.0, 4),
        (1.0, 0): (10.0, 86.0, 2), (1.0, 1): (9.0, 95.0, 1),
        (2.0, 0): (6.0, 92.6, 1), (2.0, 1): (5.0, 101.6, 1),
        (8.0, 0): (0.06, 80.0, 0), (8.0, 1): (0.05, 81.0, 0),
    })  # fmt: skip
    app = tune("Sweep", sweep="s")
    curve, units = charts(app)[:2]
    (labels,) = (trace["text"] for trace in curve["data"] if trace["mode"] == "text")
    assert [label.strip() for label in labels] == ["β 0.5", "β 1", "β 2", "β 8"], "one label a β"
    means = next(trace for trace in curve["data"] if trace.get("error_x"))
    assert numbers(means["x"]) == [19.5, 9.5, 5.5, pytest.approx(0.055)]
    assert bars(means, "y")[1] == pytest.approx(9 / 2**0.5)
    assert curve["layout"]["xaxis"]["range"][0] > -1.5, "no KL is below 0"
    dots = curve["data"][-1]
    assert len(dots["customdata"]) == 8
    rings = dict(zip(dots["customdata"], dots["marker"]["symbol"], strict=True))
    assert [name for name, symbol in rings.items() if symbol == "circle-open"] == [
        "s-beta8-seed0", "s-beta8-seed1",
    ]  # fmt: skip
    assert bars(units["data"][0], "y") == [0, 0.5, 0, 0]
    shown = texts(app)
    assert "β = 1 or 2 · best ELBO" in shown
    assert "they differ by 2.6 nats per image, seeds of one β by up to 8" in shown
    assert "β = 8 is left out: its code collapsed, to a KL of 0.05 nats" in shown
    assert "1.5 dimensions" not in shown and "all 4 dimensions" in shown


def test_one_seed_of_each_beta_asks_for_more(run: Run) -> None:
    sweep = create_sweep(Store(), "s", SweepSpec(base=run.config(), vary={BETA: (0.5, 1.0)}))
    staged(run, sweep, {(0.5, 0): (20.0, 90.0, 4), (1.0, 0): (10.0, 86.0, 4)})
    shown = texts(tune("Sweep", sweep="s"))
    assert "β = 1 · best ELBO" in shown and "run more seeds" in shown


def test_other_sizes_have_curves_and_advice_of_their_own(run: Run) -> None:
    """4 of 4 and 16 of 16 dimensions are not 10 of anything."""
    vary = {BETA: (0.5, 1.0), "model.latent_dim": (4, 16)}
    sweep = create_sweep(Store(), "s", SweepSpec(base=run.config(), vary=vary))
    staged(run, sweep, {(0.5, 0): (20.0, 90.0, 4), (1.0, 0): (10.0, 99.0, 4)})
    for wide in ("s-beta0.5-latent_dim16", "s-beta1-latent_dim16"):
        made = Store().get(wide)
        made.write_json("summary.json", made.summary() | {"active_units": 16, "latent_dim": 16})
    app = tune("Sweep", sweep="s")
    curve, units = charts(app)[:2]
    named = [trace["name"] for trace in curve["data"] if trace.get("showlegend")]
    assert named == ["latent_dim 4", "latent_dim 16"]
    assert [numbers(line["y"]) for line in units["data"][::2]] == [[4, 4], [16, 16]]
    shown = texts(app)
    assert "all 4 dimensions" in shown and "all 16 dimensions" in shown
    assert "no dimension lost · latent_dim 16" in shown and "10 dimensions" not in shown


def test_what_auto_came_to_is_compared_and_other_images_are_not(run: Run, tmp_path: Path) -> None:
    for name, changes in {
        "spelt": {"model": {"likelihood": "bernoulli"}},
        "sigma": {"family": "sigma-vae"},
        "mine": {"data": {"dataset": "folder", "data_dir": "/pictures/mine"}},
    }.items():
        shutil.copytree(run.path, tmp_path / name)
        made = Store().get(name)
        made.write_json("config.json", to_store(run.config().updated(changes)))
    shutil.copytree(tmp_path / "mine", tmp_path / "yours")
    yours = Store().get("yours")
    other = {"data": {"data_dir": "/pictures/yours"}}
    yours.write_json("config.json", to_store(yours.config().updated(other)))
    everything = charts(tune("Sweep", sweep="all"))[0]["data"][-1]["customdata"]
    assert sorted(everything) == ["spelt", "tiny"], "not σ-VAE's Gaussian"
    mine = charts(tune("Sweep", run="mine", sweep="all"))[0]["data"][-1]["customdata"]
    assert mine == ["mine"], "both lie in a folder, which is no name of images"


def test_a_run_that_has_not_begun_is_not_called_healthy(run: Run) -> None:
    run.file("history.jsonl").unlink()
    shown = texts(tune("Live"))
    assert "waits for the first steps" in shown and "nothing wrong" not in shown


def test_a_model_without_an_elbo_has_none_in_the_queue(run: Run) -> None:
    vary = {"family": ("vae", "autoencoder")}
    sweep = create_sweep(Store(), "s", SweepSpec(base=run.config(), vary=vary))
    state = sweep.written_state()
    for entry, elbo in zip(state.entries, (-110.0, None), strict=True):
        shutil.copytree(run.path, sweep.store.path / f"s-{entry.number}")
        made = Store().get(f"s-{entry.number}")
        made.write_json("config.json", to_store(sweep.spec().config(entry.params)))
        made.write_json("summary.json", {"recon": 90.0, "kl": elbo and 20.0, "elbo": elbo})
        done = {"state": "finished", "run": made.id, "value": elbo or -90.0}
        state = state.replaced(entry.model_copy(update=done))
    sweep.write_json("state.json", state.model_copy(update={"state": "finished"}))
    shown = texts(tune("Sweep", sweep="s"))
    assert "ELBO −110" in shown and "recon 90" in shown and "ELBO −90" not in shown


def test_a_warm_up_is_drawn_before_the_training_starts(run: Run) -> None:
    app = AppTest.from_file(APP, default_timeout=60).run()
    app.switch_page("pages/train.py").run()
    assert not app.exception and charts(app) == [], "a constant β needs no picture"
    key = "train.digits-vae.digits.VaeOptions.objective.schedule"
    app.selectbox(key=f"{key}").select("linear").run()
    values = numbers(charts(app)[0]["data"][0]["y"])
    assert (values[0], values[-1]) == (0.0, 1.0) and values == sorted(values)
