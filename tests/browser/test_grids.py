"""Grids in a real browser: pictures to click, and files that hold what was shown."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from vae_core.latent.directions import principal_directions
from vae_core.latent.encodings import load_encodings
from vae_core.latent.grids import decode_vectors
from vae_core.loading import load_run
from vae_core.runs import Store

pytestmark = pytest.mark.browser

WAIT_FOR_EXPLORE = "() => location.pathname.endsWith('/explore')"


@pytest.fixture
def grids(page: Page, app_url: str) -> Page:
    page.goto(f"{app_url}/grids?run=tiny")
    page.locator(".sheet-picture img").wait_for()
    return page


def test_the_downloaded_plane_is_what_the_decoder_draws(grids: Page, store: Store) -> None:
    with grids.expect_download() as download:
        grids.get_by_role("button", name="PNG").click()
    pixels = np.asarray(Image.open(io.BytesIO(download.value.path().read_bytes())))
    assert pixels.shape == (9 * 16, 9 * 16)
    run = store.get("tiny")
    found = principal_directions(load_encodings(run).mu)
    first, second = found.vectors[:2] * found.deviations[:2, None]
    # The second row from above, the last column.
    vector = found.center + 2 * first + 1.5 * second
    expected = decode_vectors(load_run(run).model, vector[None])[0, 0]
    assert np.abs(pixels[16:32, -16:].astype(int) - expected).max() <= 1


def test_a_click_on_a_picture_opens_it_in_explore(grids: Page) -> None:
    picture = grids.locator(".sheet-picture")
    box = picture.bounding_box()
    assert box is not None and box["width"] == pytest.approx(box["height"], abs=1)
    picture.hover(position={"x": box["width"] * 0.99, "y": box["height"] * 0.01})
    mark = grids.locator(".sheet-mark").bounding_box()
    assert mark is not None and mark["width"] == pytest.approx(box["width"] / 9, abs=2)
    assert mark["x"] + mark["width"] == pytest.approx(box["x"] + box["width"], abs=2)
    picture.click(position={"x": box["width"] * 0.99, "y": box["height"] * 0.01})
    grids.wait_for_function(WAIT_FOR_EXPLORE)
    grids.get_by_text("Explore tiny").wait_for()
    # The corner of the plane: two deviations along both principal directions, none along others.
    sliders = [grids.get_by_test_id(f"direction-slider-{i}") for i in range(4)]
    positions = [float(slider.input_value()) for slider in sliders]
    assert positions == pytest.approx([2, 2, 0, 0], abs=0.06)
