"""Dragging through a latent space in a real browser."""

from __future__ import annotations

import re
import shutil

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from vae_core.runs import Store

from .conftest import PATIENCE_MS

pytestmark = pytest.mark.browser

CANVAS = '[data-testid="decoded-image"]'


def slider(page: Page, index: int = 0) -> Locator:
    return page.get_by_test_id(f"direction-slider-{index}")


def open_explorer(page: Page, url: str) -> None:
    """Open a page with the explorer and wait for its first picture."""
    page.goto(url)
    page.locator(f"{CANVAS}.drawn").wait_for()
    page.locator(".strip canvas.drawn").first.wait_for()


def picture(page: Page) -> str:
    return page.locator(CANVAS).evaluate("canvas => canvas.toDataURL()")


def wait_for_change(page: Page, before: str) -> None:
    """Wait, within bounds, until the picture is another one."""
    handle = page.locator(CANVAS).element_handle()
    page.wait_for_function(
        "([canvas, before]) => canvas.toDataURL() !== before",
        arg=[handle, before],
        timeout=PATIENCE_MS,
    )


def test_a_page_at_rest_animates_nothing(page: Page, app_url: str) -> None:
    """It would keep the machine busy that trains: places without a picture pulsed for ever."""
    open_explorer(page, f"{app_url}/explore?run=tiny")
    root = page.locator(".explorer.full").element_handle()
    page.wait_for_function(
        "root => !root.getAnimations({ subtree: true }).some(each => each.playState === 'running')",
        arg=root,
        timeout=PATIENCE_MS,
    )


def thumb(page: Page, index: int = 0) -> tuple[float, float]:
    """Where the thumb of a slider at 0 is."""
    box = slider(page, index).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_picture_follows_while_the_mouse_is_held_down(page: Page, app_url: str) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    x, y = thumb(page)
    before = picture(page)
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 7):
        page.mouse.move(x + 15 * step, y)
    wait_for_change(page, before)  # the button is still down
    assert float(slider(page).input_value()) > 0.5
    halfway = picture(page)
    page.mouse.move(x - 80, y)
    wait_for_change(page, halfway)
    assert float(slider(page).input_value()) < -0.5
    page.mouse.up()


def test_the_picture_follows_a_finger(browser: Browser, app_url: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, has_touch=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    open_explorer(page, f"{app_url}/explore?run=tiny")
    x, y = thumb(page)
    board = page.get_by_test_id("latent-map").bounding_box()
    assert board is not None
    middle = board["x"] + board["width"] / 2, board["y"] + board["height"] / 2
    finger = context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        told = [{"x": x, "y": y} for x, y in points]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": told})

    for start in ((x, y), middle):  # a slider, and the marker on the map
        before = picture(page)
        touch("touchStart", start)
        for step in range(1, 7):
            touch("touchMove", (start[0] + 10 * step, start[1]))
        wait_for_change(page, before)  # the finger has not been lifted
        assert float(slider(page).input_value()) > 0.4
        touch("touchEnd")
        page.get_by_role("button", name="Back to the mean").click()
        expect(slider(page)).to_have_value("0")
    context.close()


def test_arrow_keys_move_a_slider(page: Page, app_url: str) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    before = picture(page)
    slider(page, 1).focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert float(slider(page, 1).input_value()) == pytest.approx(0.5)
    wait_for_change(page, before)
    expect(page.locator("output").nth(1)).to_have_text("+0.50 σ")


def test_the_first_page_is_live_and_leads_to_where_it_was_left(page: Page, app_url: str) -> None:
    open_explorer(page, app_url)
    expect(page.get_by_text("images (digits). Drag.")).to_be_visible()
    x, y = thumb(page, 1)
    before = picture(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 90, y, steps=5)
    wait_for_change(page, before)
    page.mouse.up()
    left_at = slider(page, 1).input_value()
    page.get_by_role("button", name="Open in Explore").click()
    page.wait_for_url("**/explore?run=tiny")
    slider(page, 3).wait_for()
    expect(slider(page, 1)).to_have_value(left_at)


def test_explore_without_parameters_opens_a_run(page: Page, app_url: str) -> None:
    open_explorer(page, f"{app_url}/explore")
    page.wait_for_url("**/explore?run=tiny")
    sliders = page.get_by_test_id(re.compile("^direction-slider-"))
    assert sliders.count() == 4  # as many as latent dimensions
    assert slider(page).get_attribute("aria-label").startswith("Direction 1, explains ")


def test_random_reset_undo_and_redo(page: Page, app_url: str) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    mean = picture(page)
    page.get_by_role("button", name="A draw from the prior").click()
    wait_for_change(page, mean)
    drawn = picture(page)
    page.get_by_role("button", name="Back to the mean").click()
    wait_for_change(page, drawn)
    assert picture(page) == mean
    page.get_by_role("button", name="Back to before").click()
    wait_for_change(page, mean)
    assert picture(page) == drawn
    page.get_by_role("button", name="Take the undo back").click()
    wait_for_change(page, drawn)
    assert picture(page) == mean


def test_double_click_sets_a_slider_to_zero_and_a_thumbnail_to_its_value(
    page: Page, app_url: str
) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    page.get_by_role("button", name="Set direction 1 to 2 σ").click()
    expect(slider(page)).to_have_value("2")
    slider(page).dblclick()
    expect(slider(page)).to_have_value("0")


def test_the_choice_of_directions_keeps_the_point(page: Page, app_url: str) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    page.get_by_role("button", name="Set direction 1 to 2 σ").click()
    expect(slider(page)).to_have_value("2")
    page.get_by_text("Raw axes").click()
    expect(slider(page)).to_have_attribute("aria-label", re.compile("^Direction z"))
    page.get_by_text("Principal", exact=True).click()
    expect(slider(page)).to_have_attribute("aria-label", re.compile("^Direction 1,"))
    expect(slider(page)).to_have_value("2")


def test_a_blocked_socket_is_said_in_a_sentence(page: Page, app_url: str) -> None:
    page.route_web_socket("**/live/decode/**", lambda socket: socket.close())
    page.goto(f"{app_url}/explore?run=tiny")
    expect(page.get_by_text("Live decoding is blocked")).to_be_visible(timeout=PATIENCE_MS)


def test_a_lost_connection_comes_back(page: Page, app_url: str) -> None:
    opened = []

    def pass_on(socket) -> None:
        opened.append(socket)
        socket.connect_to_server()

    page.route_web_socket("**/live/decode/**", pass_on)
    open_explorer(page, f"{app_url}/explore?run=tiny")
    count = len(opened)
    opened[-1].close()
    before = picture(page)
    slider(page).focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    wait_for_change(page, before)
    assert len(opened) > count


def test_a_run_that_is_deleted_meanwhile_is_said_in_a_sentence(
    page: Page, app_url: str, store: Store
) -> None:
    shutil.copytree(store.path / "tiny", store.path / "short-lived")
    open_explorer(page, f"{app_url}/explore?run=short-lived")
    store.get("short-lived").delete()
    slider(page).focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("There is no run called 'short-lived'").first).to_be_visible()


def test_the_run_picked_in_the_sidebar_stays_across_pages(
    page: Page, app_url: str, store: Store
) -> None:
    shutil.copytree(store.path / "tiny", store.path / "another")
    open_explorer(page, f"{app_url}/explore?run=tiny")
    picker = page.locator(".st-key-run-picker")
    picker.locator("input").click()
    page.get_by_role("option", name="another").click()
    page.wait_for_url("**/explore?run=another")
    expect(page.get_by_text("Explore another")).to_be_visible()
    page.get_by_role("link", name="Encodings").click()
    page.wait_for_url("**/encodings?run=another")
    expect(page.get_by_text("Encodings of another")).to_be_visible()
    store.get("another").delete()
