"""What is derived is what it claims to be, and stops nobody where it cannot be kept."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.engine import tiny
from tests.read_only import mount_and_run
from vae_core.analysis import map_of, survey_of
from vae_core.child import in_process
from vae_core.data.cache import entries, prune
from vae_core.errors import Stopped, UserError
from vae_core.latent.directions import load_directions
from vae_core.latent.encodings import encode_dataset, load_encodings, save_encodings
from vae_core.latent.priors.gaussian_mixture import GaussianMixturePrior
from vae_core.latent.priors.prior import load_prior
from vae_core.latent.survey import load_survey
from vae_core.loading import load_run
from vae_core.run_data import dataset_of
from vae_core.runs import Run, Store, derived
from vae_core.runs.derived import derived_folder
from vae_core.training.worker import work

ROOT = Path(__file__).parent.parent


def pictures(folder: Path, seed: int, count: int = 40) -> Path:
    folder.mkdir()
    for number in range(count):
        noise = np.random.default_rng((seed, number)).integers(0, 255, (16, 16), np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run on folder A; B holds as many other images."""
    made = Store(tmp_path / "store").create(
        "tiny",
        tiny(
            data={"dataset": "folder", "data_dir": str(pictures(tmp_path / "a", 1)), "limit": None},
            train={"epochs": 1, "batch_size": 8},
        ),
    )
    work(made)
    pictures(tmp_path / "b", 2)
    return made


# --- keyed by all they depend on ------------------------------------------------------------------


def test_the_map_of_one_folder_is_not_shown_for_another(run: Run, tmp_path: Path) -> None:
    own = map_of(run, "train", "pca")
    # Which part an image goes to, a hash of it says: look for a folder with as many in this one.
    folders = (str(pictures(tmp_path / f"b{seed}", seed)) for seed in range(2, 30))
    b = next(b for b in folders if len(dataset_of(run, b).train) == len(own.points))
    other = map_of(run, "train", "pca", data_dir=b)
    assert other.points.shape == own.points.shape
    assert not np.allclose(own.points, other.points)
    np.testing.assert_array_equal(map_of(run, "train", "pca").points, own.points)
    np.testing.assert_array_equal(map_of(run, "train", "pca", data_dir=b).points, other.points)


def test_the_survey_of_a_run_is_that_of_its_own_images(run: Run, tmp_path: Path) -> None:
    """Encoding B first, and then what the page asks for: the run's own images."""
    other = survey_of(run, "train", str(tmp_path / "b"))
    own = survey_of(run, "train")
    assert other.note and not own.note
    assert not np.isin(own.hashes, other.hashes).any()
    np.testing.assert_array_equal(survey_of(run, "train", str(tmp_path / "b")).mu, other.mu)


def test_a_survey_of_a_folder_whose_images_changed_is_made_again(run: Run, tmp_path: Path) -> None:
    before = survey_of(run, "train", str(tmp_path / "b"))
    first = tmp_path / "b" / before.files[0]
    Image.fromarray(np.full((16, 16), 7, np.uint8)).save(first)
    after = survey_of(run, "train", str(tmp_path / "b"))
    assert after.hashes is not None and not np.array_equal(after.hashes, before.hashes)


def test_other_weights_of_the_same_step_have_another_survey(run: Run) -> None:
    before = survey_of(run, "train")
    scaled(run)
    assert not np.allclose(survey_of(run, "train").mu, before.mu)


def test_what_is_fitted_to_encodings_goes_with_them(run: Run) -> None:
    step = load_encodings(run).step
    assert load_directions(run, step) is not None
    GaussianMixturePrior(run, load_run(run).model).mixture()
    assert load_prior(run, "gaussian-mixture", 2) is not None
    scaled(run)
    save_encodings(run, encode_dataset(load_run(run).model, dataset_of(run), step, 3000))
    assert load_directions(run, step) is None and load_prior(run, "gaussian-mixture", 2) is None


def scaled(run: Run) -> None:
    """Other weights under the step of those before, as after a return to an earlier save."""
    from safetensors.torch import load_file, save

    step, weights = run.weights_step(), load_file(run.file("model.safetensors"))
    changed = {name: 1.5 * t if t.is_floating_point() else t for name, t in weights.items()}
    run.write_bytes("model.safetensors", save(changed, {"step": str(step)}))


# --- in the cache, and nowhere else ---------------------------------------------------------------


def files(run: Run) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.is_file()}


def derive(run: Run) -> None:
    """All that is derived from a run."""
    survey_of(run, "validation")
    map_of(run, "train", "pca")
    GaussianMixturePrior(run, load_run(run).model).mixture()


def test_nothing_is_written_into_the_run(run: Run) -> None:
    before = files(run)
    assert "directions.safetensors" not in before
    derive(run)
    assert files(run) == before
    kept_there = {path.name for path in derived_folder(run).path.glob("*.safetensors")}
    assert kept_there == {
        "directions.safetensors", "encodings-train.safetensors", "encodings-validation.safetensors",
        "map-train-pca-2d.safetensors", "prior-gaussian-mixture.safetensors",
    }  # fmt: skip


def test_what_earlier_versions_kept_in_the_run_is_read_there(run: Run) -> None:
    derive(run)
    place = derived_folder(run)
    for path in place.path.glob("*.safetensors"):
        shutil.copy(path, run.path)
    derived.forget(run)
    step = run.weights_step() or 0
    assert load_survey(run, "validation", step) is not None
    assert load_directions(run, step) is not None
    assert load_prior(run, "gaussian-mixture", 2) is not None
    assert not place.path.exists()
    scaled(run)  # a stale one in the run is made anew, in the cache
    assert load_survey(run, "validation", step) is None
    survey_of(run, "validation")
    assert load_survey(run, "validation", step) is not None
    assert [path.name for path in place.path.glob("*.safetensors")] == [
        "encodings-validation.safetensors"
    ]


def test_it_goes_with_its_run(run: Run) -> None:
    derive(run)
    other = Store(run.path.parent).create("other", run.config())
    derived.keep(other, "directions.safetensors", {"a": np.zeros(2)}, {})
    run.delete()
    assert not derived_folder(run).path.exists() and derived_folder(other).path.exists()


def test_it_is_counted_and_pruned_with_the_rest_of_the_cache(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_CACHE", str(tmp_path / "cache"))
    derive(run)
    place = derived_folder(run).path
    (found,) = [entry for entry in entries() if entry.kind == "derived"]
    assert found.path == place and not found.in_use
    assert found.size >= sum(path.stat().st_size for path in place.glob("*.safetensors"))
    for path in (place, *place.iterdir()):
        os.utime(path, (1e9, 1e9))
    assert min(entries(), key=lambda entry: entry.used).path == place
    step = run.weights_step() or 0
    assert load_survey(run, "validation", step) is not None  # it is used now
    assert next(entry for entry in entries() if entry.path == place).used > 1e9 + 1
    assert place in [entry.path for entry in prune(0)]
    assert not place.exists() and load_survey(run, "validation", step) is None
    assert survey_of(run, "validation").step == step


# --- where they cannot be written -----------------------------------------------------------------


def test_a_read_only_store_can_be_used(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(ROOT)
    printed = mount_and_run(str(run.path.parent), run.id)
    told = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    *used, resumed, completed = told
    assert [line["status"] for line in used] == [0] * 8, used
    assert [line["status"] for line in (resumed, completed)] == [2, 2]
    encoded = [line["err"] for line in used if line["command"] == "encode"]
    assert "Encoding the train images" in encoded[0]
    assert encoded[1] == "", "it was kept in the cache"
    left = sorted(path.name for path in (tmp_path / "cache").rglob("*.safetensors"))
    assert left == ["encodings-train.safetensors", "map-train-pca-2d.safetensors",
                    "prior-gaussian-mixture.safetensors"]  # fmt: skip


def test_where_nothing_can_be_kept_it_is_said_and_made(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    survey_of(run, "train")  # prepares the images in the cache that there still is
    monkeypatch.setattr(derived, "cache_folder", lambda: tmp_path / "file")
    names = ("map-train-pca-2d.safetensors", "prior-gaussian-mixture.safetensors",
             "encodings-validation.safetensors")  # fmt: skip
    with caplog.at_level(logging.WARNING):
        assert len(map_of(run, "train", "pca").points) == len(survey_of(run, "train"))
        assert len(survey_of(run, "validation")) > 0
        assert GaussianMixturePrior(run, load_run(run).model).mixture().weights.sum() > 0
    assert all(name in caplog.text for name in names)


# --- in a process beside --------------------------------------------------------------------------


@pytest.fixture
def stray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that greets on the standard output, in every Python that is started from here."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import atexit, os\n"
        "print('hello from a library')\n"
        'os.write(1, b\'{"no": "answer", \\xff\\n[1]\\n\')\n'
        "atexit.register(print, 'good bye')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))


def test_stray_lines_do_not_break_the_answer(run: Run, stray: None) -> None:
    told: list[str] = []
    in_process(
        ["encode", run.id, "--split", "train", "--map", "pca"], run, lambda m, s: told.append(m)
    )
    assert "Encoding the train images" in told
    assert derived_folder(run).has("map-train-pca-2d.safetensors")
    with pytest.raises(UserError, match="There is no map 'tsna'"):
        in_process(["encode", run.id, "--split", "train", "--map", "tsna"], run)


def test_the_traceback_of_a_child_reaches_the_log(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("raise SystemExit('broken on purpose')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    with pytest.raises(UserError, match=r"ended before it was done: .*broken on purpose"):
        in_process(["encode", run.id], run)
    log = run.file("log.txt")
    assert "encode tiny failed" in log.read_text() and "broken on purpose" in log.read_text()
    secret = tmp_path / "secret"
    secret.write_text("mine")
    log.unlink()
    log.symlink_to(secret)
    with pytest.raises(UserError):
        in_process(["encode", run.id], run)
    assert secret.read_text() == "mine" and "broken on purpose" in caplog.text


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if "encode" in words(p)]


def words(process: psutil.Process) -> list[str]:
    """Its command; none of one that has ended and that nobody has asked about yet."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_child_that_nobody_waits_for_is_killed(run: Run) -> None:
    start = 0.0

    def progress(message: str, share: float | None) -> None:
        nonlocal start
        if children():
            start = time.monotonic()
            raise Stopped(message)

    with pytest.raises(Stopped):
        in_process(["encode", run.id, "--split", "train"], run, progress)
    while children() and time.monotonic() - start < 2:  # one that it was just starting ends itself
        time.sleep(0.02)
    assert time.monotonic() - start < 2 and children() == []


def test_a_child_ends_with_its_parent(run: Run) -> None:
    program = (
        "import sys; from pathlib import Path; from vae_core.child import in_process\n"
        "from vae_core.runs import Run\n"
        "say = lambda m, s: m and print(m, flush=True)\n"
        "in_process(['encode', sys.argv[1], '--split', 'cached', '--map', 'tsne',"
        " '--dimensions', '3'], Run(Path(sys.argv[2])), say)\n"
    )
    place = run.path.parent / "sprites-vae"
    shutil.copytree(ROOT / "trained_models" / "sprites-vae", place)
    parent = subprocess.Popen(
        [sys.executable, "-c", program, place.name, str(place)], stdout=subprocess.PIPE, cwd=ROOT,
        env=os.environ | {"VAE_CACHE": str(run.path.parent)},
    )  # fmt: skip
    assert parent.stdout is not None and parent.stdout.readline()
    (beside,) = psutil.Process(parent.pid).children()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    beside.wait(10)
