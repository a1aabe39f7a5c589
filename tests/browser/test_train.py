"""Training from the page, watched in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil

import pytest
from playwright.sync_api import Page, expect

from benchmarks.app import free_port, served
from tests.engine import trained
from tests.test_jobs import until
from vae_core.config import parse_config
from vae_core.families import complete
from vae_core.runs import Status, Store

from .conftest import PATIENCE_MS

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)

WORKER_MS = 2 * PATIENCE_MS
"""A worker first imports torch, with a browser beside it."""

TRAIN_POINTS = """document.querySelector('[data-testid=live-chart]')?.data
    ?.find(trace => trace.uid === 'train-recon')?.x.length"""
POINTS_IN_SIGHT = """document.querySelector('[data-testid=live-chart]').data
    .find(trace => trace.uid === 'train-recon').x.filter(x => 3000 <= x && x <= 3200).length"""
"""Between steps 3000 and 3200."""

FORM = "st-key-train-digits-vae-digits"


def set_number(page: Page, key: str, value: float) -> None:
    field = page.locator(f".{key} input")
    field.fill(f"{value:g}")
    field.press("Enter")


def start(page: Page, app_url: str, name: str, epochs: int, reload: bool = True) -> None:
    """Start a small model on the digits from the page, opened anew or as it stands."""
    if reload:
        page.goto(f"{app_url}/train")
    button = page.locator(".st-key-start-training button")
    expect(button).to_be_enabled()
    set_number(page, f"{FORM}-TrainConfig-train-epochs", epochs)
    set_number(page, f"{FORM}-ModelConfig-model-latent_dim", 3)
    page.get_by_text("More settings", exact=True).click()
    page.locator(".st-key-train-name-0 input, [class*=st-key-train-name] input").first.fill(name)
    page.locator("[class*=ConvOptions-model-options-channels] input").fill("8, 16")
    page.get_by_role("spinbutton", name="Hidden units").fill("32")
    page.get_by_role("spinbutton", name="Hidden units").press("Enter")
    page.locator("[class*=TrainConfig-train-log_every] input").fill("2")
    page.locator("[class*=TrainConfig-train-log_every] input").press("Enter")
    page.get_by_text("More settings", exact=True).click()
    expect(button).to_be_enabled()
    button.click()
    page.wait_for_url(f"**/train?run={name}")
    page.locator(f'.vm[data-run="{name}"]').wait_for()


def points(page: Page) -> int:
    """How many points the chart holds."""
    return int(page.get_by_test_id("live-chart").get_attribute("data-points") or 0)


def grows(page: Page, beyond: int | None = None) -> None:
    """Wait until the chart holds more points than `beyond`, or than now."""
    page.wait_for_function(
        """beyond => {
             const chart = document.querySelector('[data-testid=live-chart]');
             return Number(chart?.dataset.points ?? 0) > beyond;
           }""",
        arg=points(page) if beyond is None else beyond,
        timeout=WORKER_MS,
    )


def expect_state(page: Page, state: str) -> None:
    expect(page.get_by_test_id("run-state")).to_have_text(state, timeout=WORKER_MS)


def test_train_from_the_page_to_the_end(page: Page, app_url: str, store: Store) -> None:
    start(page, app_url, "short", epochs=4)
    grows(page)
    expect_state(page, "finished")
    # Streamlit's own part has learnt of it too.
    expect(page.locator(".st-key-explore-training button")).to_be_visible()
    expect(page.locator(".st-key-pause-training")).to_have_count(0)
    run = store.get("short")
    assert run.status().state == "finished"
    assert run.config().train.epochs == 4 and run.config().model.latent_dim == 3
    recorded = [record for record in run.history()[0] if record["kind"] == "step"]
    page.wait_for_function(
        """wanted => {
             const { data } = document.querySelector('[data-testid=live-chart]');
             const drawn = Object.fromEntries(data.map(trace => [trace.uid, trace.x.length]));
             return Object.keys(wanted).every(uid => drawn[uid] === wanted[uid]);
           }""",
        arg={"train-kl": len(recorded), "validation-total": 4},
    )
    assert page.get_by_test_id("kl-bars").locator(".point").count() == 3
    for row in ("originals", "reconstructions", "samples"):
        canvas = page.locator(f"canvas[data-name={row}]")
        box = canvas.bounding_box()
        assert box is not None and box["height"] >= 56
        colours = canvas.evaluate(
            "c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"
        )
        assert colours > 10


def test_pause_refresh_resume_and_stop(page: Page, app_url: str) -> None:
    start(page, app_url, "long", epochs=2000)
    grows(page)
    page.locator(".st-key-pause-training button").click()
    expect_state(page, "paused")
    expect(page.locator(".st-key-pause-training")).to_contain_text("Resume")

    page.reload()
    expect_state(page, "paused")
    grows(page, beyond=0)
    held = points(page)
    page.locator(".st-key-pause-training button").click()
    expect_state(page, "training")
    grows(page, beyond=held)

    page.reload()  # in the midst of training
    expect_state(page, "training")
    grows(page)

    # Zoom survives the updates, and so does the chart itself.
    page.evaluate(
        """() => {
             const chart = document.querySelector('[data-testid=live-chart]');
             chart.mark = 'the same';
             window.Plotly.relayout(chart, {'xaxis.range': [1, 7]});
           }"""
    )
    grows(page)
    kept = page.evaluate(
        """() => {
             const chart = document.querySelector('[data-testid=live-chart]');
             return [chart.mark, chart.layout.xaxis.range];
           }"""
    )
    assert kept == ["the same", [1, 7]]

    page.locator(".st-key-stop-training button").click()
    expect_state(page, "stopped")
    expect(page.locator(".st-key-resume-training button")).to_be_visible()


def test_training_and_its_page_outlive_the_server(page: Page, store: Store) -> None:
    port = free_port()
    with served(store, port) as (url, _):
        start(page, url, "outlives", epochs=5000)
        grows(page)
    run = store.get("outlives")
    expect(page.locator(".vm")).to_contain_text("tries again")
    assert run.is_alive()
    held = points(page)
    with served(store, port):
        grows(page, beyond=held)  # nobody reloaded the page
        expect_state(page, "training")
        page.locator(".st-key-stop-training button").click()
        expect_state(page, "stopped")


def test_the_scrubber_goes_back_and_follows_again(page: Page, app_url: str, store: Store) -> None:
    page.goto(f"{app_url}/train?run=tiny")
    expect_state(page, "finished")
    scrubber = page.get_by_test_id("preview-scrubber")
    expect(scrubber).to_be_enabled()
    canvas = page.locator("canvas[data-name=samples]")
    last = store.get("tiny").status().step
    expect(canvas).to_have_attribute("data-shown", f"{last:08d}-samples")
    newest = canvas.evaluate("canvas => canvas.toDataURL()")
    scrubber.evaluate("input => { input.value = 0; input.dispatchEvent(new Event('input')); }")
    expect(canvas).to_have_attribute("data-shown", "00000000-samples")
    assert canvas.evaluate("canvas => canvas.toDataURL()") != newest
    page.get_by_role("button", name="Newest").click()
    expect(canvas).to_have_attribute("data-shown", f"{last:08d}-samples")


def test_the_terms_of_a_family_have_charts_of_their_own_with_units(
    page: Page, app_url: str, store: Store
) -> None:
    run = trained(store.path, "factor", family="factor-vae", objective={"critic_units": 16})
    page.goto(f"{app_url}/train?run=factor")
    accuracy = page.get_by_test_id("term-accuracy")
    expect(accuracy.locator(".main-svg").first).to_be_visible()
    panel = page.locator(".vm-panel", has=accuracy)
    expect(panel).to_contain_text("Critic's accuracy")
    expect(panel.locator(".vm-hint")).to_have_text(re.compile(r"^\d+(\.\d+)? %$"))
    drawn = "plot => plot.data.map(trace => [trace.uid, trace.x.length])"
    steps = [r for r in run.history()[0] if r["kind"] == "step"]
    assert dict(accuracy.evaluate(drawn)) == {
        "train-accuracy": len(steps),
        "validation-accuracy": 2,
    }
    in_common = dict(page.get_by_test_id("live-chart").evaluate(drawn))
    assert {uid.split("-")[1] for uid in in_common} == {"recon", "kl", "total"}
    for key, paper in (
        ("about-run", "Kim and Mnih (2018)"),
        ("about-choice", "Kingma and Welling"),
    ):
        page.locator(f".st-key-{key} button:visible").click()
        note = page.get_by_test_id("stPopoverBody")
        expect(note).to_contain_text(paper)
        expect(note.locator(".katex").first).to_be_visible()
        page.keyboard.press("Escape")
        expect(note).to_have_count(0)


def test_axes_switch_between_steps_epochs_and_time(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/train?run=tiny")
    chart = page.get_by_test_id("live-chart")
    expect(chart.locator(".xtitle")).to_have_text("step")
    page.get_by_role("button", name="epoch", exact=True).click()
    expect(chart.locator(".xtitle")).to_have_text("epoch")
    last = chart.evaluate("c => Math.max(...c.data.flatMap(trace => trace.x))")
    assert last == pytest.approx(2)
    page.get_by_role("button", name="time", exact=True).click()
    expect(chart.locator(".xtitle")).to_have_text("training time (s)")
    expect(chart.locator(".ytitle")).to_have_text("nats per image")


def test_zooming_into_a_long_history_brings_its_every_point(
    page: Page, app_url: str, store: Store
) -> None:
    shutil.copytree(store.path / "tiny", store.path / "long-history")
    run = store.get("long-history")
    with run.file("history.jsonl").open("a", encoding="utf-8") as file:
        for step in range(11, 6001):
            terms = {"recon": 100.0 + step % 7, "kl": 5.0}
            record = {"kind": "step", "step": step, "epoch": 1, "time": step / 10, "terms": terms}
            record |= {"total": 105.0, "beta": 1.0, "images_per_s": 900.0}
            file.write(json.dumps(record) + "\n")
    page.goto(f"{app_url}/train?run=long-history")
    page.wait_for_function(TRAIN_POINTS + " > 1000", timeout=PATIENCE_MS)
    assert page.evaluate(TRAIN_POINTS) <= 2000
    assert page.evaluate(POINTS_IN_SIGHT) < 100  # of the 200 that were recorded there
    page.evaluate(
        """() => window.Plotly.relayout(
             document.querySelector('[data-testid=live-chart]'), {'xaxis.range': [3000, 3200]})"""
    )
    page.wait_for_function(POINTS_IN_SIGHT + " >= 200", timeout=PATIENCE_MS)


def test_start_is_in_sight_and_rectangles_have_no_room_of_squares(
    page: Page, app_url: str, store: Store
) -> None:
    trained(store.path, "wide", data={"image_size": (16, 40)})
    page.goto(f"{app_url}/train?run=wide")
    expect_state(page, "finished")
    begin = page.locator(".st-key-start-training button")
    expect(begin).to_be_enabled()
    box = begin.bounding_box()
    assert box is not None and box["y"] + box["height"] <= 800
    page.locator('.vm canvas[data-name="samples"][data-shown]').wait_for()
    rows = page.eval_on_selector_all(
        ".vm-row:not([hidden]) > div",
        "rows => rows.map(row => [row.clientHeight, row.firstElementChild.clientHeight])",
    )
    assert len(rows) == 3 and all(room == height >= 56 for room, height in rows)
    # What belongs together stays below each other.
    left = page.eval_on_selector_all(
        ".vm-row:not([hidden]) > div",
        """async rows => {
             rows[0].scrollLeft = 90;
             await new Promise(tell => setTimeout(tell, 300));
             return rows.map(row => row.scrollLeft);
           }""",
    )
    assert left == [90, 90, 90]


def test_a_click_counts_though_the_page_runs_again_at_once(
    page: Page, app_url: str, store: Store
) -> None:
    """A run's state changes, say, while the page is on its way to the button that was clicked."""
    run = store.create("held", complete(parse_config({"data": {"dataset": "digits"}})))
    lease = run.claim(os.getpid())
    try:
        run.set_status(Status(state="training", step=1, total_steps=9))
        page.goto(f"{app_url}/train?run=held")
        expect(page.locator(".st-key-pause-training button")).to_be_enabled()
        for after_ms in (60, 160, 250):
            heard = run.size("control.jsonl")
            page.evaluate(
                """after => {
                     const button = name =>
                       document.querySelector(`.st-key-${name}-training button`);
                     button("pause").click();
                     setTimeout(() => button("save").click(), after);
                   }""",
                after_ms,
            )
            until(lambda heard=heard: run.size("control.jsonl") > heard)
            until(lambda: run.text("control.jsonl").splitlines()[-1].count("save") == 1)
        told = [json.loads(line)["command"] for line in run.text("control.jsonl").splitlines()]
        assert told == ["pause", "save"] * 3, "each of them, once"
    finally:
        lease.release()
