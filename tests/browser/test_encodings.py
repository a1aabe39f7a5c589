"""Encodings in a real browser: what is under the pointer, and files that hold what was selected."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from vae_core.analysis import survey_of
from vae_core.latent.directions import principal_directions
from vae_core.latent.encodings import Encodings, load_encodings, save_encodings
from vae_core.latent.saved import forget_direction, load_saved
from vae_core.loading import load_part
from vae_core.runs import Store

from .conftest import PATIENCE_MS

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)

WAIT_FOR_EXPLORE = "() => location.pathname.endsWith('/explore')"


@pytest.fixture
def encodings(store: Store) -> Encodings:
    return load_encodings(store.get("tiny"))


@pytest.fixture
def points(store: Store, encodings: Encodings) -> np.ndarray:
    """Where the encodings lie along the first two principal directions, in σ: [N, 2]."""
    found = principal_directions(encodings.mu)
    return (encodings.mu - found.center) @ found.vectors[:2].T / found.deviations[:2]


@pytest.fixture
def scatter(page: Page, app_url: str) -> Locator:
    page.goto(f"{app_url}/encodings?run=tiny")
    canvas = page.get_by_test_id("scatter")
    canvas.wait_for()
    page.get_by_text("300 images", exact=True).wait_for()
    return settled(canvas)


def settled(canvas: Locator) -> Locator:
    """A canvas once it stays where it is: what is above it on the page may still be laid out, and
    a pointer that was moved to one of its points a moment ago is then over none."""
    before = None
    while (box := canvas.bounding_box()) != before:
        before = box
        canvas.page.wait_for_timeout(300)
    return canvas


def pixels(scatter: Locator, points: np.ndarray) -> np.ndarray:
    """Where points [N, 2] are on the canvas while all of them are in sight: px [N, 2]."""
    box = scatter.bounding_box()
    assert box is not None
    size = np.array([box["width"], box["height"]])
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (0.92 * size / (high - low)).min()
    return (points - (low + high) / 2) * scale * [1, -1] + size / 2


def between(at: np.ndarray) -> float:
    """A place across, near the third quartile of the points at [N, 2], that no point is near."""
    sorted_x = np.sort(at[:, 0])
    gaps = np.diff(sorted_x[200:260])
    return float(sorted_x[200 + gaps.argmax()] + gaps.max() / 2)


def grey(canvas: Locator) -> np.ndarray:
    """The red of a canvas's pixels: uint8 [H, W]."""
    found = canvas.evaluate(
        "c => [c.height, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )
    return np.array(found[1:], np.uint8).reshape(found[0], -1, 4)[:, :, 0]


def picture(canvas: Locator) -> str:
    """What a canvas shows once everything asked for has been painted."""
    found: str = canvas.evaluate(
        "c => new Promise((tell) => "
        "requestAnimationFrame(() => setTimeout(() => tell(c.toDataURL()))))"
    )
    return found


def place(at: np.ndarray) -> Any:
    return {"x": float(at[0]), "y": float(at[1])}


def test_images_are_shown_one_by_one_and_selected_by_a_lasso(
    page: Page, scatter: Locator, points: np.ndarray, encodings: Encodings, store: Store
) -> None:
    at = pixels(scatter, points)
    row = int(np.argmax(points[:, 0]))
    scatter.hover(position=place(at[row]))
    preview = page.locator(".hover.shown")
    name = encodings.label_names[encodings.labels[row]]
    expect(preview).to_have_text(f"{name} · image {row + 1}")
    np.testing.assert_array_equal(
        grey(preview.locator("canvas.drawn")), encodings.thumbnails[row, 0]
    )
    scatter.click(position=place(at[row]))
    page.get_by_text(f"{name} · training image {encodings.indices[row] + 1}").wait_for()
    expect(page.locator(".row-of-pictures img")).to_have_count(2 + 8)
    box = scatter.bounding_box()
    assert box is not None
    cut = between(at)
    inside = np.flatnonzero(at[:, 0] > cut)
    page.locator("[data-mode=lasso]").first.click()
    right, top, bottom = box["x"] + box["width"] - 2, box["y"] + 2, box["y"] + box["height"] - 2
    page.mouse.move(box["x"] + cut, top)
    page.mouse.down()
    for corner in ((right, top), (right, bottom), (box["x"] + cut, bottom)):
        page.mouse.move(*corner)
    page.mouse.up()
    page.get_by_text(f"{len(inside)} images selected").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    table = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert [int(line["index"]) for line in table] == encodings.indices[inside].tolist()
    vectors = [[float(line[f"z{k}"]) for k in range(4)] for line in table]
    np.testing.assert_allclose(vectors, encodings.mu[inside], rtol=1e-5, atol=1e-6)
    # Two kept selections make a direction.
    page.get_by_role("button", name="Keep as A").click()
    page.get_by_text("Selection A is kept").wait_for()
    scatter.scroll_into_view_if_needed()  # the buttons lie below
    box = scatter.bounding_box()
    assert box is not None
    top, bottom = box["y"] + 2, box["y"] + box["height"] - 2
    page.mouse.move(box["x"] + 2, top)
    page.mouse.down()
    for corner in ((box["x"] + cut, top), (box["x"] + cut, bottom), (box["x"] + 2, bottom)):
        page.mouse.move(*corner)
    page.mouse.up()
    page.get_by_text(f"{300 - len(inside)} images selected").wait_for()
    page.get_by_role("button", name="Keep as B").click()
    page.get_by_role("textbox", name="Direction from A to B").fill("leftwards")
    page.get_by_role("button", name="Save and open in Explore").click()
    page.wait_for_function(WAIT_FOR_EXPLORE)
    (saved,) = load_saved(store.get("tiny"))
    outside = np.setdiff1d(np.arange(300), inside)
    way = encodings.mu[outside].mean(axis=0) - encodings.mu[inside].mean(axis=0)
    forget_direction(store.get("tiny"), saved.name)  # other tests use the same run
    assert saved.name == "leftwards"
    np.testing.assert_allclose(saved.vector, way, atol=1e-5)


def test_images_of_a_whole_part_are_fetched_one_by_one(
    page: Page, scatter: Locator, store: Store
) -> None:
    run = store.get("tiny")
    page.get_by_role("combobox", name="Images").click()
    found, part = survey_of(run, "validation"), load_part(run, "validation")[1]
    page.get_by_role("option", name=f"All {len(found)} validation images", exact=True).click()
    page.locator(f'canvas[aria-label="{len(found)} encodings"]').wait_for()
    settled(scatter)
    directions = principal_directions(load_encodings(run).mu)
    along = (found.mu - directions.center) @ directions.vectors[:2].T / directions.deviations[:2]
    row = int(np.argmin(along[:, 1]))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    scatter.hover(position=place(pixels(scatter, along)[row]))
    drawn = page.locator(".hover.shown canvas.drawn")
    drawn.wait_for()
    np.testing.assert_array_equal(grey(drawn), part.images.gather(np.array([row]))[0, 0])
    images = [url for url in asked if "/live/images/tiny/validation" in url]
    assert images and all(url.endswith(f"rows={row}") for url in images)


def seen(points: np.ndarray) -> np.ndarray:
    """Points in space [N, 3] from where the view begins: [N, 2] across and upwards, within ±1."""
    away = points - (points.min(axis=0) + points.max(axis=0)) / 2
    yaw, pitch = -0.5, 0.35
    across = np.cos(yaw) * away[:, 0] + np.sin(yaw) * away[:, 2]
    behind = -np.sin(yaw) * away[:, 0] + np.cos(yaw) * away[:, 2]
    upwards = np.cos(pitch) * away[:, 1] - np.sin(pitch) * behind
    return np.stack([across, upwards], axis=1) / np.linalg.norm(away, axis=1).max()


def test_points_in_space_are_turned_by_hand_and_by_keys(
    page: Page, scatter: Locator, points: np.ndarray, encodings: Encodings
) -> None:
    page.get_by_role("combobox", name="Depth").click()
    page.get_by_role("option", name="z3").click()
    turn = page.get_by_role("button", name="Drag to turn")
    turn.wait_for()
    assert turn.get_attribute("aria-pressed") == "true"
    box = scatter.bounding_box()
    assert box is not None
    third = encodings.mu[:, 3]
    view = seen(np.column_stack([points, (third - third.mean()) / third.std()]))
    row = int(view[:, 0].argmax())
    size = np.array([box["width"], box["height"]])
    scatter.hover(position=place(size / 2 + view[row] * [1, -1] * 0.46 * size.min()))
    page.locator(".hover.shown").get_by_text(f"image {row + 1}", exact=False).wait_for()
    scatter.click(position=place(size / 2 + view[row] * [1, -1] * 0.46 * size.min()))
    page.get_by_text(f"training image {encodings.indices[row] + 1}").wait_for()
    scatter.press("Escape")
    page.get_by_text("Drag to turn").wait_for()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    views = [picture(scatter)]
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 90, middle[1] + 30, steps=3)
    page.mouse.up()
    views.append(picture(scatter))
    scatter.press("ArrowLeft")
    views.append(picture(scatter))
    scatter.press("ArrowRight")
    assert len(set(views)) == 3 and picture(scatter) == views[1]
    page.get_by_role("button", name="Box").click()
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3, steps=2)
    page.mouse.up()
    page.get_by_text("300 images selected").wait_for()


def test_what_is_selected_in_one_run_lights_up_in_the_other(
    page: Page, app_url: str, store: Store, encodings: Encodings, points: np.ndarray
) -> None:
    shutil.copytree(store.get("tiny").path, store.path / "other")
    try:
        other = store.get("other")
        other.file("thumbnails.png").unlink()
        # The other run keeps fewer of the images, in another order.
        kept = np.random.default_rng(0).permutation(300)[:200]
        labels = None if encodings.labels is None else encodings.labels[kept]
        logvar = None if encodings.logvar is None else encodings.logvar[kept]
        hashes = None if encodings.hashes is None else encodings.hashes[kept]
        fewer = replace(
            encodings, mu=encodings.mu[kept], logvar=logvar, labels=labels,
            indices=encodings.indices[kept], thumbnails=encodings.thumbnails[kept], hashes=hashes,
        )  # fmt: skip
        save_encodings(other, fewer)
        page.goto(f"{app_url}/encodings?run=tiny")
        page.get_by_role("combobox", name="Compare with").click()
        page.get_by_role("option", name="other").click()
        page.get_by_text("The same 200 images in two spaces").wait_for()
        mine, theirs = page.get_by_test_id("scatter").first, page.get_by_test_id("scatter").last
        page.locator('canvas[aria-label="200 encodings"]').wait_for()
        at = pixels(mine, points)
        row = int(kept[np.argmax(points[kept, 0])])
        mine.hover(position=place(at[row]))
        page.locator(".ring.shown").wait_for()
        before = picture(theirs)
        page.locator("[data-mode=box]").first.click()
        box = mine.bounding_box()
        assert box is not None
        cut = between(at)
        inside = np.flatnonzero(at[:, 0] > cut)
        page.mouse.move(box["x"] + cut, box["y"] + 1)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] - 1, steps=3)
        page.mouse.up()
        # At once, before any answer from the server; then the summaries of both.
        assert picture(theirs) != before
        page.get_by_text(f"{len(inside)} images selected").wait_for()
        shared = np.intersect1d(inside, kept)
        page.get_by_text(f"{len(shared)} images selected").wait_for()
    finally:
        shutil.rmtree(store.path / "other")


def test_empty_space_is_decoded_where_it_was_clicked(
    page: Page, scatter: Locator, points: np.ndarray
) -> None:
    at = pixels(scatter, points)
    size = scatter.bounding_box()
    assert size is not None
    grid = np.stack(
        np.meshgrid(
            np.linspace(20, size["width"] - 20, 40), np.linspace(30, size["height"] - 30, 30)
        ),
        axis=-1,
    ).reshape(-1, 2)
    away = np.linalg.norm(grid[:, None] - at[None], axis=2).min(axis=1)
    middle = np.linalg.norm(grid - at.mean(axis=0), axis=1)
    spot = grid[np.argmin(np.where(away > 14, middle, np.inf))]
    scatter.click(position=place(spot))
    page.get_by_text("Decoded from empty space").wait_for()
    page.get_by_role("button", name="Open in Explore").click()
    page.wait_for_function(WAIT_FOR_EXPLORE)
    page.get_by_text("Explore tiny").wait_for()
    # Back from pixels to σ: the first two sliders stand there, the others at the mean.
    (x, y), scale = (spot - at[0]), (at[1] - at[0]) / (points[1] - points[0])
    expected = points[0] + np.array([x, y]) / scale
    sliders = [page.get_by_test_id(f"direction-slider-{i}") for i in range(4)]
    positions = [float(slider.input_value()) for slider in sliders]
    assert positions == pytest.approx([*expected, 0, 0], abs=0.06)


def test_points_are_called_by_their_files_and_coloured_by_what_a_table_says(
    page: Page, app_url: str, store: Store, encodings: Encodings, points: np.ndarray
) -> None:
    """150 labels are found by name, hidden and shown; a column is a colouring like any other."""
    shutil.copytree(store.get("tiny").path, store.path / "described")
    run, rows = store.get("described"), np.arange(300)
    save_encodings(
        run,
        replace(
            encodings,
            labels=rows % 150,
            label_names=tuple(f"breed {i:03}" for i in range(150)),
            files=tuple(f"holiday/{'long_' * 30 if i % 2 else ''}img_{i:03}.jpg" for i in rows),
            columns={
                "place": np.array([f"place {i % 12:02}" for i in rows], "O"),
                "weight": np.where(rows % 7, rows / 10, np.nan),
            },
        ),
    )
    page.goto(f"{app_url}/encodings?run=described")
    canvas = page.get_by_test_id("scatter")
    page.get_by_text("300 images", exact=True).wait_for()
    chips = page.locator(".chip")
    expect(chips).to_have_count(24)
    page.get_by_role("status").get_by_text("and 126 more", exact=True).wait_for()
    page.get_by_role("searchbox", name="Find one of 150: label").fill("breed 14")
    expect(chips).to_have_count(10)
    whole = picture(canvas)
    page.get_by_role("button", name="Hide all of them").click()
    assert picture(canvas) != whole
    chips.first.click()
    expect(chips.first).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Show all of them").click()
    assert picture(canvas) == whole
    choice = page.get_by_label("Colour by")
    choice.select_option("place")
    expect(chips).to_have_text([*(f"place {i:02}" for i in range(9)), "other (3 more)"])
    settled(canvas)  # the chips of another colouring take other room
    at, row = pixels(canvas, points), int(np.argmax(points[:, 0]))
    canvas.hover(position=place(at[row]))
    hovered = page.locator(".hover.shown span")
    expect(hovered).to_contain_text(f"breed {row % 150:03} · place: ")
    expect(hovered).to_contain_text(f"img_{row:03}.jpg")
    choice.select_option("weight")
    expect(page.locator(".legend .bar")).to_be_visible()
    canvas.click(position=place(at[row]))
    page.get_by_text(f"img_{row:03}.jpg").first.wait_for()
    names = page.locator(".row-of-pictures figure[title*='holiday/']")
    expect(names).to_have_count(8)
