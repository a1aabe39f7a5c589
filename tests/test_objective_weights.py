"""A run is loaded with its objective: what it measures is what it measured before it was saved."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from tests.engine import make_loop, tiny, trained
from tests.test_families import FAMILIES, OBJECTIVE_SETTINGS
from vae_core.cli.app import app
from vae_core.config import RunConfig
from vae_core.export import Source, export
from vae_core.families import complete
from vae_core.loading import load_run
from vae_core.metrics import Measurement, measure
from vae_core.run_data import data_card
from vae_core.runs import OBJECTIVE, STATE, WEIGHTS, Run, Store
from vae_core.training.checkpoint import save_checkpoint
from vae_core.training.events import Checkpoint
from vae_core.types import Context


def config_of(family: str) -> RunConfig:
    objective = OBJECTIVE_SETTINGS.get(family, {})
    return tiny(
        family=family, data={"limit": 150}, objective=objective, train={"preview_every": 100}
    )


def measured(model: Any, objective: Any, part: Any, step: int) -> Measurement:
    context = Context(step, torch.Generator().manual_seed(3), train_images=100)
    return measure(model, objective, part, context)


@pytest.mark.parametrize("family", FAMILIES)
def test_evaluation_is_the_same_before_saving_and_after_loading(
    family: str, tmp_path: Path
) -> None:
    """Every term and the total, to the last bit."""
    loop = make_loop(config_of(family))
    run = Store(tmp_path).create("tiny", complete(loop.config))
    run.write_json("data.json", data_card(loop.dataset))
    for event in loop.run():
        if isinstance(event, Checkpoint):
            save_checkpoint(run, event)
    part = loop.dataset.validation
    before = measured(loop.model, loop.objective, part, loop.step)
    torch.manual_seed(123)  # what was random at building shall not be so by chance
    loaded = load_run(run)
    assert not loaded.model.training and not loaded.objective.training
    loaded.model.to(memory_format=torch.channels_last)
    after = measured(loaded.model, loaded.objective, part, loaded.step)
    assert after.terms == before.terms and after.total == before.total
    assert after.weights == before.weights and after.kl_per_dim == before.kl_per_dim


@pytest.fixture
def older(tmp_path: Path) -> Run:
    """A FactorVAE as an older version left it: the critic in the training state alone."""
    run = trained(
        tmp_path, family="factor-vae", objective={"critic_units": 16}, data={"limit": 150}
    )
    weights = load_file(run.file(WEIGHTS))
    assert any(name.startswith(OBJECTIVE) for name in weights)
    kept = {name: t for name, t in weights.items() if not name.startswith(OBJECTIVE)}
    save_file(kept, run.file(WEIGHTS), {"step": str(run.weights_step())})
    return run


def evaluate(run: Run, *options: str) -> tuple[str, str]:
    command = ["evaluate", run.id, "--store", str(run.path.parent), *options]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def test_a_critic_is_taken_from_the_training_state_of_an_older_run(older: Run) -> None:
    critic = load_run(older).objective.state_dict()
    state = torch.load(older.file(STATE), weights_only=True)["modules"]["objective"]
    assert all(torch.equal(tensor, state[name]) for name, tensor in critic.items())
    told = json.loads(evaluate(older, "--json")[0])
    assert math.isfinite(told["terms"]["tc"]) and math.isfinite(told["terms"]["total"])


@pytest.mark.parametrize("state", ["gone", "of another step", "damaged"])
def test_where_the_critic_is_not_known_nothing_is_made_up(state: str, older: Run) -> None:
    if state == "gone":
        older.file(STATE).unlink()
    elif state == "damaged":
        older.file(STATE).write_bytes(b"no state")
    else:
        saved = torch.load(older.file(STATE), weights_only=True)
        torch.save(saved | {"step": 1}, older.file(STATE))
    out, err = evaluate(older, "--json")
    told = json.loads(out)
    for name in ("tc", "critic", "accuracy", "total"):
        assert told["terms"][name] is None
    assert math.isfinite(told["recon"]) and math.isfinite(told["kl"])
    assert "tc" in err and "total cannot be told" in err
    assert "cannot be told" in evaluate(older)[1]


def test_an_export_of_the_weights_holds_the_model_alone(tmp_path: Path) -> None:
    run = trained(
        tmp_path, family="factor-vae", objective={"critic_units": 16}, data={"limit": 150}
    )
    target = tmp_path / "out.safetensors"
    target.write_bytes(export(Source(run), "safetensors").files["model.safetensors"])
    assert set(load_file(target)) == set(load_run(run).model.state_dict())
