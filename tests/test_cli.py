"""The command line as a script meets it: once as processes, then each command in this one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import commands

TINY = [
    "--dataset", "digits", "--epochs", "1",
    "--set", "data.image_size=16", "--set", "data.limit=200", "--set", "train.batch_size=50",
    "--set", "model.options={\"channels\":[8,16],\"hidden\":32}", "--set", "model.latent_dim=4",
    "--set", "train.threads=1",
]  # fmt: skip


def process(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "vae_core", *arguments], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == status, done.stderr
    return done


def vae(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """A command in this process."""
    done = commands.vae_core(*arguments)
    assert done.returncode == status, done.stderr
    return done


def as_json(*arguments: str) -> Any:
    return json.loads(vae(*arguments, "--json").stdout)


def test_from_training_to_evaluation(tmp_path: Path) -> None:
    store = ("--store", str(tmp_path))
    done = process("train", "--family", "vae", *TINY, "--run", "my-run", *store)
    assert "images/s" in done.stderr and "validation recon" in done.stderr + done.stdout

    (row,) = as_json("list", *store)
    assert (row["run"], row["state"], row["family"], row["beta"]) == (
        "my-run", "finished", "vae", 1.0,
    )  # fmt: skip
    shown = as_json("show", "my-run", *store)
    assert shown["config"]["model"]["latent_dim"] == 4
    assert shown["data"]["image_shape"] == [1, 16, 16]
    command = shown["environment"]["command"]
    assert command[:4] == ["python", "-m", "vae_core", "train"] and command[-1] == "my-run"
    assert "my-run" in vae("list", *store).stdout
    assert "latent_dim" in vae("show", "my-run", *store).stdout

    report = json.loads(process("evaluate", "my-run", *store, "--json").stdout)
    assert report["elbo"] == pytest.approx(-(report["recon"] + report["kl"]))
    assert {"active_units", "images_per_s"} <= report.keys()
    assert report["recon"] == pytest.approx(shown["summary"]["recon"])

    taken = vae("train", *TINY, "--run", "my-run", *store, status=2)
    assert "already a run called 'my-run'" in taken.stderr
    finished = process("resume", "my-run", *store, status=2)
    assert "is finished" in finished.stderr
    no_test = vae("evaluate", "my-run", "--split", "test", *store, status=2)
    assert "has no test images" in no_test.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "--preset", "nope"], "There is no preset 'nope'"),
        (["train", "--dataset", "nope"], "There is no data set 'nope'"),
        (["train", "--set", "model.latent_dim=0"], "model.latent_dim"),
        (["train", "--set", "model.latent_dims=4"], "Did you mean 'model.latent_dim'"),
        (["train", "--set", "nonsense"], "write KEY=VALUE"),
        (["train", *TINY, "--set", "train.batch_size=5000"], "larger than the 200 training images"),
        (["train", *TINY, "--run", "../outside"], "is no run name"),
        (["train", "--dataset", "folder", "--data-dir", "no/such/place"], "no/such/place"),
        (["show", "missing"], "There is no run called 'missing'"),
        (["evaluate", "missing"], "There is no run called 'missing'"),
        (["resume", "missing"], "There is no run called 'missing'"),
    ],
)
def test_bad_input_is_one_sentence_and_status_two(
    arguments: list[str], sentence: str, tmp_path: Path
) -> None:
    done = vae(*arguments, "--store", str(tmp_path), status=2)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and sentence in last
    assert "Traceback" not in done.stderr
    assert not (tmp_path.parent / "outside").exists()


def test_the_name_of_a_run_that_never_began_is_free(tmp_path: Path) -> None:
    store = ("--store", str(tmp_path))
    too_large = ("--set", "train.batch_size=5000")
    vae("train", *TINY, *too_large, "--run", "again", *store, status=2)
    vae("train", *TINY, "--run", "again", *store)
    assert as_json("list", *store)[0]["state"] == "finished"


def test_presets_and_families() -> None:
    rows = {row["name"]: row for row in as_json("presets")}
    assert rows["course-ae"]["weights"] == 421_413
    assert rows["course-vae"]["weights"] == 422_058
    names = {row["name"] for row in as_json("families")}
    assert {"autoencoder", "vae"} <= names
    assert "course-vae" in vae("presets").stdout and "Kingma" in vae("families").stdout


def test_a_damaged_run_is_listed_as_damaged_beside_the_others(tmp_path: Path) -> None:
    store = ("--store", str(tmp_path))
    vae("train", *TINY, "--run", "good", *store)
    (tmp_path / "half").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    rows = {row["run"]: row for row in as_json("list", *store)}
    assert rows["good"]["state"] == "finished"
    assert rows["half"]["state"] == rows["broken"]["state"] == "damaged"
    assert "broken" in rows["broken"]["reason"]
