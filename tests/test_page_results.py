"""The page Results: figures from records, and a run that is begun from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from latent_workbench.published import table
from vae_core.errors import UserError
from vae_core.reproduce import Reproduction, begun, reproductions
from vae_core.reproduce.table import kept, rows
from vae_core.runs import Status, Store, layout
from vae_core.runs.schemas import Reproduced
from vae_core.training import jobs

ROOT = Path(__file__).resolve().parent.parent


def opened() -> AppTest:
    app = AppTest.from_file(str(ROOT / "pages" / "results.py"), default_timeout=30).run()
    assert not app.exception
    return app


def test_every_printed_figure_has_a_line_and_the_record_of_a_run_stands_there() -> None:
    run = begun(reproductions["course-vae"], Store())
    figures = {"weights": 422_058.0, "mse": 0.61, "kl": 1.5}
    record = Reproduced(
        name="course-vae", figures=figures, step=560, total_steps=1120, seed=0, training_s=90,
        measuring_s=1,
    )  # fmt: skip
    run.write_json(layout.REPRODUCED, record)
    shown = opened().dataframe[0].value
    assert list(shown["Result"]) == [
        f"{row.entry.label}: {row.figure.label}" for row in rows(kept())
    ]
    (line,) = shown[shown["Result"] == "Course VAE: Weights"].to_dict("records")
    assert (line["Printed"], line["Ours"], line["Distance"]) == ("422058", "422058", "±0 (0.0%)")
    assert line["Schedule"] == "partial, 0.5 of it"


def test_a_result_is_begun_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def start(entry: Reproduction, store: Store, fraction: float) -> None:
        asked.append((entry.name, fraction))
        raise UserError("No process could be started.")

    monkeypatch.setattr(table, "start", start)
    app = opened()
    app.selectbox(key="result").set_value("course-vae").run()
    app.number_input(key="result-fraction").set_value(2.0).run()
    assert app.button(key="run-result").disabled
    app.number_input(key="result-fraction").set_value(0.25).run()
    app.button(key="run-result").click().run()
    assert asked == [("course-vae", 0.25)]
    assert [error.value for error in app.error] == ["No process could be started."]


@pytest.mark.parametrize("state", ["training", "measuring"])
def test_one_at_work_is_stopped_and_gone_on_with(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(reproductions["course-vae"], Store())
    told: list[Any] = []
    monkeypatch.setattr(table, "state_of", lambda entry, store: states[entry.name])
    monkeypatch.setattr(jobs, "send", lambda run, message: told.append((run.id, message)))
    states = dict.fromkeys((entry.name for entry in reproductions), "not begun")
    states["course-vae"] = state
    run.set_status(Status(state="training", step=30, total_steps=1120))
    app = opened()
    app.selectbox(key="result").set_value("course-vae").run()
    assert not [button for button in app.button if button.key == "run-result"]
    app.button(key="stop-result").click().run()
    assert told == [("reproduce-course-vae", {"command": "stop"})]
    states["course-vae"] = "stopped"
    app.run()
    assert app.button(key="run-result").label == "Go on in the background"
    assert any(each.value == "Step 30 of 1,120 is saved." for each in app.caption)


def test_what_cannot_be_done_has_no_button(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reproduction, "problem", "It cannot be reproduced here: no network.")
    app = opened()
    assert "cannot be reproduced here" in app.info[0].value
    assert not [button for button in app.button if button.key == "run-result"]
