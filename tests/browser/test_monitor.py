"""The live charts in a real browser: zoomed into a training that goes on, and run after run."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MS
from tests.browser.test_train import expect_state, start
from tests.engine import tiny
from tests.test_jobs import until
from vae_core.runs import Run, Store
from vae_core.training import jobs

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)

WATCHED = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    if (/live\\/progress/.test(this.url)) sockets.push(this);
  }
};
window.broken = [];
setInterval(() => {
  for (const plot of document.querySelectorAll('.vm .js-plotly-plot')) {
    for (const { uid, type, x } of plot.data) {
      const at = [...x].findIndex((each, i) => i > 0 && !(each > x[i - 1]));
      if (at > 0) broken.push([uid ?? type, x[at - 1], x[at]]);
    }
  }
}, 100);
"""
"""Keeps the monitor's sockets, and every pair of points of any curve that does not rise in x."""

CHART = "document.querySelector('[data-testid=live-chart]')"
XS = f"{CHART}?.data?.find(trace => trace.uid === 'train-recon')?.x"
INSIDE = f"([low, high]) => {XS}.filter(x => low <= x && x <= high).length"


def long_training(store: Store, name: str, records: int) -> Run:
    """A training that records every step, once it has recorded so many; it goes on."""
    model = {"backbone": "mlp", "latent_dim": 2, "options": {"hidden": [8]}}
    train = {"epochs": 50_000, "log_every": 1, "preview_every": 400, "checkpoint_every": 50_000}
    run = jobs.start(store, name, tiny(model=model, train=train))
    until(lambda: run.status().step > records, 300)
    return run


def inside(page: Page, low: float, high: float) -> int:
    """How many points of the training curve lie there."""
    return int(page.evaluate(INSIDE, [low, high]))


def zoom(page: Page, low: float, high: float) -> None:
    """Look at the stretch between two steps, and wait until all of it is there."""
    page.evaluate(
        "([low, high]) => Plotly.relayout("
        "document.querySelector('[data-testid=live-chart]'), {'xaxis.range': [low, high]})",
        [low, high],
    )
    page.wait_for_function(
        f"([low, high]) => ({INSIDE})([low, high]) === high - low + 1", arg=[low, high]
    )


def last(page: Page) -> float:
    """The newest step in the chart."""
    return float(page.evaluate(f"{XS}.at(-1)"))


def goes_on(page: Page, steps: int = 1) -> None:
    """Wait until the chart has grown by so many steps."""
    beyond = last(page) + steps
    page.wait_for_function(f"beyond => {XS}.at(-1) > beyond", arg=beyond, timeout=5 * PATIENCE_MS)


@pytest.mark.timeout(600)
def test_zooming_in_a_long_training_keeps_every_curve_true(
    page: Page, app_url: str, store: Store
) -> None:
    run = long_training(store, "goes-on", 2200)
    page.add_init_script(WATCHED)
    page.goto(f"{app_url}/train?run=goes-on")
    expect_state(page, "training")
    page.wait_for_function(f"{XS}?.length > 1000")
    zoom(page, 1000, 1200)
    goes_on(page)
    assert inside(page, 1000, 1200) == 201
    # Two at once: the later one counts, though the first is still being answered.
    page.evaluate(f"Plotly.relayout({CHART}, {{'xaxis.range': [2000, 2050]}})")
    page.wait_for_timeout(200)
    zoom(page, 500, 600)
    # Another axis looks at everything, and back again too.
    for axis in ("epoch", "step"):
        page.get_by_role("button", name=axis, exact=True).click()
        expect(page.get_by_test_id("live-chart").locator(".xtitle")).to_have_text(axis)
    page.wait_for_function(f"() => ({INSIDE})([500, 600]) < 90")
    # A hand draws the frame, and a double click takes it away.
    box = page.get_by_test_id("live-chart").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.4, middle, steps=5)
    page.mouse.up()
    page.wait_for_function(f"() => {CHART}.layout.xaxis.autorange === false")
    low, high = (round(x) for x in page.evaluate(f"{CHART}.layout.xaxis.range"))
    page.wait_for_function(f"lh => ({INSIDE})(lh) >= lh[1] - lh[0] - 1", arg=[low, high])
    page.get_by_test_id("live-chart").dblclick(
        position={"x": box["width"] / 2, "y": box["height"] / 2}
    )
    page.wait_for_function(f"lh => ({INSIDE})(lh) < (lh[1] - lh[0]) * 0.9", arg=[low, high])
    # Zoomed, with the connection lost: the new one begins with everything, and looks again.
    zoom(page, 1500, 1600)
    count = int(page.evaluate("sockets.length"))
    page.evaluate("sockets.at(-1).close()")
    page.wait_for_function(f"sockets.length > {count}")
    goes_on(page)
    page.wait_for_function(f"() => ({INSIDE})([1500, 1600]) === 101")
    # The tab stays open until more has come than it holds, and then some: thinned anew.
    page.evaluate(f"Plotly.relayout({CHART}, {{'xaxis.autorange': true}})")
    page.wait_for_function(f"() => ({INSIDE})([1500, 1600]) < 90")
    goes_on(page, 2200)
    assert int(page.evaluate(f"{XS}.length")) <= 4000
    zoom(page, 1500, 1600)
    jobs.send(run, {"command": "stop"})
    expect_state(page, "stopped")
    recorded = [record["step"] for record in run.history()[0] if record["kind"] == "step"]
    page.wait_for_function(f"last => {XS}.at(-1) === last", arg=recorded[-1])
    assert page.evaluate("broken") == []


def shown(page: Page) -> dict[str, Any]:
    """What stands in the monitor's panels."""
    found: dict[str, Any] = page.evaluate(
        """() => {
             const vm = document.querySelector('.vm');
             return {
               charts: vm.querySelectorAll('.main-svg').length,
               when: vm.querySelector('.vm-when').textContent,
               moments: Number(vm.querySelector('.vm-scrub input').max),
               pictures: vm.querySelectorAll('canvas:not([data-empty])').length,
               active: vm.querySelector('.vm-active').textContent,
               newest: vm.querySelector('.vm-newest').hidden,
             };
           }"""
    )
    return found


def test_while_a_run_starts_nothing_of_the_one_before_is_shown(
    page: Page, app_url: str, store: Store
) -> None:
    page.goto(f"{app_url}/train?run=tiny")
    expect_state(page, "finished")
    page.locator(".vm .main-svg").first.wait_for()
    scrubber = page.get_by_test_id("preview-scrubber")
    scrubber.evaluate("input => { input.value = 0; input.dispatchEvent(new Event('input')); }")
    before = shown(page)
    assert before["pictures"] == 3 and before["moments"] > 0 and not before["newest"]
    start(page, app_url, "next", epochs=2000, reload=False)
    empty = {"charts": 0, "when": "", "moments": 0, "pictures": 0, "active": "", "newest": True}
    expect(page.get_by_test_id("run-state")).to_have_text("starting")
    assert shown(page) == empty
    heights = page.eval_on_selector_all(".vm-row", "rows => rows.map(row => row.offsetHeight)")
    assert max(heights) < 120, "no picture is as high as a page"
    expect_state(page, "training")
    page.locator(".vm .main-svg").first.wait_for()
    jobs.send(store.get("next"), {"command": "stop"})
    expect_state(page, "stopped")
