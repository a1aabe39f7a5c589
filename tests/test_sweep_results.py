"""Suggestions on curves with known answers; comparison and CSV of real configurations."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine import make_loop, tiny, trained
from vae_core import scoring
from vae_core.child import in_process
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.loading import load_part, weights_step
from vae_core.nested import flat
from vae_core.runs import Run, Store
from vae_core.scoring import remarks, score, scores
from vae_core.sweeps.aggregate import average_seeds
from vae_core.sweeps.results import Result, curves, differences, result_of, results, table, to_csv
from vae_core.sweeps.suggestions import advise


def curve(*points: tuple[float, float, float, int]) -> list[Result]:
    return [
        Result(f"r{i}", beta, rate, distortion, active, 8)
        for i, (beta, rate, distortion, active) in enumerate(points)
    ]


KNEE = curve(
    (0.1, 40.0, 60.0, 8), (0.3, 30.0, 61.0, 8), (1.0, 20.0, 63.0, 7), (3.0, 10.0, 90.0, 5),
    (10.0, 0.0, 120.0, 0),
)  # fmt: skip


def chosen(found: list[Result]) -> dict[str, float]:
    return {suggestion.rule: suggestion.beta for suggestion in advise(found).suggestions}


def test_three_rules_on_a_curve_with_a_bend() -> None:
    assert chosen(KNEE) == {"knee": 1.0, "no dimension lost": 0.3, "best ELBO": 1.0}
    reasons = {suggestion.rule: suggestion.reason for suggestion in advise(KNEE).suggestions}
    # 57 nats for 20 up to the knee, 3 nats for the 20 beyond.
    assert "bought 2.9 nats of reconstruction, beyond it 0.15" in reasons["knee"]
    assert "all 8 dimensions" in reasons["no dimension lost"]
    assert "−83 nats" in reasons["best ELBO"]


def test_the_order_of_runs_does_not_matter() -> None:
    assert chosen(KNEE[::-1]) == chosen(KNEE)


@given(st.floats(0.1, 100), st.floats(-50, 50))
def test_the_knee_does_not_depend_on_units(scale: float, shift: float) -> None:
    moved = [
        Result(r.run, r.beta, r.rate * scale, r.distortion * scale + shift, r.active, 8)
        for r in KNEE
    ]
    assert chosen(moved)["knee"] == 1.0


def test_a_straight_curve_has_no_knee() -> None:
    straight = curve((0.1, 21.0, 60.0, 8), (1.0, 11.0, 70.0, 8), (10.0, 1.0, 80.0, 8))
    assert "knee" not in chosen(straight)
    assert chosen(straight)["no dimension lost"] == 10.0


def test_too_few_betas_suggest_nothing() -> None:
    assert advise([]).suggestions == advise(KNEE[:1]).suggestions == ()
    assert "knee" not in chosen(KNEE[:2])


def test_seeds_are_averaged() -> None:
    pair = curve((1.0, 10.0, 80.0, 8), (1.0, 20.0, 60.0, 6), (2.0, 5.0, 90.0, 5))
    point = average_seeds(pair)[0]
    assert (point.rate, point.distortion, point.active) == (15.0, 70.0, 7.0)
    assert chosen(pair)["best ELBO"] == 1.0


def test_all_dimensions_by_chance_beyond_a_loss_do_not_count() -> None:
    points = curve((0.1, 9, 1, 7), (0.3, 8, 2, 8), (1.0, 7, 3, 6), (3.0, 6, 4, 8))
    assert chosen(points)["no dimension lost"] == 0.3


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("store"), "one")


def test_differences_are_told_and_nothing_else(run: Run) -> None:
    config = run.config()

    def settings(config: RunConfig) -> dict[str, Any]:
        return flat(config.model_dump(mode="json"))

    other = config.updated({"objective": {"beta": 4.0}, "model": {"latent_dim": 2}})
    differing = differences({"a": settings(config), "b": settings(other)})
    assert differing == {
        "objective.beta": {"a": 1.0, "b": 4.0},
        "model.latent_dim": {"a": 4, "b": 2},
    }
    assert differences({"a": settings(config), "b": settings(config)}) == {}
    plain = config.updated({"family": "autoencoder"})
    assert differences({"a": settings(config), "b": settings(plain)})["objective.beta"] == {
        "a": 1.0,
        "b": None,
    }


def test_csv_of_a_run_holds_every_recorded_value(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(curves(run)))))
    recorded = [r for r in run.history()[0] if r["kind"] in ("step", "validation")]
    assert len(rows) == sum(len(r["terms"]) + 1 for r in recorded)
    last = [r for r in rows if r["split"] == "validation" and r["term"] == "kl"][-1]
    validation = [r for r in recorded if r["kind"] == "validation"][-1]
    assert float(last["value"]) == validation["terms"]["kl"]
    assert list(rows[0]) == ["run", "split", "step", "epoch", "time", "term", "value"]


def test_a_table_of_runs(run: Run, tmp_path: Path) -> None:
    other = Store(tmp_path).create("two", tiny(objective={"beta": 4.0}))
    rows = table([run, other])
    assert [row["run"] for row in rows] == ["one", "two"]
    assert [row["objective.beta"] for row in rows] == [1.0, 4.0]
    assert rows[0]["elbo"] == run.summary()["elbo"] and rows[1]["elbo"] is None


def test_what_was_not_measured_is_no_result(run: Run, tmp_path: Path) -> None:
    other = Store(tmp_path).create("two", tiny())
    assert result_of(other) is None
    found = results([run, other])
    assert [result.run for result in found] == ["one"]
    assert found[0].elbo == pytest.approx(run.summary()["elbo"])


def test_samples_come_from_the_same_z_whatever_the_seed() -> None:
    first, second = (make_loop(tiny(train={"seed": seed})) for seed in (0, 1))
    second.model.load_state_dict(first.model.state_dict())
    pictures = [next(loop.run()).samples for loop in (first, second)]  # type: ignore[attr-defined]
    assert pictures[0].equal(pictures[1])


SPRITES: dict[str, Any] = {
    "data": {
        "dataset": "sprites", "image_size": 32, "limit": 1000, "validation_fraction": 0.3,
    },
    "train": {"epochs": 4, "learning_rate": 4e-3},
}  # fmt: skip


@pytest.fixture(scope="module")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = trained(tmp_path_factory.mktemp("sprites"), "sprites", **SPRITES, family="autoencoder")
    score(run)
    return run


@pytest.fixture(scope="module")
def sprites_vae(tmp_path_factory: pytest.TempPathFactory) -> Run:
    weak = {"objective": {"beta": 0.01}, "train": {"epochs": 16, "learning_rate": 4e-3}}
    run = trained(tmp_path_factory.mktemp("sprites-vae"), "sprites", **SPRITES | weak)
    score(run)
    return run


def test_means_and_samples_of_held_out_sprites_are_scored(sprites_vae: Run) -> None:
    found = scores(sprites_vae)
    names = {
        "mig", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness",
        "factor_vae", "beta_vae",
    }  # fmt: skip
    for kind in ("means", "samples"):
        assert set(found[kind]) == set(found["spread"][kind]) == names
        assert all(0 <= value <= 1 for value in found[kind].values())
    held_out = load_part(sprites_vae, "validation")[1]
    assert (found["part"], found["images"]) == ("validation", len(held_out))
    assert found["active_units"] + len(found["collapsed"]) == found["latent_dim"] == 4
    assert found["step"] == weights_step(sprites_vae)
    row = table([sprites_vae])[0]
    assert row["mig (means)"] == found["means"]["mig"]
    assert row["mig (samples) ±"] == found["spread"]["samples"]["mig"]


def test_codes_that_are_points_have_no_samples_to_score(sprites: Run) -> None:
    found = scores(sprites)
    assert "means" in found and "samples" not in found and set(found["spread"]) == {"means"}


def test_only_held_out_images_are_encoded(sprites: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image that is scored lies in no training part, by its factors."""
    from vae_core.metrics import disentanglement

    seen: list[np.ndarray] = []
    encoded = disentanglement.encoded
    monkeypatch.setattr(
        disentanglement,
        "encoded",
        lambda model, part, progress: seen.append(part.factors) or encoded(model, part),
    )
    score(sprites)
    learned = load_part(sprites, "train")[1].factors
    assert learned is not None
    assert not set(map(tuple, learned)) & set(map(tuple, seen[0]))


def test_a_collapsed_run_is_not_scored(tmp_path: Path) -> None:
    run = trained(tmp_path, "sprites", **SPRITES | {"objective": {"beta": 1000.0}})
    with pytest.raises(UserError, match="has collapsed: none of its 4 latent dimensions"):
        score(run)
    assert scores(run) == {}


def test_some_collapsed_dimensions_are_named(sprites_vae: Run) -> None:
    found = scores(sprites_vae) | {"collapsed": [0, 3], "active_units": 2}
    assert "2 of 4 dimensions have collapsed and count as constant: z0, z3." in remarks(found)
    assert remarks({}) == []


def test_too_few_held_out_images_are_not_scored(tmp_path: Path) -> None:
    run = trained(tmp_path, "few", data={"dataset": "sprites", "image_size": 32, "limit": 300})
    with pytest.raises(UserError, match="validation images; scores need 200"):
        score(run)


@pytest.mark.parametrize("change", [{"part": "train"}, {"step": 1}], ids=["older", "other weights"])
def test_scores_of_other_images_or_weights_are_not_shown(sprites: Run, change: Any) -> None:
    found = scores(sprites)
    assert found
    sprites.write_json("scores.json", found | change)
    assert scores(sprites) == {} and "mig (means)" not in table([sprites])[0]
    sprites.write_json("scores.json", {"mig": 0.1, "images": 3000, "step": found["step"]})
    assert scores(sprites) == {}
    sprites.write_json("scores.json", found)


def test_the_command_names_what_it_scored(
    sprites_vae: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vae_core.cli.sweep import score_run

    score_run("sprites", store=str(sprites_vae.path.parent), as_json=True)
    assert json.loads(capsys.readouterr().out) == scores(sprites_vae)
    monkeypatch.setattr(scoring, "score", lambda run, progress: scores(run))
    score_run("sprites", store=str(sprites_vae.path.parent), as_json=False)
    said = capsys.readouterr().out
    assert said.splitlines()[0].split() == ["score", "means", "samples"]
    assert "validation images" in said


def test_a_process_beside_tells_how_far_its_scoring_is(sprites: Run) -> None:
    sprites.file("scores.json").unlink(missing_ok=True)
    told: list[tuple[str, float | None]] = []
    in_process(["score", sprites.id], sprites, lambda *said: told.append(said))
    assert scores(sprites)["images"] > 0
    messages = {message for message, _ in told}
    assert {"Encoding the images", "Scoring all images: means"} <= messages
    shares = [share for message, share in told if message.startswith("Scoring") and share]
    assert shares == sorted(shares) and shares[-1] < 1


def test_without_factors_there_is_nothing_to_score(run: Run) -> None:
    with pytest.raises(UserError, match="no known factors"):
        score(run)
