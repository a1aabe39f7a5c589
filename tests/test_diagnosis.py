"""Every symptom is provoked by a real training and stays away from healthy ones."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine import make_loop, tiny
from vae_core.config import RunConfig
from vae_core.diagnosis import Finding, LearningCurves, diagnose, learning_curves
from vae_core.errors import UserError
from vae_core.families import complete
from vae_core.runs import Store
from vae_core.training.events import Checkpoint
from vae_core.training.recorders import RunRecorder

SHIPPED = Path(__file__).resolve().parents[1] / "trained_models" / "mnist-vae"

Records = list[dict[str, Any]]
Train = Callable[[str], tuple[Records, RunConfig, str]]

MODEL = {"backbone": "mlp", "latent_dim": 4, "options": {"hidden": [64]}}
TRAINING = {"learning_rate": 5e-3, "preview_every": 10_000}


def digits(epochs: int, limit: int | None = None, **changes: Any) -> RunConfig:
    """A small fully connected VAE on the digits; 27 steps an epoch where there is no limit."""
    model = MODEL | changes.pop("model", {})
    train = TRAINING | {"epochs": epochs} | changes.pop("train", {})
    return tiny(data={"limit": limit}, model=model, train=train, **changes)


CONFIGS = {
    "healthy": digits(12),
    "collapsed": digits(4, objective={"beta": 100.0}),
    "autoencoder": digits(5, objective={"beta": 0.001}),
    "exploded": digits(1, train={"learning_rate": 1.0}),
    "overfitted": digits(
        90,
        limit=30,
        family="autoencoder",
        model={"latent_dim": 16, "options": {"hidden": [256]}},
        train={"batch_size": 30},
    ),
    "dead codes": digits(
        2,
        family="vq-vae",
        objective={"codes": 512, "restart": 0.0},
        model={"backbone": "conv", "options": {"channels": [8, 16], "hidden": 32}},
    ),
    "diverged": digits(
        1,
        model={
            "likelihood": "gaussian",
            "output": "identity",
            "scale_head": "logsigma",
            "options": {"hidden": [512, 512, 512]},
        },
        train={"learning_rate": 10.0},
    ),
}


def recorded(folder: Path, config: RunConfig, then: RunConfig | None = None) -> Records:
    """The history of a training as its run folder has it; `then` goes on from its last save."""
    run = Store(folder).create("run", config)
    state = None
    for each in filter(None, (config, then)):
        loop = make_loop(each, state)
        recorder = RunRecorder(run, loop.total_steps, loop.step)
        for event in loop.run():
            recorder(event)
            state = event.state if isinstance(event, Checkpoint) else state
    return run.history()[0]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Trains a configuration of the table once: (records, configuration, why it failed)."""

    @functools.cache
    def once(name: str) -> tuple[Records, RunConfig, str]:
        folder = tmp_path_factory.mktemp(name)
        try:
            return recorded(folder, CONFIGS[name]), CONFIGS[name], ""
        except UserError as error:
            return Store(folder).get("run").history()[0], CONFIGS[name], str(error)

    return once


def findings(curves: LearningCurves) -> dict[str, Finding]:
    return {finding.name: finding for finding in diagnose(curves)}


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "healthy"])
def test_a_sick_training_is_told_with_evidence_and_a_remedy(name: str, train: Train) -> None:
    found = findings(learning_curves(*train(name)))
    assert list(found) == [name]
    finding = found[name]
    assert finding.sentence.endswith(".") and any(map(str.isdigit, finding.evidence))
    assert finding.remedies
    config = train(name)[1]
    for remedy in finding.remedies:
        assert remedy.applied(config) != config


def test_a_healthy_training_is_silent_at_every_moment(train: Train) -> None:
    records, config, _ = train("healthy")
    assert records[-1]["step"] > 300
    for end in range(len(records) + 1):
        assert diagnose(learning_curves(records[:end], config)) == []


def test_the_shipped_model_is_silent_at_every_moment() -> None:
    run = Store(SHIPPED.parent).get(SHIPPED.name)
    records, config = run.history()[0], run.config()
    for end in range(0, len(records) + 1, 10):
        assert diagnose(learning_curves(records[:end], config)) == []


def test_the_remedy_of_a_collapse_does_not_collapse(train: Train, tmp_path: Path) -> None:
    records, config, _ = train("collapsed")
    remedy = diagnose(learning_curves(records, config))[0].remedies[0]
    mended = remedy.applied(config)
    assert mended.objective["beta"] == 1.0 and mended.objective["schedule"] == "linear"
    curves = learning_curves(recorded(tmp_path, mended), mended)
    assert diagnose(curves) == []
    assert curves.kl is not None and curves.kl > 1.0
    assert curves.validations[-1].beta == 1.0, "the warm-up ends within the run"


def test_a_jump_of_the_loss_is_told_before_the_end(tmp_path: Path) -> None:
    """A training that went well goes on with steps that are far too large."""
    calm = digits(2)
    wild = calm.updated({"train": {"epochs": 3, "learning_rate": 1.0}})
    records = recorded(tmp_path, calm, wild)
    sick = next(i for i, record in enumerate(records) if record["step"] > 2 * 27)
    assert diagnose(learning_curves(records[:sick], wild)) == []
    names = [
        set(findings(learning_curves(records[:end], wild))) for end in range(sick, len(records))
    ]
    assert any("diverging" in each for each in names)


def test_a_codebook_in_use_is_no_finding_and_its_constant_rate_no_explosion(train: Train) -> None:
    records, config, _ = train("dead codes")
    in_use = [
        record | {"terms": record["terms"] | {"perplexity": 300.0, "kl": 1e4}}
        for record in records
        if record["kind"] == "step"
    ]
    assert diagnose(learning_curves(in_use, config)) == []


def test_a_moving_beta_is_left_alone(train: Train) -> None:
    """Early in a warm-up the KL may be as large as it likes."""
    records, config, _ = train("autoencoder")
    steps = [record for record in records if record["kind"] == "step"]
    rising = [record | {"weights": {"kl": 1e-4 * (i + 1)}} for i, record in enumerate(steps)]
    assert diagnose(learning_curves(rising, config)) == []


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": "step"},
        {"kind": "step", "step": 1, "epoch": 1, "terms": None, "total": 1.0},
        {"kind": "step", "step": 1, "epoch": 1, "terms": {"kl": "x"}, "total": 1.0},
        {"kind": "step", "step": 1, "epoch": 1, "terms": {"kl": float("nan")}, "total": 1.0},
        {"kind": "validation", "step": 1, "epoch": 1, "terms": {}, "total": 1.0, "beta": []},
    ],
)
def test_damaged_records_are_passed_over(record: dict[str, Any]) -> None:
    curves = learning_curves([record], digits(1))
    assert curves.training == curves.validations == ()
    assert diagnose(curves) == []


def test_free_bits_and_noise_are_offered_where_they_exist(train: Train) -> None:
    records, config, _ = train("collapsed")
    model = config.model.model_copy(update={"likelihood": "gaussian"})
    richer = config.model_copy(update={"model": model})
    changes = [r.changes for r in diagnose(learning_curves(records, richer))[0].remedies]
    assert {"model": {"likelihood": "gaussian-optimal"}} in changes
    remedy = next(
        r for r in diagnose(learning_curves(records, config))[0].remedies if "Free" in r.label
    )
    assert complete(remedy.applied(config)).objective["free"] == 0.25
