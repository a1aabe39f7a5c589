"""Ending early with the best weights, training on, and starting from another run's weights."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.commands import vae_core
from tests.engine import make_loop, tiny, trained
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.in_force import beta_in_force
from vae_core.loading import load_run
from vae_core.runs import Run, Store, layout
from vae_core.schedules import DECAYS, Span
from vae_core.training import jobs
from vae_core.training.continuation import continued
from vae_core.training.control import send
from vae_core.training.events import BestTaken, Checkpoint, Ended, Validated
from vae_core.training.initial import config_from_run, refuse_misfit
from vae_core.training.worker import work

PATIENCE = 3


def overfitting(**changes: Any) -> RunConfig:
    """Forty digits and a large network: the validation soon gets worse."""
    train = {"epochs": 200, "batch_size": 16, "learning_rate": 1e-2, "save_every_s": None}
    base = tiny(
        data={"limit": 40},
        model={"latent_dim": 8, "options": {"hidden": 64}},
        train=train | {"early_stopping_patience": PATIENCE},
    )
    return base.updated(changes)


@pytest.fixture(scope="module")
def ended_early(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was out of patience long before its 200 epochs; nobody changes it."""
    run = Store(tmp_path_factory.mktemp("early")).create("early", overfitting())
    assert work(run).finished
    return run


def copy_of(run: Run, folder: Path) -> Run:
    import shutil

    shutil.copytree(run.path, folder / run.id)
    found = Store(folder).get(run.id)
    found.file("job.json").unlink()
    return found


def validations(run: Run) -> list[tuple[int, float]]:
    return [
        (record["step"], record["total"])
        for record in run.history()[0]
        if record["kind"] == "validation"
    ]


def weights(run: Run, which: str = "last") -> dict[str, torch.Tensor]:
    return dict(load_run(run, which=which).model.state_dict())


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# --- ending early ---------------------------------------------------------------------------------


def test_it_ends_once_no_validation_was_better_for_its_patience(ended_early: Run) -> None:
    measured = validations(ended_early)
    best = min(measured, key=lambda each: each[1])[0]
    status, per_epoch = ended_early.status(), 3
    assert status.step == status.total_steps == best + PATIENCE * per_epoch < 200 * per_epoch
    assert measured[-1][0] == status.step and status.state == "finished"
    assert f"those of epoch {best // per_epoch}, where the validation was best" in status.message
    assert status.message in [each.get("message") for each in ended_early.history()[0]]


def test_its_weights_are_those_of_the_best_validation(ended_early: Run) -> None:
    assert same(weights(ended_early), weights(ended_early, "best"))
    best = min(total for _, total in validations(ended_early))
    summary = ended_early.summary()
    assert summary["step"] == ended_early.weights_step() == ended_early.status().step
    assert summary["recon"] + summary["kl"] == pytest.approx(best, rel=0.02), "other noise"


def test_without_patience_it_goes_on_and_keeps_the_last_weights() -> None:
    loop = make_loop(overfitting(train={"early_stopping_patience": 0, "epochs": 12}))
    events = list(loop.run())
    assert loop.step == 36 and not any(isinstance(event, BestTaken) for event in events)
    best = min((e for e in events if isinstance(e, Validated)), key=lambda e: e.measurement.total)
    assert best.step < 36, "the validation gets worse"


def test_where_the_budget_ends_first_the_best_weights_count_too() -> None:
    loop = make_loop(overfitting(train={"early_stopping_patience": 100, "epochs": 12}))
    (taken,) = [event for event in loop.run() if isinstance(event, BestTaken)]
    assert loop.step == 36 and not taken.early and taken.best_step < 36
    assert taken.message.startswith("Ended at epoch 12")


def test_cut_off_anywhere_it_ends_in_the_same_place(ended_early: Run) -> None:
    whole = weights(ended_early)
    for cut in (4, ended_early.status().step - 1):
        loop = make_loop(overfitting())
        events = loop.run()
        while loop.step < cut:
            next(events)
        state = loop.checkpoint()
        resumed = make_loop(overfitting(), state.state)
        resumed.best.unsaved = state.best
        *_, last = resumed.run()
        assert isinstance(last, Ended) and last.finished
        assert last.step == ended_early.status().step
        assert same(dict(resumed.model.state_dict()), whole)


def test_what_has_ended_early_stays_ended_when_it_is_loaded_again() -> None:
    loop = make_loop(overfitting())
    *_, saved = [event for event in loop.run() if isinstance(event, Checkpoint)]
    again = make_loop(overfitting(), saved.state)
    assert [type(event) for event in again.run()] == [Ended] and again.step == loop.step


# --- training on ----------------------------------------------------------------------------------


def test_more_epochs_go_on_from_the_end(ended_early: Run, tmp_path: Path) -> None:
    run = copy_of(ended_early, tmp_path)
    step, before = run.status().step, weights(run)
    done = vae_core("resume", "early", "--store", str(tmp_path))
    assert done.returncode == 2 and "--epochs +10" in done.stderr
    done = vae_core("resume", "early", "--epochs", "+2", "--beta", "0.5", "--store", str(tmp_path))
    assert done.returncode == 0, done.stderr
    config, status = run.config(), run.status()
    assert config.train.epochs == step // 3 + 2 and config.train.continued_at == step
    assert status.step == status.total_steps == step + 6 and status.state == "finished"
    assert run.set_by_hand() == [(step, "beta", 0.5)] and beta_in_force(run) == 0.5
    assert not same(before, weights(run))
    assert [at for at, _ in validations(run)][-2:] == [step + 3, step + 6]


def test_the_app_trains_on_through_the_same_door(
    ended_early: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copy_of(ended_early, tmp_path)
    asked: list[list[str]] = []
    monkeypatch.setattr(jobs, "spawn", lambda run, command, store: asked.append(command))
    jobs.resume(run, epochs="+5", beta=2.0)
    [command] = asked
    assert command[:2] == ["work", "early"] and command[-2:] == ["--epochs", "+5"]
    assert json.loads(run.text(layout.CONTROL).splitlines()[-1])["value"] == 2.0


def test_a_run_with_steps_to_go_has_more_of_them(tmp_path: Path) -> None:
    run = trained(tmp_path)
    status = run.status()
    run.set_status(status.model_copy(update={"state": "stopped", "total_steps": 50}))
    assert continued(run, "+3").train.epochs == 5
    assert continued(run, "+3").train.continued_at == 0, "its decay is planned anew, not begun"
    assert continued(run, "7").train.epochs == 7


@pytest.mark.parametrize(
    ("epochs", "sentence"),
    [
        ("many", "is no number of epochs; write +50"),
        ("-3", "is no number of epochs"),
        ("+0", "has had 2 epochs; give it more"),
        ("2", "has had 2 epochs; give it more"),
        ("+999999999", "is no number of epochs"),
        ("999999", "train.epochs"),
    ],
)
def test_what_cannot_be_gone_on_for_is_said(tmp_path: Path, epochs: str, sentence: str) -> None:
    run = trained(tmp_path)
    before = run.text(layout.CONFIG)
    done = vae_core("resume", "tiny", "--epochs", epochs, "--store", str(tmp_path))
    assert done.returncode == 2 and sentence in done.stderr
    assert run.text(layout.CONFIG) == before


def test_a_run_without_its_state_can_only_be_started_from(tmp_path: Path) -> None:
    run = trained(tmp_path)
    run.file(layout.STATE).unlink()
    with pytest.raises(UserError, match="can start from its weights"):
        continued(run, "+3")


def test_a_cosine_begins_anew_where_a_run_is_trained_on() -> None:
    fresh, on = (DECAYS["cosine"](0.1, Span(steps, 10, 1, begin)) for steps, begin in
                 ((100, 0), (150, 100)))  # fmt: skip
    assert [fresh(step) for step in (0, 50, 100)] == pytest.approx([0.1, 0.05, 0.0])
    assert [on(step) for step in (100, 125, 150)] == pytest.approx([0.1, 0.05, 0.0])
    exponential = DECAYS["exponential"](0.1, Span(150, 10, 0.5, 100))
    assert exponential(100) == pytest.approx(0.1 * 0.5**10), "it has no end, and goes on"


# --- another run's weights ------------------------------------------------------------------------


def test_a_run_starts_from_the_weights_of_another(tmp_path: Path) -> None:
    source = trained(tmp_path)
    done = vae_core(
        "train", "--from", "tiny", "--run", "tuned", "--epochs", "1",
        "--set", "train.learning_rate=1e-9", "--set", "objective.beta=2", "--store", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = Store(tmp_path).get("tuned")
    assert run.config().start_from == "tiny" and run.config().objective["beta"] == 2
    assert run.status().step == 5, "it counts from its own beginning"
    mine, theirs = weights(run), weights(source)
    for name, tensor in theirs.items():
        torch.testing.assert_close(mine[name], tensor, rtol=0, atol=1e-6)
    source.delete()
    done = vae_core("resume", "tuned", "--epochs", "+1", "--store", str(tmp_path))
    assert done.returncode == 0, "it needs the other no more"


def test_a_shipped_run_can_be_started_from_on_own_images(tmp_path: Path) -> None:
    from tests.pictures import lay_out, png
    from vae_core.locations import SHIPPED

    shipped = Run(SHIPPED / "mnist-vae")
    lay_out(tmp_path / "mine", {f"{n}.png": png(n, "L") for n in range(12)})
    import shutil

    shutil.copytree(shipped.path, tmp_path / "runs/mnist-vae")
    (tmp_path / "runs/shipped.txt").write_text("mnist-vae\n")
    store = str(tmp_path / "runs")
    done = vae_core(
        "train", "--from", "mnist-vae", "--data-dir", str(tmp_path / "mine"), "--epochs", "1",
        "--set", "train.threads=1", "--store", store,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = Store(store).get("mine")
    config, card = run.config(), run.data_card()
    assert card.image_shape == (1, 28, 28) and config.data.dataset == "folder"
    assert config.model == shipped.config().model.model_copy(update={"likelihood": "bernoulli"})
    assert config.train.batch_size <= card.n_train < 12
    refused = vae_core("resume", "mnist-vae", "--epochs", "+1", "--store", store)
    assert refused.returncode == 2


def test_what_does_not_fit_is_refused_by_its_name(tmp_path: Path) -> None:
    source = trained(tmp_path)
    config, card = config_from_run(source), source.data_card()
    refuse_misfit(config, card, source)
    other = card.model_copy(update={"image_shape": (3, 16, 16)})
    for changed, seen, sentence in (
        (config, other, "its images are 1×16×16, and these are 3×16×16"),
        (config.updated({"model": {"latent_dim": 9}}), card, "model.latent_dim is 4 there, and 9"),
        (config.updated({"model": {"backbone": "mlp"}}), card, "model.backbone is conv there"),
        (config.updated({"family": "autoencoder"}), card, "that of VAE, and this is Autoencoder"),
        (config.updated({"model": {"options": {"hidden": 33}}}), card, "should be F32"),
    ):
        with pytest.raises(UserError, match="The weights of run 'tiny' do not fit") as refused:
            refuse_misfit(changed, seen, source)
        assert sentence in str(refused.value) and "\n" not in str(refused.value)


def test_labels_that_a_model_is_told_have_to_be_the_same(tmp_path: Path) -> None:
    source = trained(tmp_path, family="conditional-vae")
    card = source.data_card()
    other = card.model_copy(update={"label_names": tuple("abcdefghij")})
    with pytest.raises(UserError, match="it was told the labels 0, 1, 2, 3, 4, 5 and 4 more"):
        refuse_misfit(config_from_run(source), other, source)


def test_a_misfit_leaves_no_run_behind(tmp_path: Path) -> None:
    trained(tmp_path)
    for option in (("--set", "model.latent_dim=9"), ("--preset", "mnist-vae")):
        done = vae_core(
            "train", "--from", "tiny", "--run", "new", *option, "--store", str(tmp_path)
        )
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert [run.id for run in Store(tmp_path)] == ["tiny"]
    assert vae_core("train", "--from", "nobody", "--store", str(tmp_path)).returncode == 2


def test_resuming_what_was_not_changed_is_as_before(tmp_path: Path) -> None:
    run = Store(tmp_path).create("cut", tiny())
    whole = trained(tmp_path, "whole")
    send(run, {"command": "stop"})
    work(run, offset=0)
    assert run.status().state == "stopped"
    work(run)
    assert same(weights(run), weights(whole))
    assert math.isclose(run.summary()["elbo"], whole.summary()["elbo"], rel_tol=1e-6)
    assert np.array_equal(run.config().to_json(), whole.config().to_json())
