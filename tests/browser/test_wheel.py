"""The package as pip installs it, in folders that know of no checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.app import ROOT, answering, free_port
from vae_core.runs import Store

from .test_explore import open_explorer, picture, thumb, wait_for_change

pytestmark = pytest.mark.browser

APP = "latent_workbench/app/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make wheel` builds."""
    place = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    _pip(*build, "--wheel-dir", str(place), str(ROOT))
    (built,) = place.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def home(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's home, with an environment of its own in which the wheel is installed.

    Of everything else it has what the tests run with, but not the checkout.
    """
    home = tmp_path_factory.mktemp("home")
    venv.create(home / "venv")
    (site,) = (home / "venv").rglob("site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    _pip("--python", str(home / "venv"), *install, str(wheel))
    return home


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True)


def _shell(home: Path) -> list[str]:
    """What comes before a command that is given in a shell where nothing is set."""
    bin = home / "venv" / "bin"
    return ["env", "-i", f"HOME={home}", f"PATH={bin}:/usr/bin:/bin", "OMP_NUM_THREADS=1"]


def _vae_core(home: Path, folder: Path, *arguments: str) -> str:
    command = [*_shell(home), "vae-core", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed_url(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app of the wheel, started in an empty folder."""
    folder, port = tmp_path_factory.mktemp("empty"), free_port()
    command = [*_shell(home), "latent-workbench", "--port", str(port)]
    url = f"http://127.0.0.1:{port}/lab"
    with answering([*command, "--server.baseUrlPath", "lab"], url, Store(folder), cwd=folder):
        yield url
    assert list(folder.iterdir()) == []


def test_it_holds_the_app_and_what_ships_and_nothing_of_ones_own(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    top = ["pages", "trained_models", "streamlit_app.py", ".streamlit/config.toml"]
    tracked = ["git", "ls-files", *top]
    of_git = subprocess.run(tracked, cwd=ROOT, capture_output=True, text=True, check=True)
    assert {name for name in names if name.startswith(APP)} == {
        APP + name for name in of_git.stdout.splitlines()
    }
    assert "vae_core/py.typed" in names
    tops = {name.split("/")[0] for name in names}
    assert {name for name in tops if "dist-info" not in name} == {"vae_core", "latent_workbench"}


def test_the_command_line_trains_in_an_empty_folder(home: Path, tmp_path: Path) -> None:
    _vae_core(home, tmp_path, "train", "--preset", "digits-vae", "--epochs", "1", "--run", "mine")
    listed = {run["run"]: run for run in json.loads(_vae_core(home, tmp_path, "list", "--json"))}
    assert listed["mine"]["state"] == "finished" and "mnist-vae" in listed
    assert (home / ".local/share/latent-workbench/trained_models/mine/model.safetensors").is_file()
    assert list(tmp_path.iterdir()) == []


def test_the_app_shows_what_ships_and_is_dragged(page: Page, installed_url: str) -> None:
    open_explorer(page, installed_url)  # the gallery, with a model to drag on top
    card = page.locator(".st-key-card-sprites-vae")
    card.get_by_role("button", name="Explore").click()
    page.wait_for_url(f"{installed_url}/explore?run=sprites-vae*")
    open_explorer(page, page.url)
    before = picture(page)
    x, y = thumb(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=4)
    wait_for_change(page, before)
    page.mouse.up()


def test_what_ships_cannot_be_deleted(page: Page, installed_url: str) -> None:
    page.goto(installed_url)
    page.locator(".st-key-menu-mnist-vae button").first.click()
    expect(page.get_by_text("It cannot be changed or deleted.")).to_be_visible()
    expect(page.get_by_text("Delete for good")).to_have_count(0)
