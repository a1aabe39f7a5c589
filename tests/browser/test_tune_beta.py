"""β turned in a running training, a sweep from the page, a collapse that is told and mended."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MS
from tests.browser.test_train import WORKER_MS, expect_state, set_number
from tests.engine import tiny
from tests.test_jobs import until
from vae_core.diagnosis import diagnose, learning_curves
from vae_core.runs import Run, Store
from vae_core.training import jobs

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)

MLP = {"backbone": "mlp", "latent_dim": 4, "options": {"hidden": [64]}}


def start(store: Store, name: str, **changes: Any) -> Run:
    run = jobs.start(store, store.free_name(name), tiny(**changes))  # a second try has another
    until(lambda: run.status().step > 0)
    return run


def changes(run: Run) -> list[dict[str, Any]]:
    return [record for record in run.history()[0] if record["kind"] == "set"]


def test_beta_is_turned_and_the_worker_takes_it(page: Page, app_url: str, store: Store) -> None:
    run = start(store, "turned", train={"epochs": 5000, "preview_every": 500, "log_every": 20})
    page.goto(f"{app_url}/tune-beta?run={run.id}")
    expect_state(page, "training")
    slider = page.locator(f".st-key-beta-{run.id} input[type=range]")
    slider.focus()
    page.keyboard.press("End")
    until(lambda: bool(changes(run)))
    assert changes(run)[0]["value"] == 100.0
    # It is marked in the live chart and in the schedule, and the page says it.
    page.wait_for_function(
        """() => document.querySelector('[data-testid=live-chart]')?.data
                ?.some(trace => trace.uid === 'changes')"""
    )
    expect(page.locator(".vm-facts")).to_contain_text("β 100")
    expect(page.locator(".st-key-schedule-beta")).to_be_visible()
    jobs.send(run, {"command": "stop"})


def test_charts_are_drawn_when_somebody_sees_them(page: Page, app_url: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 120})
    page.goto(f"{app_url}/tune-beta?run=tiny")
    page.wait_for_function("() => window.Plotly")
    heat = page.get_by_test_id("kl-heat")
    expect(page.get_by_test_id("run-state")).to_have_text("finished")
    page.wait_for_timeout(500)
    expect(heat.locator(".main-svg")).to_have_count(0)
    heat.scroll_into_view_if_needed()
    expect(heat.locator(".main-svg").first).to_be_visible()


def test_a_sweep_of_three_fills_the_board(page: Page, app_url: str, store: Store) -> None:
    page.goto(f"{app_url}/tune-beta?run=tiny&tune-tab=Sweep")
    name = page.locator(".st-key-sweep-name input")
    name.fill("three")
    name.press("Enter")
    betas = page.locator(".st-key-sweep-betas input")
    betas.fill("0.5, 1, 50")
    betas.press("Enter")
    set_number(page, "st-key-sweep-epochs", 1)
    button = page.locator(".st-key-start-sweep button")
    expect(button).to_contain_text("Start 3 runs")
    button.click()
    board = page.locator(".st-key-board")
    expect(board.locator(".board-picture")).to_have_count(3, timeout=2 * WORKER_MS)
    expect(page.locator(".st-key-sweep-buttons")).to_contain_text("finished", timeout=WORKER_MS)
    for name in ("three-beta0.5", "three-beta1", "three-beta50"):
        assert store.get(name).status().state == "finished"
    chart = page.locator(".st-key-rate-distortion .js-plotly-plot").last
    expect(chart).to_be_visible()
    # Five steps teach a network nothing of β, and the page does not pretend that they did.
    expect(page.get_by_text("There is no β to suggest yet")).to_be_visible()
    expect(page.get_by_text("is left out").first).to_be_visible()
    page.get_by_text("Traversal", exact=True).click()
    expect(board.locator(".board-picture")).to_have_count(3)
    page.locator(".st-key-board-open-three-beta1 button").click()
    page.wait_for_url("**/explore?run=three-beta1")


def test_a_collapse_is_told_and_its_remedy_does_not_collapse(
    page: Page, app_url: str, store: Store
) -> None:
    start(
        store,
        "flat",
        data={"limit": None},
        model=MLP,
        objective={"beta": 100.0},
        train={"epochs": 4, "learning_rate": 5e-3},
    )
    page.goto(f"{app_url}/tune-beta?run=flat")
    warning = page.locator(".st-key-finding-collapsed")
    expect(warning).to_contain_text("The posterior has collapsed", timeout=WORKER_MS)
    warning.get_by_role("button", name="Train with β = 1").click()
    page.locator('.vm[data-run="flat-mended"]').wait_for()
    expect_state(page, "finished")
    mended = store.get("flat-mended")
    assert diagnose(learning_curves(mended.history()[0], mended.config())) == []
    assert json.loads(mended.file("summary.json").read_text())["kl"] > 1.0
    expect(page.locator(".st-key-monitor-strip")).to_contain_text("nothing wrong")
