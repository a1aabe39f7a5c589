"""The models that come with the app: small, whole, and made by the command that they name."""

from __future__ import annotations

import pytest

from vae_core.latent.directions import load_directions
from vae_core.latent.encodings import load_encodings
from vae_core.loading import load_run
from vae_core.locations import DEFAULT_STORE, SHIPPED
from vae_core.presets import presets
from vae_core.runs import Store

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
