"""Which β: what chance does to it, what is left out and why, and which runs are averaged."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine import tiny, trained
from vae_core.diagnosis import learning_curves
from vae_core.locations import DEFAULT_STORE
from vae_core.runs import Run, Status, Store
from vae_core.runs.migrations import to_store
from vae_core.sweeps.aggregate import average_seeds
from vae_core.sweeps.convergence import not_converged, still_falls
from vae_core.sweeps.resolved import resolved
from vae_core.sweeps.results import Result, result_of, results, table
from vae_core.sweeps.suggestions import Advice, advise

MLP = {"backbone": "mlp", "latent_dim": 2, "options": {"hidden": [16]}}


def seeds(beta: float, *elbos: float, rate: float = 10.0, active: int = 8) -> list[Result]:
    """Runs of one β: equal rates, so that distortions carry the difference."""
    return [
        Result(f"b{beta:g}-{i}", beta, rate, -elbo - rate, active, 16)
        for i, elbo in enumerate(elbos)
    ]


def by_rule(advice: Advice) -> dict[str, Any]:
    return {suggestion.rule: suggestion for suggestion in advice.suggestions}


def test_a_difference_smaller_than_between_seeds_is_no_difference() -> None:
    """The case of the report: 2.6 nats between β, 8 between two seeds."""
    found = by_rule(advise(seeds(1.0, -96.0, -104.0) + seeds(2.0, -98.6, -106.6, rate=6.0)))
    best = found["best ELBO"]
    assert (best.beta, best.also) == (1.0, (2.0,))
    assert best.reason == (
        "β = 1 and β = 2 cannot be told apart: they differ by 2.6 nats per image, seeds of one β "
        "by up to 8."
    )


def test_a_difference_larger_than_between_seeds_counts() -> None:
    advice = advise(seeds(1.0, -100.0, -100.4) + seeds(2.0, -110.0, -110.4, rate=6.0))
    best = by_rule(advice)["best ELBO"]
    assert (best.beta, best.also) == (1.0, ())
    assert "−100.2 ± 0.28 nats per image" in best.reason
    assert advice.warnings == ()


def test_one_seed_of_each_is_told_as_such() -> None:
    (caution,) = advise(seeds(1.0, -100.0) + seeds(2.0, -110.0)).warnings
    assert "One seed of each β" in caution and "run more seeds" in caution
    (caution,) = advise(seeds(1.0, -100.0, -101.0) + seeds(2.0, -110.0)).warnings
    assert caution.startswith("Run more seeds of β = 2")


def test_a_collapsed_model_is_never_suggested() -> None:
    collapsed = seeds(1.0, -90.0, rate=0.06, active=1)
    advice = advise(seeds(0.1, -100.0, rate=20.0) + seeds(0.3, -101.0, rate=12.0) + collapsed)
    assert all(suggestion.beta < 1 for suggestion in advice.suggestions)
    assert by_rule(advice)["best ELBO"].beta == 0.1
    assert any(
        "β = 1 is left out: its code collapsed, to a KL of 0.06 nats" in told
        for told in advice.warnings
    )
    every = advise(seeds(1.0, -90.0, rate=0.06) + seeds(2.0, -91.0, rate=0.01, active=0))
    assert every.suggestions == () and "no β to suggest yet" in every.warnings[-1]


def test_a_beta_of_which_one_seed_collapsed_is_not_suggested() -> None:
    half = [*seeds(1.0, -80.0), replace(seeds(1.0, -80.0, rate=0.02)[0], run="gone")]
    advice = advise(seeds(0.1, -100.0, -101.0, rate=20.0) + half)
    assert {suggestion.beta for suggestion in advice.suggestions} == {0.1}
    assert any("in 1 of 2 seeds" in told for told in advice.warnings)


def test_a_run_that_was_not_trained_to_its_end_is_left_out_by_name() -> None:
    stopped = replace(seeds(0.5, -50.0)[0], run="half", not_converged="stopped at step 40 of 81")
    advice = advise([*seeds(1.0, -100.0), *seeds(2.0, -110.0, rate=5.0), stopped])
    assert {suggestion.beta for suggestion in advice.suggestions} <= {1.0, 2.0}
    assert "half is left out: stopped at step 40 of 81." in advice.warnings


def test_dimensions_are_whole_and_kept_by_every_seed() -> None:
    two = [*seeds(1.0, -100.0, active=2), replace(seeds(1.0, -100.0, active=1)[0], run="x")]
    high = [replace(run, run=f"{run.run}y", active=1) for run in seeds(2.0, -110.0, -111.0)]
    kept = by_rule(advise(two + high))["no dimension lost"]
    assert kept.beta == 2.0 and "all 1 dimensions" in kept.reason and "every seed" in kept.reason
    assert (average_seeds(two)[0].fewest, average_seeds(two)[0].most) == (1, 2)


def test_a_knee_within_noise_names_the_other() -> None:
    def points(noise: float) -> list[Result]:
        curve = {0.1: (40.0, 60.0), 0.3: (28.0, 62.0), 1.0: (20.0, 66.0), 10.0: (5.0, 120.0)}
        return [
            Result(f"{beta}-{sign}", beta, rate, distortion + sign * noise, 8, 8)
            for beta, (rate, distortion) in curve.items()
            for sign in (-1, 1)
        ]

    assert by_rule(advise(points(0.1)))["knee"].also == ()
    unsure = by_rule(advise(points(8.0)))["knee"]
    assert unsure.beta == 1.0 and 0.3 in unsure.also and "Seeds leave open" in unsure.reason


# --- which runs are averaged ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("store"), "one", model=MLP)


def copy(run: Run, store: Path, name: str, measured: dict[str, Any], **changes: Any) -> Run:
    """A run of other settings that was measured like this."""
    shutil.copytree(run.path, store / name)
    made = Run(store / name)
    made.write_json("config.json", to_store(run.config().updated(changes)))
    beta = {"controls": {"beta": made.config().objective.get("beta")}}
    made.write_json(
        "summary.json", run.summary() | {"kl": 8.0, "active_units": 2} | beta | measured
    )
    settled(made)
    return made


def settled(run: Run) -> None:
    """Let the last steps of the history change nothing any more."""
    records = run.history()[0]
    last = next(record for record in reversed(records) if record["kind"] == "validation")
    for k in range(1, 11):
        run.append("history.jsonl", last | {"step": last["step"] + k * last["step"]})


def test_other_families_and_latent_sizes_are_no_seeds(run: Run, tmp_path: Path) -> None:
    """4 of 4 and 16 of 16 dimensions were averaged to 10."""
    small, large = {"active_units": 4, "latent_dim": 4}, {"active_units": 16, "latent_dim": 16}
    for beta in (1.0, 2.0):
        share = {"objective": {"beta": beta}}
        copy(run, tmp_path, f"small-{beta}", small, model={"latent_dim": 4}, **share)
        copy(run, tmp_path, f"large-{beta}", large, model={"latent_dim": 16}, **share)
        other = {"family": "free-bits", "objective": {"beta": beta}}
        copy(run, tmp_path, f"free-{beta}", small, model={"latent_dim": 4}, **other)
    found = results(Store(tmp_path))
    assert {point.active for point in average_seeds(found)} == {4.0, 16.0}
    assert all(len(point.runs) == 1 for point in average_seeds(found))
    among = {each.among for each in advise(found).suggestions if each.rule == "no dimension lost"}
    assert among == {
        "family vae, latent_dim 4",
        "family vae, latent_dim 16",
        "family free-bits, latent_dim 4, free 0.25",
    }
    reasons = {each.reason for each in advise(found).suggestions}
    assert not any("10 dimensions" in reason for reason in reasons)


def test_seeds_are_what_differs_in_nothing_else_whatever_a_setting_is_called(
    run: Run, tmp_path: Path
) -> None:
    """ "auto" is what the images made of it; threads, device and preset change no result."""
    copy(run, tmp_path, "auto", {"kl": 8.0})
    written = {"likelihood": "bernoulli", "sigma": 0.3}  # a σ that nobody asks for
    data = {"channels": 1, "data_dir": str(tmp_path)}  # as digits are, wherever a folder lies
    train = {"seed": 7, "threads": 2, "device": "auto", "preview_every": 7}
    copy(run, tmp_path, "spelt", {"kl": 9.0}, model=written, data=data, train=train)
    (point,) = average_seeds(results(Store(tmp_path)))
    assert point.rate == pytest.approx(8.5) and len(point.runs) == 2
    copy(run, tmp_path, "wide", {}, model={"likelihood": "gaussian"})
    copy(run, tmp_path, "wider", {}, model={"likelihood": "gaussian", "sigma": 0.3})
    copy(run, tmp_path, "fewer", {}, data={"limit": 200})
    copy(run, tmp_path, "longer", {}, train={"epochs": 3})
    assert sorted(len(point.runs) for point in average_seeds(results(Store(tmp_path)))) == [
        1,
        1,
        1,
        1,
        2,
    ]
    columns = set(table([Store(tmp_path).get(name) for name in ("auto", "spelt")])[0])
    assert "train.seed" in columns and not {"model.likelihood", "train.threads"} & columns


def test_a_beta_turned_by_hand_is_shown_and_is_no_seed_of_one_that_was_not(
    run: Run, tmp_path: Path
) -> None:
    copy(run, tmp_path, "planned", {}, objective={"beta": 4.0})
    copy(run, tmp_path, "turned", {"controls": {"beta": 4.0}}, objective={"beta": 1.0})
    points = average_seeds(results(Store(tmp_path)))
    assert [(point.beta, len(point.runs)) for point in points] == [(4.0, 1), (4.0, 1)]


def test_the_likelihood_is_what_the_family_makes_of_auto(tmp_path: Path) -> None:
    """σ-VAE takes a Gaussian for grey images too, where others take Bernoulli."""
    plain = trained(tmp_path, "plain", model=MLP, train={"epochs": 1})
    sigma = trained(tmp_path, "sigma", family="sigma-vae", model=MLP, train={"epochs": 1})
    assert resolved(plain).pixels == "bernoulli"
    assert resolved(sigma).pixels == "gaussian-optimal"
    assert resolved(plain).nats != resolved(sigma).nats


def test_the_shipped_sprites_can_be_compared() -> None:
    """One says auto, the other bernoulli, one was written before options were spelt out."""
    store = Store(DEFAULT_STORE)
    vae, tcvae = resolved(store.get("sprites-vae")), resolved(store.get("sprites-tcvae"))
    assert vae.nats == tcvae.nats
    assert vae.settings["model.options.hidden_layers"] == 1


def test_other_likelihoods_are_told_and_never_averaged(run: Run, tmp_path: Path) -> None:
    for sigma in (0.1, 0.2):
        for beta in (1.0, 2.0):
            model = {"likelihood": "gaussian", "sigma": sigma}
            copy(run, tmp_path, f"{sigma}-{beta}", {}, model=model, objective={"beta": beta})
    advice = advise(results(Store(tmp_path)))
    assert "gaussian, σ = 0.1; gaussian, σ = 0.2" in advice.warnings[0]
    assert "cannot be compared" in advice.warnings[0]
    assert {each.among for each in advice.suggestions} == {"sigma 0.1", "sigma 0.2"}


# --- trained to the end? ------------------------------------------------------------------------


def test_doubts_about_how_a_run_ended(run: Run, tmp_path: Path) -> None:
    copied = copy(run, tmp_path, "whole", {})
    assert not_converged(copied) == "" and result_of(copied).not_converged == ""  # type: ignore[union-attr]
    copied.set_status(Status(state="stopped", step=4, total_steps=10))
    assert not_converged(copied) == "stopped at step 4 of 10"
    train = {"epochs": 3, "learning_rate": 0.01}
    short = trained(tmp_path, "short", model=MLP, train=train)
    assert "its loss still fell by" in not_converged(short), "fifteen steps are no training"
    moving = copy(run, tmp_path, "moving", {})
    steps = [record for record in run.history()[0] if record["kind"] == "step"]
    for k in range(3):
        weights = {"recon": 1.0, "kl": 0.1 * k}
        moving.append("history.jsonl", steps[-1] | {"weights": weights, "step": 200 + k})
    assert not_converged(moving) == "its β was still moving at the end"


def test_the_shipped_runs_were_trained_to_their_end() -> None:
    for run in Store(DEFAULT_STORE):
        assert not_converged(run) == ""


@pytest.mark.parametrize(
    "losses, nats",
    [
        ([100.0] * 10, 0.0),
        ([100.0 - k for k in range(10)], 2.0),
        ([200.0, 101.2, 100.9, 100.7, 100.6, 100.5, 100.4, 100.3, 100.2, 100.1], 0.0),
        ([10.0, 0.0, -10.0, -20.0, -30.0], 10.0),  # nats of colours cross zero
        ([60.0, 50.0], 4.0),  # half of the steps lie between two validations
        ([50.0, 60.0], 0.0),
        ([100.0, 99.8, 99.7, 99.6], 0.0),  # a straight fall, of nothing
    ],
)
def test_whether_a_loss_still_falls(losses: list[float], nats: float) -> None:
    records = [
        {"kind": "validation", "step": 10 * k, "epoch": k, "terms": {}, "total": loss, "beta": 1.0}
        for k, loss in enumerate(losses, 1)
    ]
    assert still_falls(learning_curves(records, tiny())) == pytest.approx(nats)


def test_one_validation_leaves_the_training_curve_to_judge_by() -> None:
    def course(slope: float) -> float:
        records = [
            {"kind": "step", "step": k, "epoch": 1, "terms": {}, "total": 200 - slope * k}
            for k in range(1, 101)
        ]
        return still_falls(learning_curves(records, tiny()))

    assert course(0.0) == course(0.01) == 0.0
    assert course(1.0) == pytest.approx(20, rel=0.1)
