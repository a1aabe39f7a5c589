"""The models that come with the app: small, whole, and made by the command that they name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import benchmarks.shipped as making
from vae_core.latent.directions import load_directions
from vae_core.latent.encodings import load_encodings
from vae_core.loading import load_run
from vae_core.locations import DEFAULT_STORE, SHIPPED
from vae_core.presets import presets
from vae_core.runs import Run, Store

RUNS = (SHIPPED / "shipped.txt").read_text("utf-8").split()
MOST_BYTES = 6_000_000
"""Hashes of 70 000 images, which tell later whether they are the same ones, take 0.7 MB."""


@pytest.mark.parametrize("name", RUNS)
def test_a_shipped_model_is_small_and_whole(name: str) -> None:
    run = Store(DEFAULT_STORE).get(name)
    assert sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file()) < MOST_BYTES
    assert run.status().state == "finished"
    loaded = load_run(run)
    encodings = load_encodings(run)
    assert encodings.step == loaded.step == run.status().step
    assert load_directions(run, encodings.step) is not None
    assert encodings.thumbnails is not None and len(encodings.thumbnails) == len(encodings.mu)
    assert loaded.model.decode(loaded.model.sample_prior(2)).shape[1:] == loaded.card.image_shape


@pytest.mark.parametrize("name", RUNS)
def test_it_names_its_command_and_no_folder_of_whoever_made_it(name: str) -> None:
    run = Store(DEFAULT_STORE).get(name)
    command = run.environment().command
    assert command[1:4] == ["-m", "vae_core", "train"]
    assert command[command.index("--preset") + 1] in presets
    config = run.config()
    assert config.data.data_dir is None and config.train.threads is None
    for file in ("config.json", "environment.json", "data.json"):
        assert "/" not in run.text(file).replace("images/s", "")


def test_the_best_seed_ships_without_what_only_training_needs(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "STORE", tmp_path / "made")
    monkeypatch.setattr(making, "SHIPPED", tmp_path)
    (tmp_path / "shipped.txt").write_text("first\n")
    recipe = making.Recipe("second", "digits-vae", seeds=(0, 1, 2))
    for seed, elbo in ((0, -9.0), (1, -5.0)):
        run = making.run_of(recipe, seed)
        shutil.copytree(finished.path, run.path)
        run.write_json("summary.json", run.summary() | {"elbo": elbo})
        run.file("training_state.pt").write_bytes(b"")
    assert [making.row(recipe, seed)["state"] for seed in recipe.seeds] == [
        "finished", "finished", "new",
    ]  # fmt: skip
    shipped = Run(making.install(recipe))
    assert shipped.shipped and (tmp_path / "shipped.txt").read_text() == "first\nsecond\n"
    assert shipped.summary()["elbo"] == -5.0 and shipped.config().train.threads is None
    assert not {"training_state.pt", "log.txt", "job.json"} & {
        p.name for p in shipped.path.iterdir()
    }
    assert shipped.has("directions.safetensors")
    monkeypatch.setattr(making, "LARGEST", 1000)
    with pytest.raises(SystemExit, match=r"more than 0\."):
        making.install(recipe)
    assert Run(tmp_path / "second").summary()["elbo"] == -5.0


def test_making_goes_on_where_it_was_left(finished: Run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(making, "STORE", tmp_path)
    recipe = making.Recipe("mine", "digits-vae", settings={"train.epochs": 2})
    asked: list[list[str]] = []
    monkeypatch.setattr(making, "ran", lambda words, store, until: asked.append(words) or False)
    assert not making.trained(recipe, 0, "cuda", 0.0)
    run = making.run_of(recipe, 0)
    shutil.copytree(finished.path, run.path)
    done = run.status()
    run.set_status(done.model_copy(update={"state": "stopped"}))
    assert not making.trained(recipe, 0, "", 0.0)
    run.set_status(done)
    assert making.trained(recipe, 0, "", 0.0)
    assert asked == [
        ["train", "--preset", "digits-vae", "--run", "mine", "--set", "train.epochs=2",
         "--set", "train.seed=0", "--set", "train.device=cuda"],
        ["resume", "mine"],
    ]  # fmt: skip
