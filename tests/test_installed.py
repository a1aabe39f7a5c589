"""Where things lie with a checkout and without one, what ships, and how the app is started.

`tests/browser/test_wheel.py` installs the package and looks at all of it from outside.
"""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from latent_workbench.__main__ import app
from tests.pages import open_page
from vae_core import locations
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.latent.saved import forget_direction, load_saved, save_direction, saved_version
from vae_core.locations import DEFAULT_STORE, SHIPPED, module_command, module_environment
from vae_core.runs import Run, Store
from vae_core.runs import store as store_module
from vae_core.runs.folder import SHIPPED_LIST
from vae_core.training.jobs import resume

NAMES = (SHIPPED / SHIPPED_LIST).read_text(encoding="utf-8").split()


# --- where things lie ----------------------------------------------------------------------------


def test_installed_things_lie_in_the_folders_of_the_platform(tmp_path: Path) -> None:
    """The module alone, in a folder without `streamlit_app.py` beside it, is an installed one."""
    package = tmp_path / "site-packages" / "vae_core"
    package.mkdir(parents=True)
    for name in ("locations", "errors"):
        shutil.copy(Path(locations.__file__).with_name(f"{name}.py"), package)
    code = (
        "from vae_core.locations import *; from vae_core import locations as found\n"
        "print(store_folder(), data_folder(), cache_folder(), SHIPPED, sep='\\n')\n"
        "print('PYTHONPATH' in module_environment())"
    )
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=package.parent, env={"HOME": str(home)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    own = home / ".local" / "share" / "latent-workbench"
    assert done.stdout.splitlines() == [
        str(own / "trained_models"),
        str(own / "data"),
        str(home / ".cache" / "latent-workbench"),
        str(package.parent / "latent_workbench" / "app" / "trained_models"),
        "False",
    ]


def test_a_variable_may_name_a_folder_of_ones_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_STORE", "~/runs")
    assert Store().path == Path.home() / "runs"


def test_a_store_that_leads_to_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match="leads to no folder"):
        Store(tmp_path / "loop" / "runs")


def test_another_process_finds_the_packages_and_imports_nothing_of_the_folder_it_is_in(
    tmp_path: Path,
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('this is a file of somebody')")
    done = subprocess.run(
        module_command("vae_core", "presets"), env=module_environment(),
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and "digits-vae" in done.stdout, done.stderr


# --- what ships ----------------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path: Path) -> Run:
    """A shipped run in a folder of its own, as a wheel has it."""
    place = tmp_path / "shipped"
    shutil.copytree(DEFAULT_STORE / "mnist-vae", place / "mnist-vae")
    (place / SHIPPED_LIST).write_text("mnist-vae\n")
    return Run(place / "mnist-vae")


@pytest.fixture
def store(shipped: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of a person who has installed the package."""
    monkeypatch.setattr(store_module, "IS_CHECKOUT", False)
    monkeypatch.setattr(store_module, "SHIPPED", shipped.path.parent)
    monkeypatch.setenv("VAE_STORE", str(tmp_path / "own"))
    return Store()


def test_what_git_has_ships_and_nothing_else(tmp_path: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "trained_models"],
        cwd=SHIPPED.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {path.split("/")[1] for path in tracked.stdout.split()} == {*NAMES, SHIPPED_LIST}
    assert all(Run(SHIPPED / name).shipped for name in NAMES)
    assert not Run(SHIPPED / "my-run").shipped and not Run(tmp_path / "mnist-vae").shipped


def test_what_ships_is_not_written_deleted_or_resumed(shipped: Run) -> None:
    before = {path: path.read_bytes() for path in shipped.path.rglob("*") if path.is_file()}
    sentence = "'mnist-vae' comes with the app and cannot be changed"
    for change in (
        shipped.delete,
        lambda: shipped.write_json("config.json", {}),
        lambda: shipped.append("history.jsonl", {}),
        lambda: shipped.rename("config.json", "x"),
        lambda: shipped.claim(os.getpid()),
        lambda: shipped.set_status(shipped.status()),
    ):
        with pytest.raises(UserError, match=sentence):
            change()
    with pytest.raises(UserError, match=sentence), shipped.lock():
        pass
    with pytest.raises(UserError):
        resume(shipped)
    after = {path: path.read_bytes() for path in shipped.path.rglob("*") if path.is_file()}
    assert after == before


def test_a_copy_of_what_ships_is_ones_own(shipped: Run) -> None:
    shutil.copytree(shipped.path, shipped.path.with_name("mine"))
    Run(shipped.path.with_name("mine")).delete()
    assert [run.id for run in Store(shipped.path.parent)] == ["mnist-vae"]


def test_own_runs_and_those_that_ship_are_found_together(store: Store, shipped: Run) -> None:
    assert [run.path for run in store] == [shipped.path]
    made = store.create("mine", RunConfig())
    assert made.path.parent == store.path
    assert {run.path for run in store} == {made.path, shipped.path}
    assert store.get("mnist-vae").path == shipped.path and store.get("mine").path == made.path


def test_the_name_of_what_ships_is_taken(store: Store) -> None:
    with pytest.raises(UserError, match="already a run called 'mnist-vae'"):
        store.create("mnist-vae", RunConfig())
    assert "already a run" in store.refusal("mnist-vae") and store.refusal("mine") == ""
    assert store.free_name("mnist-vae") == "mnist-vae-2"


def test_of_two_with_one_name_ones_own_is_meant(store: Store, shipped: Run) -> None:
    """Such as a copy in the volume of an image that copied what ships."""
    shutil.copytree(shipped.path, store.path / "mnist-vae")
    assert [run.path for run in store] == [store.path / "mnist-vae"]
    store.get("mnist-vae").delete()
    assert store.get("mnist-vae").path == shipped.path


def test_directions_of_what_ships_are_kept_in_ones_own_store(store: Store, shipped: Run) -> None:
    along = np.eye(16, dtype=np.float32)[0]
    assert load_saved(shipped) == () and saved_version(shipped) is None
    save_direction(shipped, "thicker", along)
    assert [each.name for each in load_saved(shipped)] == ["thicker"]
    assert saved_version(shipped) is not None
    assert (store.path / ".directions" / "mnist-vae" / "saved_directions.json").is_file()
    assert not shipped.has("saved_directions.json")
    forget_direction(shipped, "thicker")
    assert load_saved(shipped) == ()


def test_a_store_that_cannot_be_written_keeps_no_direction(
    shipped: Run, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VAE_STORE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="could not be written"):
        save_direction(shipped, "thicker", np.ones(16))


def test_the_gallery_shows_what_ships_and_offers_no_way_to_delete_it(store: Store) -> None:
    store.create("mine", RunConfig())
    page = open_page("gallery")
    assert {box.key for box in page.checkbox} == {"sure-mine"}
    assert any("cannot be changed or deleted" in caption.value for caption in page.caption)
    assert page.button(key="explore-mnist-vae")


# --- how the app is started ----------------------------------------------------------------------


@pytest.mark.parametrize("dashes", [[], ["--"]])
def test_the_command_says_to_streamlit_what_it_was_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dashes: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setenv("VAE_DATA", "before")
    monkeypatch.chdir(tmp_path)
    started: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(runpy, "run_module", lambda name, **_: started.append((name, sys.argv)))
    words = ["--port", "8600", "--address", "0.0.0.0", "--store", "runs", "--read-only"]
    done = CliRunner().invoke(app, [*words, *dashes, "--server.baseUrlPath", "lab"])
    assert done.exit_code == 0, done.output
    script = str(locations.APP / "streamlit_app.py")
    server = ["--server.port=8600", "--server.address=0.0.0.0", "--server.baseUrlPath", "lab"]
    assert started == [("streamlit", ["streamlit", "run", script, *server, "--", "--read-only"])]
    assert os.environ["VAE_STORE"] == str(tmp_path / "runs") and os.environ["VAE_DATA"] == "before"
