"""docs/add-a-dataset.md does what it says: a data set from another package is trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.plugin import installed, python

TRAIN = (
    "--dataset", "pneumonia", "--family", "vae", "--epochs", "1", "--set", "data.image_size=16",
    "--set", "model.latent_dim=4", "--set", "model.options.hidden=16",
    "--set", "model.options.channels=[8]",
    "--set", "train.batch_size=20", "--set", "train.threads=1", "--set", "train.device=cpu",
)  # fmt: skip


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    found = installed("docs/add-a-dataset.md", tmp_path / "site")
    return found | {"VAE_DATA": str(tmp_path / "data"), "VAE_STORE": str(tmp_path / "runs")}


def test_the_data_set_of_the_page_is_found_and_trained_on(
    environment: dict[str, str], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    counts = {"train": 60, "test": 20}
    (tmp_path / "data").mkdir()
    np.savez(
        tmp_path / "data/pneumoniamnist.npz",
        **{f"{k}_images": rng.integers(0, 256, (n, 28, 28), np.uint8) for k, n in counts.items()},
        **{f"{k}_labels": rng.integers(0, 2, (n, 1), np.uint8) for k, n in counts.items()},
    )
    python(environment, "-m", "vae_core", "train", "--run", "mine", *TRAIN)
    card = json.loads((tmp_path / "runs/mine/data.json").read_text())
    assert card["image_shape"] == [1, 16, 16] and card["label_names"] == ["normal", "pneumonia"]
    assert card["n_train"] + card["n_validation"] == 60
    assert (tmp_path / "runs/mine/model.safetensors").exists()


def test_the_form_lists_it_last_and_a_missing_file_is_named(environment: dict[str, str]) -> None:
    done = python(
        environment, "-c",
        "from vae_core.config import DataConfig\n"
        "from vae_core.data import datasets, load_dataset\n"
        "from vae_core.errors import UserError\n"
        "print([entry.label for entry in datasets][-2:], datasets['pneumonia'].origin)\n"
        "try: load_dataset(DataConfig(dataset='pneumonia'))\n"
        "except UserError as error: print(error)\n",
    )  # fmt: skip
    assert done.stdout.startswith("['Your images', 'PneumoniaMNIST'] files\n")
    assert "pneumoniamnist.npz cannot be read" in done.stdout
    assert "Fetch it from medmnist.com." in done.stdout
