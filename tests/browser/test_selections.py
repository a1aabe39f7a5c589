"""From a filter to a training in a real browser, pictures in place of points, and the shaders."""

from __future__ import annotations

import base64
import shutil

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from benchmarks.scatter import MEASURE, TAKE_ANY, WITHOUT_A_CARD, answering, application
from latent_workbench.live.static import addresses
from vae_core.latent.encodings import load_encodings
from vae_core.runs import Store
from vae_core.selections import forget_selection, load_selections

from .conftest import PATIENCE_MS
from .test_encodings import encodings, picture, pixels, points, scatter  # noqa: F401

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)


def test_from_a_filter_to_a_training(
    page: Page,
    scatter: Locator,  # noqa: F811
    store: Store,
) -> None:
    run = store.get("tiny")
    labels = load_encodings(run).labels
    assert labels is not None
    filters = page.get_by_test_id("scatter-filters")
    filters.locator("summary").click()
    for label in (3, 5):
        filters.get_by_role("button", name=f"Only label {label},").click()
    wanted = int(np.isin(labels, (3, 5)).sum())
    filtered = page.get_by_test_id("scatter-filtered")
    expect(filtered).to_have_text(f"{wanted} of 300 images")
    # By keys alone: the range of the reconstruction error leaves fewer.
    page.get_by_label("From: reconstruction error").press("PageUp")
    expect(filtered).not_to_have_text(f"{wanted} of 300 images")
    page.get_by_label("From: reconstruction error").press("Home")
    expect(filtered).to_have_text(f"{wanted} of 300 images")
    # What was chosen outlives the page.
    page.reload()
    expect(filters.locator("summary")).to_have_text(f"Filter: {wanted} left")
    filters.locator("summary").click()
    # A lasso takes what passes alone.
    page.locator("[data-mode=box]").first.click()
    box = scatter.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3, steps=4)
    page.mouse.up()
    page.get_by_text(f"{wanted} images selected").wait_for()
    page.get_by_label("Save the selection").fill("threes and fives")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved selections (1)").wait_for()
    (saved,) = load_selections(run)
    assert (saved.name, len(saved)) == ("threes and fives", wanted)
    page.get_by_role("button", name="Train on these").first.click()
    page.get_by_text("Learns from selection “").wait_for()
    page.get_by_text(f"of {wanted}", exact=False).or_(
        page.get_by_text("those of selection", exact=False)
    ).first.wait_for()
    forget_selection(run, saved.name)  # other tests use the same run


def test_pictures_take_the_place_of_points_from_near(
    page: Page,
    scatter: Locator,  # noqa: F811
    points: np.ndarray,  # noqa: F811
) -> None:
    choice = page.get_by_label("Pictures in place of points")
    choice.select_option("never")
    page.get_by_label("Names").uncheck()
    at = pixels(scatter, points)[int(np.argmax(points[:, 0]))]
    scatter.hover(position={"x": float(at[0]), "y": float(at[1])})
    for _ in range(4):
        page.mouse.wheel(0, -200)
    page.wait_for_timeout(500)
    bare = picture(scatter)
    choice.select_option("near")
    changed = "([canvas, before]) => canvas.toDataURL() !== before"
    page.wait_for_function(changed, arg=[scatter.element_handle(), bare])
    choice.select_option("never")
    page.wait_for_function(f"(each) => !({changed})(each)", arg=[scatter.element_handle(), bare])
    page.get_by_role("button", name="Show all points again").click()
    page.wait_for_timeout(500)
    nameless = picture(scatter)
    page.get_by_label("Names").check()
    page.wait_for_function(changed, arg=[scatter.element_handle(), nameless])


def test_the_shaders_paint_what_is_written_pixel_by_pixel(browser: Browser) -> None:
    """A card is not at hand: SwiftShader computes what one would."""
    look = MEASURE[: MEASURE.index("/** Milliseconds")] + (
        "const { canvas, renderer } = scatter, { width: w, height: h } = canvas;"
        "const { data: values } = canvas.getContext('2d').getImageData(0, 0, w, h);"
        "return [renderer.layer.constructor.name, new Uint8Array(values.buffer).toBase64()]; };"
    )
    software = browser.browser_type.launch(
        executable_path=shutil.which("chromium"), args=WITHOUT_A_CARD
    )
    module = "/" + addresses("components/scatter/scatter.js")[0]
    for dimensions in (2, 3):
        found = {}
        with answering(application(3000, dimensions)) as url:
            for shaded in (False, True):
                page = software.new_page(viewport={"width": 900, "height": 800})
                if shaded:
                    page.add_init_script(TAKE_ANY)
                page.goto(url)
                layer, values = page.evaluate(look, {"module": module, "moves": 0})
                assert layer == ("Shaded" if shaded else "Stamped")
                # Text: playwright wraps each number of an array, a minute for millions.
                pixels_rgba = np.frombuffer(base64.b64decode(values), np.uint8)
                found[shaded] = pixels_rgba.astype(np.int16).reshape(-1, 4)
                page.close()
        painted = found[False][:, 3] > 0
        apart = np.abs(found[True] - found[False]).max(axis=1) > 40
        # Numbers of 32 bits round otherwise now and then, and of depths one has 512.
        assert painted.sum() > 5000
        assert apart.sum() < 0.05 * painted.sum(), (dimensions, apart.sum(), painted.sum())
    software.close()
