"""The Train page as Streamlit runs it, without a browser and without training processes."""

from __future__ import annotations

import io
import json
import os
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save
from streamlit.testing.v1 import AppTest

from latent_workbench.live.history import latest_beta
from latent_workbench.shared.recipes import on_data, options_of, recipes, recommended, with_backbone
from latent_workbench.shared.state import AppState
from latent_workbench.shared.tasks import Task
from latent_workbench.train.dataset_preview import LARGEST_TILE, rows_of, tile_size
from latent_workbench.train.timing import Stopwatch, Timing, measure_timing
from latent_workbench.train.train_form import _timings, in_words
from tests.engine import trained
from tests.pages import APP_STATE
from tests.pictures import bring, picture
from vae_core.choices import Choice
from vae_core.config import RunConfig, parse_config
from vae_core.data import datasets
from vae_core.errors import UserError
from vae_core.families import complete
from vae_core.runs import DataCard, Run, Status, Store
from vae_core.training import jobs, loop, precision_trial
from vae_core.training.executors import Share

PAGE = str(Path(__file__).resolve().parents[1] / "pages" / "train.py")
FORM = "train.digits-vae.digits"
SMALL = parse_config({"data": {"dataset": "digits"}, "model": {"latent_dim": 2}})


@pytest.fixture(autouse=True)
def _no_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's estimate comes at once; the real stopwatch has its own tests below."""
    _timings.clear()
    timing = Timing(step_s=0.05, steps=1000, between_s=0.5, epochs=40)
    monkeypatch.setattr(
        "latent_workbench.train.train_form.Stopwatch.time",
        lambda self, config, processes: replace(timing, step_s=timing.step_s / processes),
    )


class Started(list[tuple[str, RunConfig]]):
    """Names and configurations of runs that were started, and in how many processes each."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[int] = []


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """What `jobs.start` was asked for; the run is made, no process is."""
    calls = Started()

    def start(
        store: Store, name: str, config: RunConfig, processes: int = 1, share: Share | None = None
    ) -> Run:
        run = store.create(name, complete(config))
        run.claim(os.getpid())
        calls.append((name, config))
        calls.processes.append(processes)
        return run

    monkeypatch.setattr(jobs, "start", start)
    return calls


def open_page(run: Run | None = None) -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state[APP_STATE] = AppState(run_id=run.id if run else None)
    app.run()
    return settled(app)


def settled(app: AppTest) -> AppTest:
    """Run until the data set is loaded and the estimate is there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert not app.exception
        if not any("timing some steps" in c.value for c in app.caption) and not app.get("progress"):
            return app
        time.sleep(0.2)
        app.run()
    raise AssertionError("the page did not come to rest")


def working_run(state: str = "training", **status: Any) -> Run:
    """A run that this very process claims to work on."""
    run = Store().create("at-work", complete(SMALL))
    run.claim(os.getpid())
    run.set_status(Status.model_validate({"state": state, "step": 5, "total_steps": 50, **status}))
    return run


def commands(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.file("control.jsonl").read_text().splitlines()]


def buttons(app: AppTest) -> set[str]:
    return {button.key for button in app.button if button.key}


# --- set up -------------------------------------------------------------------------------------


def test_the_first_visit_shows_real_images_and_may_start() -> None:
    app = open_page()
    texts = [caption.value for caption in app.caption]
    assert any("32×32 px · grey" in text and "10 labels" in text for text in texts)
    assert any("weights" in text and "≈ 70 s" in text for text in texts)
    assert any("first training appears here" in markdown.value for markdown in app.markdown)
    assert not app.button(key="start-training").disabled


def test_start_takes_what_was_typed_and_watches_that_run(
    started: list[tuple[str, RunConfig]],
) -> None:
    app = open_page()
    app.number_input(key=f"{FORM}.TrainConfig.train.epochs").set_value(3)
    app.number_input(key=f"{FORM}.VaeOptions.objective.beta").set_value(4.0)
    app.number_input(key=f"{FORM}.ModelConfig.model.latent_dim").set_value(5)
    app.text_input(key="train-name-0").input("my-run")
    settled(app.run()).button(key="start-training").click().run()
    assert not app.exception
    [(name, config)] = started
    assert name == "my-run"
    assert (config.train.epochs, config.objective["beta"], config.model.latent_dim) == (3, 4.0, 5)
    assert (config.preset, config.data.dataset) == ("digits-vae", "digits")
    assert app.query_params["run"] in ("my-run", ["my-run"])
    assert app.text_input(key="train-name-1").value == ""
    assert {"pause-training", "stop-training"} <= buttons(app)


def test_the_picker_explains_its_family_with_the_weights_that_are_set() -> None:
    app = open_page()
    (formula,) = [each.value for each in app.latex]
    assert r"\underset{1}{\beta}" in formula
    assert any("Kingma and Welling (2014)" in caption.value for caption in app.caption)
    app.number_input(key=f"{FORM}.VaeOptions.objective.beta").set_value(4.0)
    assert r"\underset{4}{\beta}" in settled(app.run()).latex[0].value
    app.selectbox(key="train-recipe-digits").set_value("beta-tcvae")
    (formula,) = [each.value for each in settled(app.run()).latex]
    assert r"\underset{6}{\beta}" in formula and r"\underset{1}{\alpha}" in formula
    assert any("β-TCVAE" in markdown.value for markdown in app.markdown)


def test_a_family_that_the_images_cannot_serve_says_so_before_the_start() -> None:
    app = open_page()
    app.selectbox(key="train-recipe-digits").set_value("beta-tcvae")
    settled(app.run())
    app.number_input(key="train.beta-tcvae.digits.TrainConfig.train.batch_size").set_value(1)
    settled(app.run())
    (error,) = app.error
    assert "“Batch size”: β-TCVAE compares the images of a batch" in error.value
    assert app.button(key="start-training").disabled


def test_a_model_is_trained_in_several_processes(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latent_workbench.train.devices.room_for", lambda kind: 4)
    app = open_page()
    app.number_input(key="train-processes").set_value(5)
    settled(app.run())
    assert any("Processes lies between 1 and 4" in error.value for error in app.error)
    assert app.button(key="start-training").disabled
    app.number_input(key="train-processes").set_value(1)
    assert any("≈ 70 s" in caption.value for caption in settled(app.run()).caption)
    app.number_input(key="train-processes").set_value(3)
    assert any("≈ 40 s" in caption.value for caption in settled(app.run()).caption)
    app.button(key="start-training").click().run()
    assert not app.exception and started.processes == [3]


def test_of_several_gpus_one_or_all_train(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr("latent_workbench.train.devices.choose_device", lambda name: gpu)
    monkeypatch.setattr("latent_workbench.train.devices.room_for", lambda kind: 2)
    app = open_page()
    devices = app.selectbox(key="train-processes-cuda")
    assert devices.label == "Devices" and devices.options == ["one", "all 2"]
    devices.set_value(2)
    settled(app.run()).button(key="start-training").click().run()
    assert not app.exception and started.processes == [2]
    monkeypatch.setattr("latent_workbench.train.devices.room_for", lambda kind: 1)
    assert "train-processes-cuda" not in {each.key for each in open_page().selectbox}


def test_without_a_name_a_free_one_is_taken(started: list[tuple[str, RunConfig]]) -> None:
    Store().create("digits-vae", complete(SMALL))
    app = open_page()
    app.button(key="start-training").click().run()
    assert [name for name, _ in started] == ["digits-vae-2"]


@pytest.mark.parametrize(
    ("name", "sentence"), [("taken", "already a run called 'taken'"), ("../out", "is no run name")]
)
def test_a_bad_name_is_told_and_nothing_typed_is_lost(
    started: list[tuple[str, RunConfig]], name: str, sentence: str
) -> None:
    Store().create("taken", complete(SMALL))
    app = open_page()
    app.text_input(key="train-name-0").input(name)
    app.number_input(key=f"{FORM}.TrainConfig.train.epochs").set_value(7)
    app.button(key="start-training").click().run()  # before the page has answered
    settled(app)
    assert any(sentence in told.value and ":red[" in told.value for told in app.markdown)
    assert any(sentence in error.value for error in app.error)
    assert app.button(key="start-training").disabled
    assert started == []
    assert app.text_input(key="train-name-0").value == name
    assert app.number_input(key=f"{FORM}.TrainConfig.train.epochs").value == 7


def test_a_batch_larger_than_the_data_is_told_before_the_start() -> None:
    app = open_page()
    app.number_input(key=f"{FORM}.TrainConfig.train.batch_size").set_value(5000)
    app.run()
    assert any("“Batch size”: a batch of 5000" in error.value for error in app.error)
    assert app.button(key="start-training").disabled
    assert app.number_input(key=f"{FORM}.TrainConfig.train.batch_size").value == 5000


def test_settings_that_do_not_fit_the_images_name_the_key() -> None:
    app = open_page()
    app.text_input(key=f"{FORM}.ConvOptions.model.options.channels").input("8, 8, 8, 8, 8, 8, 8")
    app.run()
    assert any("model.options.channels" in error.value for error in app.error)
    app.text_input(key=f"{FORM}.ConvOptions.model.options.channels").input("many")
    app.run()
    assert any("model.options.channels" in error.value for error in app.error)
    assert app.button(key="start-training").disabled


def test_another_backbone_brings_its_own_options(started: list[tuple[str, RunConfig]]) -> None:
    app = open_page()
    app.selectbox(key=f"{FORM}.ModelConfig.model.backbone").select("mlp").run()
    app.text_input(key=f"{FORM}.MlpOptions.model.options.hidden").input("64")
    settled(app.run()).button(key="start-training").click().run()
    [(_, config)] = started
    assert config.model.backbone == "mlp" and tuple(config.model.options["hidden"]) == (64,)


def test_your_own_images_by_path(tmp_path: Path, started: list[tuple[str, RunConfig]]) -> None:
    for label in ("cats", "dogs"):
        (tmp_path / label).mkdir()
        for i in range(12):
            shade = np.full((20, 24, 3), 10 * i + 5, np.uint8)
            Image.fromarray(shade).save(tmp_path / label / f"{i}.png")
    app = open_page()
    app.selectbox(key="train-dataset").select("folder").run()
    assert app.button(key="start-training").disabled
    app.text_input(key="train-path").input(str(tmp_path / "nowhere"))
    settled(app.run())
    assert any("nowhere" in error.value for error in app.error)
    assert app.text_input(key="train-path").value == str(tmp_path / "nowhere")
    app.text_input(key="train-path").input(str(tmp_path))
    settled(app.run())
    assert not app.error or all("batch" in error.value for error in app.error)
    recipe = recommended("folder")
    batch = f"train.{recipe}.folder.TrainConfig.train.batch_size"
    app.number_input(key=batch).set_value(4)
    settled(app.run())
    assert any("2 labels" in caption.value for caption in app.caption)
    app.button(key="start-training").click().run()
    [(_, config)] = started
    assert config.data.data_dir == str(tmp_path) and config.train.batch_size == 4


def test_few_images_start_with_nothing_set_and_every_decision_has_its_reason(
    tmp_path: Path, started: list[tuple[str, RunConfig]]
) -> None:
    place = tmp_path / "summer holiday"
    place.mkdir()
    for i in range(24):
        picture(i).save(place / f"{i}.png")
    app = open_page()
    app.selectbox(key="train-dataset").select("folder").run()
    app.text_input(key="train-path").input(str(place))
    settled(app.run())
    assert not app.error
    (line,) = [each for each in app.expander if each.label.startswith("Decided from the images")]
    told = "\n".join(each.value for each in line.markdown)
    assert "**Batch size** 8" in told and "training images make" in told
    assert "**Latent dimensions** 16" in told and "Levina" in told
    assert any("at most" in each.value for each in app.caption), "it may end early"
    batch = "train.images-vae.folder.TrainConfig.train.batch_size"
    assert app.number_input(key=batch).value is None
    settled(app.run())
    assert app.number_input(key=batch).placeholder == "auto: 8"
    app.number_input(key=batch).set_value(5)
    settled(app.run())
    app.button(key="start-training").click().run()
    [(name, config)] = started
    assert name == "summer-holiday"
    assert (
        config.train.batch_size == 5 and json.loads(config.to_json())["train"]["epochs"] == "auto"
    )


# --- from another run ---------------------------------------------------------------------------


def test_the_form_takes_the_settings_of_the_run_on_the_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[tuple[str, RunConfig]]
) -> None:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    run = trained(tmp_path)
    app = open_page(run)
    app.button(key="use-settings").click().run()
    settled(app)
    chosen = app.selectbox(key="train-recipe-digits")
    assert chosen.value == "run 1" and "Settings of tiny" in chosen.options
    form = "train.run 1.digits"
    assert app.number_input(key=f"{form}.ModelConfig.model.latent_dim").value == 4
    assert app.number_input(key=f"{form}.TrainConfig.train.epochs").value == 2
    app.button(key="start-training").click().run()
    [(_, config)] = started
    assert config == run.config()


def test_the_form_starts_from_the_weights_of_a_run_on_images_of_its_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[tuple[str, RunConfig]]
) -> None:
    monkeypatch.setenv("VAE_STORE", str(tmp_path / "runs"))
    run, mine = trained(tmp_path / "runs"), tmp_path / "mine"
    mine.mkdir()
    for i in range(20):
        picture(i, mode="L").save(mine / f"{i}.png")
    app = open_page(run)
    app.button(key="use-weights").click().run()
    settled(app)
    app.selectbox(key="train-dataset").select("folder").run()
    app.text_input(key="train-path").input(str(mine))
    settled(app.run())
    assert app.selectbox(key="train-recipe-folder").value == "run 1" and not app.error
    assert not any(".ModelConfig." in (each.key or "") for each in app.number_input), "it is fixed"
    app.button(key="start-training").click().run()
    [(name, config)] = started
    assert (name, config.start_from, config.data.image_size) == ("mine", "tiny", 16)
    assert config.model.latent_dim == 4 and config.data.channels == 1


def test_a_finished_run_is_trained_on_and_its_beta_turned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(jobs, "resume", lambda run, **how: asked.append(how))
    app = open_page(trained(tmp_path))
    app.button(key="start-train-on").click().run()
    app.number_input(key="train-on-epochs").set_value(7)
    app.number_input(key="train-on-beta").set_value(0.25)
    app.button(key="start-train-on").click().run()
    assert asked == [{"epochs": "+1", "beta": None}, {"epochs": "+7", "beta": 0.25}]
    app.number_input(key="train-on-epochs").set_value(0).run()
    assert app.button(key="start-train-on").disabled
    assert any("More epochs lies between" in each.value for each in app.markdown)


def test_an_upload_is_its_sessions_own_and_survives_another_page(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("VAE_DATA", str(tmp_path))

    def script() -> None:
        import streamlit as st

        from latent_workbench.train.upload import own_images, own_uploads

        st.session_state["uploads"] = own_uploads()
        if not st.checkbox("elsewhere"):
            st.session_state["answer"] = own_images()

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i in range(2):
            picture = io.BytesIO()
            Image.fromarray(np.full((9, 9), i, np.uint8)).save(picture, "PNG")
            archive.writestr(f"one/{i}.png", picture.getvalue())
    content = buffer.getvalue()
    app, other = (AppTest.from_function(script, default_timeout=30).run() for _ in range(2))
    assert app.session_state["answer"] is None
    bring(app.session_state["uploads"], "pictures.zip", content)
    app.run()
    stored: Any = app.session_state["answer"]
    assert Path(stored).read_bytes() == content
    app.checkbox[0].check().run()
    app.checkbox[0].uncheck().run()
    assert app.session_state["answer"] == stored
    assert other.run().session_state["answer"] is None
    assert other.session_state["uploads"].token != app.session_state["uploads"].token


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("ModelConfig.model.latent_dim", 5000, "Latent dimensions should be less than or equal to"),
        ("VaeOptions.objective.beta", -1.0, "β should be greater than or equal to 0."),
        ("TrainConfig.train.epochs", 0, "Epochs should be greater than or equal to 1."),
        ("TrainConfig.train.learning_rate", 1e9, "Learning rate should be less than or equal to"),
    ],
)
def test_start_trains_what_the_fields_show_or_does_not_start(
    started: list[tuple[str, RunConfig]], field: str, value: float, sentence: str
) -> None:
    app = open_page()
    app.number_input(key=f"{FORM}.{field}").set_value(value)
    app.button(key="start-training").click().run()  # at once, with the value
    assert started == []
    assert any(sentence in told.value and ":red[" in told.value for told in app.markdown)
    assert app.button(key="start-training").disabled
    assert app.number_input(key=f"{FORM}.{field}").value == value


# --- watch --------------------------------------------------------------------------------------


def test_buttons_talk_to_the_running_process() -> None:
    run = working_run()
    app = open_page(run)
    assert app.button(key="pause-training").label == "Pause"
    app.button(key="pause-training").click().run()
    app.button(key="save-training").click().run()
    app.button(key="stop-training").click().run()
    assert [message["command"] for message in commands(run)] == ["pause", "save", "stop"]
    stop = app.button(key="stop-training")
    assert stop.label == "Stopping" and stop.disabled, "the answer comes at once"
    run.set_status(Status(state="stopped", step=6, total_steps=50, message="Stopped during this."))
    app.run()
    assert "resume-training" in buttons(app) and any("during" in i.value for i in app.info)
    run.set_status(Status(state="paused", step=6, total_steps=50))
    app.run()
    assert app.button(key="pause-training").label == "Resume"
    app.button(key="pause-training").click().run()
    assert commands(run)[-1]["command"] == "resume"


def test_a_run_that_is_being_prepared_can_be_paused_and_stopped() -> None:
    run = working_run()
    run.set_status(Status(state="starting", message="Preparing the images, 40%"))
    app = open_page(run)
    for key in ("pause-training", "stop-training"):
        assert not app.button(key=key).disabled
        app.button(key=key).click().run()
    assert [message["command"] for message in commands(run)] == ["pause", "stop"]


def test_beta_can_be_turned_during_the_run() -> None:
    run = working_run()
    run.append("history.jsonl", {"kind": "set", "step": 4, "name": "beta", "value": 2.5})
    app = open_page(run)
    slider = app.select_slider(key="beta-at-work")
    assert slider.value == 2.5
    slider.set_value(4.0).run()
    assert commands(run) == [{"command": "set", "name": "beta", "value": 4.0}]


def test_the_formula_of_a_run_has_the_weights_of_its_newest_step() -> None:
    run = working_run()
    terms = {"recon": 90.0, "kl": 4.0}
    for step, beta in ((1, 0.0), (2, 0.25)):
        weights = {"recon": 1.0, "kl": beta}
        record = {"kind": "step", "step": step, "terms": terms, "weights": weights, "beta": beta}
        run.append("history.jsonl", record)
    app = open_page(run)
    of_choice, of_run = [each.value for each in app.latex]
    assert r"\underset{1}{\beta}" in of_choice and r"\underset{0.25}{\beta}" in of_run


def test_a_killed_worker_offers_its_log_and_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Store().create("killed", complete(SMALL))
    run.set_status(Status(state="training", step=5, total_steps=50))
    run.file("log.txt").write_text("first line\nKilled by somebody\n")
    resumed: list[str] = []
    monkeypatch.setattr(jobs, "resume", lambda run, *how, **more: resumed.append(run.id))
    app = open_page(run)
    assert "pause-training" not in buttons(app)
    assert any("Killed by somebody" in code.value for code in app.code)
    app.button(key="resume-training").click().run()
    assert resumed == ["killed"] and not app.exception


def test_a_resume_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Store().create("stopped", complete(SMALL))
    run.set_status(Status(state="stopped"))

    def resume(run: Run, *how: object, **more: object) -> None:
        raise UserError("The training state is damaged.")

    monkeypatch.setattr(jobs, "resume", resume)
    app = open_page(run)
    app.button(key="resume-training").click().run()
    assert [error.value for error in app.error] == ["The training state is damaged."]


def test_a_resume_that_was_refused_for_other_images_may_be_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Store().create("changed", complete(SMALL))
    run.set_status(Status(state="stopped", message="3 images are gone."))
    asked: list[bool] = []
    resume = lambda run, accept_changed_data=False: asked.append(accept_changed_data)  # noqa: E731
    monkeypatch.setattr(jobs, "resume", resume)
    app = open_page(run)
    assert "accept-training" not in buttons(app), "offered only where it can be accepted"
    assert [info.value for info in app.info] == ["3 images are gone."]
    run.set_status(Status(state="stopped", message="3 images are gone.", acceptable=True))
    app.run()
    app.button(key="accept-training").click().run()
    app.button(key="resume-training").click().run()
    assert asked == [True, False] and not app.exception


def test_a_finished_run_leads_on_to_explore() -> None:
    run = Store().create("done", complete(SMALL))
    run.set_status(Status(state="finished", step=50, total_steps=50))
    run.append("history.jsonl", {"kind": "preview", "step": 0})
    card = DataCard(dataset="digits", image_shape=(1, 16, 16), n_train=95, n_validation=5)
    run.write_json("data.json", card)
    run.write_bytes("model.safetensors", save({}, {"step": "50"}))
    app = open_page(run)
    assert "explore-training" in buttons(app)
    assert not {"pause-training", "stop-training", "resume-training"} & buttons(app)


def test_a_damaged_run_leaves_the_set_up_usable() -> None:
    run = Store().create("broken", complete(SMALL))
    run.file("config.json").write_text("{")
    app = open_page(run)
    assert any("not valid JSON" in error.value for error in app.error)
    assert not app.button(key="start-training").disabled


def test_latest_beta_reads_the_end_of_a_long_history() -> None:
    run = Store().create("long", complete(SMALL))
    assert latest_beta(run) is None
    line = json.dumps({"kind": "step", "step": 1, "beta": 1.0, "terms": {"recon": 1.0}})
    run.file("history.jsonl").write_text(f"{line}\n" * 3000)
    run.append("history.jsonl", {"kind": "step", "step": 2, "beta": 8.0})
    run.append("history.jsonl", {"kind": "checkpoint", "step": 2})
    run.append("history.jsonl", {"kind": "set", "step": 2, "name": "capacity", "value": 12.0})
    assert latest_beta(run) == 8.0


# --- what lies below ----------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", [entry.name for entry in datasets])
def test_every_recipe_works_on_every_data_set(dataset: str) -> None:
    offered = recipes()
    assert recommended(dataset) in offered
    for recipe in offered.values():
        config = on_data(recipe, dataset, None)
        assert config.data.dataset == dataset and config.family == recipe.config.family
        assert options_of(config).keys() == {"objective", "model.options"}
        for backbone in ("mlp", "conv"):
            assert with_backbone(config, backbone).model.backbone == backbone


@pytest.mark.training
def test_steps_are_really_timed() -> None:
    config = complete(SMALL).updated({"train": {"epochs": 2, "batch_size": 256, "threads": 1}})
    timing = _timed(config)
    assert timing.steps == 2 * 7 and timing.epochs == 2
    assert 0 < timing.step_s < 30 and timing.seconds > timing.step_s * 14
    together = _timed(config, processes=2)
    assert (together.steps, together.epochs) == (14, 2) and 0 < together.step_s < 30


@pytest.mark.training
def test_steps_are_timed_in_the_precision_that_a_run_would_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[str] = []
    real = loop.Loop

    def begin(config: RunConfig, *parts: Any, **more: Any) -> loop.Loop:
        taken.append(config.train.precision)
        return real(config, *parts, **more)

    choice = Choice("train.precision", "fp32", "The other is slower.")
    monkeypatch.setattr(precision_trial, "choose_precision", lambda *parts: choice)
    monkeypatch.setattr(loop, "Loop", begin)
    config = complete(SMALL).updated({"train": {"epochs": 1, "batch_size": 256}})
    assert config.train.precision == "auto" and measure_timing(config).steps == 7
    assert taken == ["fp32"]


@pytest.mark.training
def test_what_cannot_be_timed_says_why() -> None:
    config = complete(SMALL).updated({"train": {"batch_size": 5000}})
    with pytest.raises(UserError, match="a batch of 5000 is larger"):
        _timed(config)


def test_a_newer_wish_replaces_the_one_that_waits() -> None:
    stopwatch = Stopwatch()
    got: list[Timing | None] = []
    thread = threading.Thread(target=lambda: got.append(_TIME(stopwatch, complete(SMALL), 1)))
    thread.start()
    time.sleep(0.1)
    stopwatch.cancel()
    thread.join(20)
    assert got == [None]


_TIME: Callable[[Stopwatch, RunConfig, int], Timing | None] = (
    Stopwatch.time
)  # before it is replaced


def _timed(config: RunConfig, processes: int = 1) -> Timing:
    timing = _TIME(Stopwatch(), config, processes)
    assert timing is not None
    return timing


def test_background_work_tells_and_ends() -> None:
    def work(progress: Callable[[str, float | None], None]) -> int:
        progress("Half of it", 0.5)
        return 42

    done = Task(work)
    assert done.wait(10) and done.result == 42
    assert (done.message, done.share, done.problem) == ("Half of it", 0.5, "")


def test_background_work_that_fails_keeps_its_sentence() -> None:
    def work(progress: Callable[[str, float | None], None]) -> int:
        raise UserError("There is no network.")

    failed = Task(work)
    assert failed.wait(10)
    assert failed.result is None and failed.problem == "There is no network."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (7.4, "7 s"),
        (74, "70 s"),
        (130, "2 min"),
        (3599, "1 h 0 min"),
        (7900, "2 h 10 min"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("size", "rows"), [((28, 28), 2), ((64, 48), 2), ((96, 12), 4), ((24, 96), 1), ((256, 256), 2)]
)
def test_samples_of_any_proportions_take_about_as_much_room(
    size: tuple[int, int], rows: int
) -> None:
    _, height = tile_size(*size)
    assert rows_of(height) == rows and rows * height <= 2 * LARGEST_TILE
