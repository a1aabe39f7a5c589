"""What the history says of a step beside its losses: how steep it was, and how far it went."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.engine import make_loop, tiny, trained
from vae_core.data.batches import as_floats, epoch_batches
from vae_core.follow import scalars_of
from vae_core.loading import load_part, load_run
from vae_core.training.events import Stepped
from vae_core.training.loop import Loop
from vae_core.types import total


def gradient_of_the_first_step(loop: Loop) -> torch.Tensor:
    """All of it in one vector, by a pass of the test's own."""
    x, context = loop.batch(epoch_batches(loop.dataset.train, loop.config.train, 0)[0])
    loop.model.train()
    losses = loop.objective.losses(x, loop.objective(loop.model, x, context), context)
    gradients = torch.autograd.grad(total(losses["model"]), list(loop.model.parameters()))
    return torch.cat([each.flatten() for each in gradients])


def test_the_gradient_is_recorded_before_it_is_clipped_and_the_rate_as_it_was() -> None:
    settings = {"log_every": 1, "gradient_clip": 0.5, "warmup_steps": 4, "epochs": 2}
    config = tiny(train=settings | {"decay": "exponential", "decay_factor": 0.5})
    expected = float(gradient_of_the_first_step(make_loop(config)).norm())
    steps = [event for event in make_loop(config).run() if isinstance(event, Stepped)]
    assert expected > 1
    assert steps[0].gradient_norms == {"model": pytest.approx(expected, rel=1e-4)}
    rates = [event.learning_rates["model"] for event in steps]
    assert rates == pytest.approx(
        [0.00025, 0.0005, 0.00075, 0.001, 0.001, 0.0005, 0.0005, 0.0005, 0.0005, 0.0005]
    )


def test_a_record_of_several_steps_has_their_mean() -> None:
    def norms(log_every: int) -> list[float]:
        config = tiny(train={"log_every": log_every, "epochs": 1})
        return [
            e.gradient_norms["model"] for e in make_loop(config).run() if isinstance(e, Stepped)
        ]

    one, five = norms(1), norms(5)
    assert len(one) == 5 and len(set(one)) == 5
    assert five == pytest.approx([sum(one) / 5], rel=1e-5)


def test_every_player_has_its_own_and_trackers_are_told(tmp_path: Path) -> None:
    settings = {"critic_units": 8, "critic_layers": 1}
    run = trained(tmp_path, "critic", family="factor-vae", objective=settings)
    records = [record for record in run.history()[0] if record["kind"] == "step"]
    names = {"gradient_norm", "gradient_norm_critic", "learning_rate", "learning_rate_critic"}
    for record in records:
        assert all(record[name] > 0 for name in names)
    assert {f"train/{name}" for name in names} <= scalars_of(records[0]).keys()


def test_a_validation_says_where_the_posteriors_lie_and_how_wide_they_are(tmp_path: Path) -> None:
    run = trained(tmp_path)
    loaded = load_run(run)
    part = load_part(run, "validation")[1]
    with torch.inference_mode():
        x = as_floats(part.images.gather(list(range(len(part)))), torch.device("cpu"))
        posterior = loaded.model.encode(x)
    mu, sigma = float(posterior.mode().mean()), float((0.5 * posterior.log_variance()).exp().mean())
    last = [record for record in run.history()[0] if record["kind"] == "validation"][-1]
    for found in (last, run.summary()):
        assert found["mean_mu"] == pytest.approx(mu, abs=1e-4)
        assert found["mean_sigma"] == pytest.approx(sigma, rel=1e-4)
    assert 0 < sigma < 1.1
    assert scalars_of(last)["validation/mean_sigma"] == last["mean_sigma"]


def test_points_have_no_width(tmp_path: Path) -> None:
    run = trained(tmp_path, family="autoencoder")
    last = [record for record in run.history()[0] if record["kind"] == "validation"][-1]
    assert last["mean_sigma"] is None and last["mean_mu"] is None
