"""Explore beyond its sliders, in a real browser: map, starting points, paths, exports, links."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from latent_workbench.shared.explore_view import to_text
from tests.engine import trained
from vae_core.latent.encodings import load_encodings
from vae_core.runs import Store

from .test_explore import open_explorer, picture, slider, wait_for_change

pytestmark = pytest.mark.browser


def values(page: Page) -> list[float]:
    return [float(slider(page, k).input_value()) for k in range(4)]


def named(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name)


def saved(page: Page, name: str, path: Path) -> Path:
    """What a click on the button `name` downloads."""
    with page.expect_download() as download:
        named(page, name).click()
    download.value.save_as(path)
    return path


def latent(page: Page, path: Path) -> np.ndarray:
    """The latent vector under the hand, as the page saves it."""
    named(page, "Save the picture").click()
    vector = np.load(saved(page, "The numbers for NumPy", path), allow_pickle=False)
    page.keyboard.press("Escape")
    return vector


def test_the_marker_on_the_map_decodes_while_it_is_dragged(page: Page, app_url: str) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    field = page.get_by_test_id("latent-map").bounding_box()
    assert field is not None
    x, y = field["x"] + field["width"] / 2, field["y"] + field["height"] / 2
    before = picture(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y - 40, steps=4)
    wait_for_change(page, before)  # the button is still down
    assert values(page)[0] > 0.3 and values(page)[1] > 0.3
    page.mouse.up()
    named(page, "Back to before").click()
    expect(slider(page)).to_have_value("0")


def test_a_click_on_a_point_of_the_map_starts_from_its_image(
    page: Page, app_url: str, store: Store, tmp_path: Path
) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    field = page.get_by_test_id("latent-map")
    box = field.bounding_box()
    assert box is not None
    # Look for a point as a hand does: where the hover shows an image.
    for share in np.linspace(0.3, 0.7, 41):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 0.45 * box["height"])
        if page.locator(".hover.shown").count():
            break
    said = page.locator(".hover span").inner_text()
    page.mouse.down()
    page.mouse.up()
    place = int(re.match(r"image (\d+)", said).group(1))
    expect(page.get_by_role("button", name=f"Start from this image: {said}")).to_be_visible()
    encodings = load_encodings(store.get("tiny"))
    expected = encodings.mu[encodings.indices.tolist().index(place)]
    np.testing.assert_allclose(latent(page, tmp_path / "z.npy"), expected, atol=1e-5)


def test_the_marker_obeys_arrow_keys_and_undo_the_keyboard(page: Page, app_url: str) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    page.get_by_test_id("map-marker").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    assert values(page)[:2] == pytest.approx([0.5, 1.0])
    slider(page, 2).focus()
    page.keyboard.press("Home")
    expect(slider(page, 2)).to_have_value("-3")
    page.keyboard.press("Control+z")
    assert values(page) == pytest.approx([0.5, 1.0, 0, 0])
    page.keyboard.press("Control+z")
    assert values(page) == [0, 0, 0, 0]
    page.keyboard.press("Control+Shift+z")
    assert values(page)[:2] == pytest.approx([0.5, 1.0])


def test_an_image_from_the_training_data_starts_with_its_reconstruction(
    page: Page, app_url: str, store: Store, tmp_path: Path
) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    before = picture(page)
    named(page, "Start from an image of the data").click()
    page.get_by_label("Show images with this label").select_option("3")
    encodings = load_encodings(store.get("tiny"))
    row = int(np.flatnonzero(encodings.labels == 3)[1])
    page.locator(".cells:not(.few) button:not([hidden])").nth(1).click()
    wait_for_change(page, before)
    np.testing.assert_allclose(latent(page, tmp_path / "z.npy"), encodings.mu[row], atol=1e-5)
    expect(page.get_by_test_id("whereabouts")).to_contain_text("σ from the mean")


def test_where_a_point_lies_is_told_at_both_ends_and_nothing_moves(
    page: Page, app_url: str, store: Store
) -> None:
    mu = load_encodings(store.get("tiny")).mu
    heights = []
    for z, meant, words in (
        (mu.mean(axis=0), "typical", "0.0 σ from the mean; "),
        (mu.mean(axis=0) + 50, "far", "farther than all training draws"),
    ):
        base = to_text(z.astype("<f4").tobytes())
        open_explorer(page, f"{app_url}/explore?run=tiny&base={base}")
        sentence = page.get_by_test_id("whereabouts")
        expect(sentence).to_contain_text(words)
        expect(page.locator(f".whereabouts[data-meant={meant}]")).to_be_visible()
        expect(sentence).to_have_attribute("title", re.compile("Log-density under the prior: −"))
        heights.append(sentence.bounding_box()["height"])  # type: ignore[index]
    assert heights[0] == heights[1]


def test_a_hold_out_image_starts_with_its_reconstruction(page: Page, app_url: str) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    before = picture(page)
    named(page, "Start from an image of the data").click()
    named(page, "Start from hold-out image 4").click()
    wait_for_change(page, before)
    named(page, "Back to before").click()
    expect(slider(page)).to_have_value("0")


def test_an_upload_is_encoded_and_what_is_no_image_is_told(
    page: Page, app_url: str, tmp_path: Path
) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    before = picture(page)
    Image.radial_gradient("L").resize((60, 40)).save(tmp_path / "mine.png")
    page.get_by_test_id("image-upload").set_input_files(tmp_path / "mine.png")
    wait_for_change(page, before)
    (tmp_path / "no.png").write_text("no image")
    page.get_by_test_id("image-upload").set_input_files(tmp_path / "no.png")
    expect(page.locator(".explorer > .problem").first).to_contain_text("image")


def test_a_drawing_is_encoded_stroke_by_stroke(page: Page, app_url: str) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    before = picture(page)
    named(page, "Start from a drawing of yours").click()
    board = page.get_by_test_id("drawing-board").bounding_box()
    assert board is not None
    page.mouse.move(board["x"] + 60, board["y"] + 40)
    page.mouse.down()
    page.mouse.move(board["x"] + 90, board["y"] + 220, steps=6)
    page.mouse.up()
    wait_for_change(page, before)
    expect(page.locator(".boards img")).to_have_attribute("src", re.compile("^data:image/png"))
    page.locator(".boards figure canvas.drawn").wait_for()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("drawing-board")).to_be_hidden()


def test_a_path_is_scrubbed_played_and_taken_home(page: Page, app_url: str, tmp_path: Path) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    scrubber = page.get_by_test_id("path-scrubber")
    expect(scrubber).to_be_disabled()
    page.get_by_test_id("path-a").click()
    named(page, "Set direction 1 to 2 σ").click()
    page.get_by_test_id("path-b").click()
    expect(scrubber).to_be_enabled()
    before = picture(page)
    scrubber.fill("0.5")
    wait_for_change(page, before)
    expect(slider(page)).to_have_value("1")
    named(page, "Play from A to B").click()
    wait_for_change(page, picture(page))
    named(page, "Play from A to B").click()
    named(page, "Save the picture").click()
    for format in ("GIF", "WebP"):
        dialog = page.get_by_role("dialog", name="Save")
        with page.expect_download() as download:
            dialog.get_by_role("button", name="Save the path").nth(int(format == "WebP")).click()
        download.value.save_as(tmp_path / format)
        with Image.open(tmp_path / format) as image:
            assert image.format == format.upper() and image.n_frames > 10
            assert min(image.size) >= 280


def test_a_direction_swings_by_itself(page: Page, app_url: str) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    named(page, "Swing along direction 2").click()
    wait_for_change(page, picture(page))
    first = float(slider(page, 1).input_value())
    page.wait_for_timeout(300)
    assert float(slider(page, 1).input_value()) != first
    named(page, "Swing along direction 2").click()
    settled = slider(page, 1).input_value()
    page.wait_for_timeout(300)
    assert slider(page, 1).input_value() == settled
    named(page, "Back to before").click()
    expect(slider(page, 1)).to_have_value("0")


def test_picture_and_numbers_are_taken_home(page: Page, app_url: str, tmp_path: Path) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    named(page, "Set direction 1 to -2 σ").click()
    z = latent(page, tmp_path / "z.npy")
    assert z.shape == (4,) and z.dtype == np.float32
    named(page, "Save the picture").click()
    told = json.loads(saved(page, "The numbers, with run", tmp_path / "z.json").read_text())
    assert told["run"] == "tiny" and told["values"] == [-2, 0, 0, 0]
    np.testing.assert_allclose(told["z"], z, rtol=1e-6)
    with Image.open(saved(page, "The picture, pixel by pixel", tmp_path / "1.png")) as image:
        assert image.size == (16, 16)
    with Image.open(saved(page, "Enlarged to at least", tmp_path / "n.png")) as image:
        assert image.size == (512, 512)


def test_a_link_reopens_exactly_this_view(page: Page, app_url: str, tmp_path: Path) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    page.get_by_text("Raw axes").click()
    expect(slider(page)).to_have_attribute("aria-label", re.compile("^Direction z"))
    named(page, "Start from an image of the data").click()
    page.locator(".cells:not(.few) button").nth(2).click()
    page.wait_for_url("**base=**")
    slider(page, 1).focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    z, at, shown = latent(page, tmp_path / "1.npy"), values(page), picture(page)
    link = page.url
    other = page.context.browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        reopened = other.new_page()
        open_explorer(reopened, link)
        assert values(reopened) == at and picture(reopened) == shown
        np.testing.assert_array_equal(latent(reopened, tmp_path / "2.npy"), z)
        expect(slider(reopened)).to_have_attribute("aria-label", re.compile("^Direction z"))
    finally:
        other.close()


def test_directions_are_kept_by_name_and_followed(page: Page, app_url: str) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    named(page, "Set direction 3 to 2 σ").click()
    expect(slider(page, 2)).to_have_value("2")
    page.get_by_role("button", name="Keep").click()
    page.get_by_label("Name").fill("slant")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.get_by_text("along slant")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_text("Saved", exact=True).click()
    expect(slider(page)).to_have_attribute("aria-label", re.compile("^Direction slant"))
    before = picture(page)
    slider(page).focus()
    page.keyboard.press("End")
    wait_for_change(page, before)


def test_local_directions_are_fitted_where_you_are(page: Page, app_url: str) -> None:
    open_explorer(page, f"{app_url}/explore?run=tiny")
    named(page, "Set direction 1 to 2 σ").click()
    before = picture(page)
    page.get_by_text("Local", exact=True).click()
    expect(slider(page)).to_have_attribute("aria-label", re.compile("^Direction local 1"))
    page.wait_for_url("**at=**")
    assert picture(page) == before and values(page) == [0, 0, 0, 0]
    page.get_by_role("button", name="Fit here").click()
    slider(page).focus()
    page.keyboard.press("End")
    wait_for_change(page, before)


def test_two_runs_start_from_the_same_image_and_part_by_their_sliders(
    page: Page, app_url: str, store: Store
) -> None:
    shutil.copytree(store.path / "tiny", store.path / "twin")
    try:
        page.goto(f"{app_url}/explore?run=tiny&beside=twin")
        canvases = page.get_by_test_id("decoded-image")
        expect(canvases).to_have_count(2)
        page.locator('[data-testid="decoded-image"].drawn').nth(1).wait_for()
        page.get_by_text("Image", exact=True).first.click()
        page.locator("dialog[open] .cells:not(.few) button").nth(4).click()
        markers = page.get_by_test_id("map-marker")
        expect(markers.nth(0)).not_to_have_attribute("aria-valuenow", "0.00")
        there = markers.nth(0).get_attribute("aria-valuetext")
        expect(markers.nth(1)).to_have_attribute("aria-valuetext", there)
        page.get_by_test_id("direction-slider-0").nth(1).focus()
        page.keyboard.press("End")
        expect(markers.nth(1)).not_to_have_attribute("aria-valuetext", there)
        expect(markers.nth(0)).to_have_attribute("aria-valuetext", there)
        page.wait_for_url("**beside-values=3**")
    finally:
        store.get("twin").delete()


def test_a_conditional_model_draws_the_label_that_it_is_told(
    page: Page, app_url: str, store: Store
) -> None:
    run = trained(store.path, "conditional", family="conditional-vae")
    try:
        open_explorer(page, f"{app_url}/explore?run=conditional&values=1")
        before = picture(page)
        condition = page.get_by_test_id("condition")
        condition.select_option("7")
        wait_for_change(page, before)
        page.wait_for_url("**given=7**")
        told = picture(page)
        page.reload()
        page.locator('[data-testid="decoded-image"].drawn').wait_for()
        expect(condition).to_have_value("7")
        assert picture(page) == told
        named(page, "Start from an image of the data").click()
        page.get_by_label("Show images with this label").select_option("3")
        page.locator(".cells:not(.few) button:not([hidden])").first.click()
        expect(condition).to_have_value("3")
    finally:
        run.delete()


def test_a_dial_turns_encoder_and_decoder_without_training(
    page: Page, app_url: str, store: Store
) -> None:
    """Under the hand, before it lets go; from an image the point moves too, as it is encoded anew.
    A link, a reload and an undo lead back to where it was."""
    objective = {"lowest": 0.02, "highest": 4.0}
    train = {"epochs": 30, "learning_rate": 3e-3, "preview_every": 10_000}
    run = trained(
        store.path, "told", family="multi-rate", objective=objective, data={"limit": 600},
        train=train,
    )  # fmt: skip
    try:
        open_explorer(page, f"{app_url}/explore?run=told")
        dial = page.get_by_test_id("beta-dial")
        expect(dial).to_have_attribute("aria-valuetext", "β 1")
        named(page, "Start from an image of the data").click()
        page.locator(".cells:not(.few) button").nth(5).click()
        page.wait_for_url("**values=**")
        before, url = picture(page), page.url
        box = dial.bounding_box()
        assert box is not None
        y = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] / 2, y)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.95 * box["width"], y, steps=8)
        wait_for_change(page, before)
        assert "dial=" not in page.url, "the hand still holds it"
        page.mouse.up()
        page.wait_for_url("**dial=**")
        assert page.url.split("values=")[1] != url.split("values=")[1], "it is encoded anew"
        turned = picture(page)
        page.reload()
        page.locator('[data-testid="decoded-image"].drawn').wait_for()
        expect(dial).not_to_have_attribute("aria-valuetext", "β 1")
        assert picture(page) == turned
        page.locator(".dial .strip button").first.click()
        expect(dial).to_have_attribute("aria-valuetext", "β 0.02")
        wait_for_change(page, turned)
        named(page, "Back to before the last change").click()
        expect(dial).not_to_have_attribute("aria-valuetext", "β 0.02")
    finally:
        run.delete()


def test_where_sockets_are_blocked_the_picture_follows_on_release(page: Page, app_url: str) -> None:
    page.route_web_socket("**/live/decode/**", lambda socket: socket.close())
    open_explorer(page, f"{app_url}/explore?run=tiny")
    expect(page.get_by_text("the picture follows when you let go")).to_be_visible()
    before = picture(page)
    box = slider(page).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=5)
    page.wait_for_timeout(500)
    assert picture(page) == before
    page.mouse.up()
    wait_for_change(page, before)
    before = picture(page)
    named(page, "Start from an image of the data").click()
    page.locator(".cells:not(.few) button").nth(5).click()
    wait_for_change(page, before)
