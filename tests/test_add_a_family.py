"""docs/add-a-family.md does what it says: a family from another package trains in a real worker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.plugin import installed, python

TRAIN = """
import json, sys, time
from vae_core.config import parse_config
from vae_core.families import families
from vae_core.runs import Store
from vae_core.training import jobs

config = parse_config({
    "family": "decov",
    "data": {"dataset": "digits", "image_size": 16, "limit": 120},
    "model": {"latent_dim": 4, "options": {"channels": [8], "hidden": 16}},
    "train": {"epochs": 2, "batch_size": 50, "log_every": 1, "threads": 1, "device": "cpu"},
})
run = jobs.start(Store(sys.argv[1]), "mine", config)
until = time.monotonic() + 80
while run.status().state != "finished" and run.is_alive() and time.monotonic() < until:
    time.sleep(0.1)
assert run.status().state == "finished", run.log_tail(40)
mine = families["decov"]
print(json.dumps([mine.label, list(mine.options.model_fields), mine.terms["decov"].unit]))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return installed("docs/add-a-family.md", tmp_path / "site")


def test_the_family_of_the_page_is_found_and_trained(
    environment: dict[str, str], tmp_path: Path
) -> None:
    store = tmp_path / "runs"
    done = python(environment, "-c", TRAIN, str(store))
    assert json.loads(done.stdout) == ["Decorrelated autoencoder", ["beta"], "code⁴"]
    records = [json.loads(line) for line in (store / "mine/history.jsonl").open()]
    steps = [record for record in records if record["kind"] == "step"]
    assert steps[-1]["terms"]["decov"] > 0
    assert steps[-1]["weights"] == {"recon": 1.0, "decov": 0.05}
    assert (store / "mine/model.safetensors").exists()


def test_a_family_that_fails_to_load_is_reported_and_left_out(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "site/decov.py").write_text("raise RuntimeError('half written')\n")
    done = python(
        environment, "-c", "from vae_core.families import families as f; print('decov' in f)"
    )
    assert done.stdout.strip() == "False"
    assert "The family 'decov' of decov is left out: RuntimeError: half written" in done.stderr
