"""Images dropped or chosen in a real browser: on their way, taken back, refused, kept."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.app import served
from tests.pictures import pack, png
from tests.test_bad_input import good, locked, vast_png, zipped
from vae_core.runs import Store

from .conftest import PATIENCE_MS

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)

DROP = """(place, files) => {
  const transfer = new DataTransfer();
  for (const [name, bytes] of files) transfer.items.add(new File([new Uint8Array(bytes)], name));
  place.dispatchEvent(new DragEvent("dragenter", { dataTransfer: transfer }));
  const marked = place.classList.contains("over");
  place.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
  return [marked, place.classList.contains("over")];
}"""


def left_in(data: Path) -> list[str]:
    folder = data / "uploads"
    return sorted(os.listdir(folder)) if folder.exists() else []


def open_uploader(page: Page, url: str) -> None:
    page.goto(f"{url}/train")
    page.get_by_role("combobox", name="Data").click()
    page.get_by_role("option", name="Your images").click()
    expect(page.get_by_test_id("upload-state")).to_contain_text("Drop images")


def test_images_come_by_button_and_drop_and_what_is_not_kept_is_deleted(
    page: Page, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, large = tmp_path / "data", tmp_path / "large.zip"
    monkeypatch.setenv("VAE_DATA", str(data))
    monkeypatch.setenv("VAE_UPLOAD_MB", "90")
    with zipfile.ZipFile(large, "w") as packed:
        packed.writestr("noise", os.urandom(80_000_000))
    (tmp_path / "none.zip").write_bytes(b"no zip")
    with served(Store(tmp_path / "runs")) as (url, server):
        open_uploader(page, url)
        files, state = (
            page.get_by_test_id("upload-files-input"),
            page.get_by_test_id("upload-state"),
        )
        problem = page.get_by_test_id("upload-problem")

        network = page.context.new_cdp_session(page)
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
        network.send("Network.enable")
        network.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": 4_000_000})
        files.set_input_files(large)
        expect(state).to_contain_text("of 80.0 MB")
        page.get_by_test_id("upload-cancel").press("Enter")
        expect(state).to_contain_text("Drop images")
        network.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
        expect(problem).to_be_empty()

        before = server.memory_info().rss
        files.set_input_files(large)
        expect(problem).to_contain_text("no image in large.zip")
        assert server.memory_info().rss - before < 40e6
        files.set_input_files(tmp_path / "none.zip")
        expect(problem).to_contain_text("none.zip is no zip file")
        assert left_in(data) == []

        place = page.get_by_test_id("upload-place")
        dropped = [[f"{i}.png", list(png(i))] for i in range(4)]
        assert place.evaluate(DROP, dropped) == [True, False]
        expect(state).to_contain_text("4 images")
        expect(problem).to_be_empty()
        expect(page.get_by_text("images · 20×16 px · colour")).to_be_visible()
        [kept] = left_in(data)

        other = browser.new_context()
        theirs = other.new_page()
        theirs.set_default_timeout(PATIENCE_MS)
        open_uploader(theirs, url)  # what one session uploads another does not see
        other.close()

        page.get_by_role("link", name="Gallery").click()
        page.get_by_role("link", name="Train").click()
        expect(state).to_contain_text("4 images")
        assert left_in(data) == [kept]
        page.get_by_test_id("upload-remove").click()
        expect(state).to_contain_text("Drop images")
        assert left_in(data) == []


def test_what_is_brought_by_mistake_is_one_sentence_and_the_next_try_is_free(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    monkeypatch.setenv("VAE_DATA", str(data))
    refused = {
        "empty.zip": (zipped({}), "There is no image in empty.zip that can be read"),
        "one.zip": (zipped(good(1)), "There is only one image in one.zip that can be read"),
        "secret.zip": (locked(good()), "Pack your images again without a password."),
        "vast.zip": (zipped({"vast.png": vast_png()}), "vast.png: too many pixels"),
        "torn.zip": (zipped(good())[:300], "torn.zip is no zip file that can be read"),
        "text.txt": (b"text", "There is no image in text.txt that can be read"),
        "film.mov": (b"film", "'film.mov' is nothing that can be read; what can be is JPEG, PNG"),
    }
    with served(Store(tmp_path / "runs")) as (url, _):
        open_uploader(page, url)
        files = page.get_by_test_id("upload-files-input")
        state, problem = page.get_by_test_id("upload-state"), page.get_by_test_id("upload-problem")
        start = page.locator(".st-key-start-training button")
        for name, (content, sentence) in refused.items():
            (tmp_path / name).write_bytes(content)
            files.set_input_files(tmp_path / name)
            expect(problem).to_contain_text(sentence)
            expect(state).to_contain_text("Drop images")
            expect(start).to_be_disabled()
            assert left_in(data) == []

        files.set_input_files(pack(tmp_path / "same.zip", {f"{i}.png": png(1) for i in range(9)}))
        expect(page.get_by_text("All 9 images are copies of one")).to_be_visible()
        expect(start).to_be_disabled()
        page.get_by_test_id("upload-remove").click()

        mixed = {f"🦊 Füchse/фото {i} 😀.png": png(i) for i in range(50)}
        mixed |= {f"🐱/猫{i}.png": png(i + 50) for i in range(50)}
        files.set_input_files(pack(tmp_path / "mixed.zip", {**mixed, "🐱/torn.png": png(1)[:60]}))
        expect(page.get_by_text("1 of 101 files was skipped: 🐱/torn.png (damaged")).to_be_visible()
        expect(page.locator('.samples img[title*="🦊 Füchse"]').first).to_be_visible()
        expect(start).to_be_enabled()
