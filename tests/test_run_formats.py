"""A run of each format that there has been, made by the version that wrote it, still works.

`fixtures/run_format_1` was made once, by

    python -m vae_core train --family vae --dataset digits --epochs 400 --run run_format_1
        --set data.limit=200 --set data.image_size=8 --set model.latent_dim=3
        --set 'model.options={"channels":[4,8],"hidden":16}' --set train.batch_size=64
        --set train.threads=1 --set train.log_every=2 --set train.device=cpu

β was set by hand, a message was not understood, and it was stopped at step 58; then its validation
images were encoded and mapped, samples drawn from a mixture, and a direction saved.

`fixtures/run_format_2` was made the same way by the version that wrote format 2, with

        --set train.batch_size=auto --set train.augmentation=shift
        --set train.early_stopping_patience=5

in place of a batch of 64, and stopped at step 41; a selection was saved too. What is derived lay in
the cache by then, and was laid beside as a shipped run brings it along. `fixtures/run_format_3` was
made by the version that wrote format 3, with

        --set train.precision=auto --set train.validation_images=40 --set train.batch_size=32

and stopped at step 42. None is made again: a change that it does not survive needs a migration.
"""

from __future__ import annotations

import difflib
import json
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from latent_workbench.shared.catalog import catalog
from tests.engine import tiny
from tests.pages import open_page, texts
from vae_core.cli.app import app as commands
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.families import complete
from vae_core.in_force import beta_in_force, weights_in_force
from vae_core.latent.directions import load_directions
from vae_core.latent.encodings import load_encodings
from vae_core.latent.grids import decode_vectors
from vae_core.latent.maps import load_map
from vae_core.latent.priors.prior import load_prior
from vae_core.latent.saved import load_saved
from vae_core.latent.survey import load_survey
from vae_core.loading import load_run
from vae_core.run_data import recorded_by
from vae_core.runs import Run, Store
from vae_core.runs.layout import CHOICES
from vae_core.runs.migrations import FORMAT, MIGRATIONS, VERSION, stored_config, to_store
from vae_core.runs.schemas import Choices
from vae_core.selections import load_selections
from vae_core.sweeps import BETA, SweepSpec
from vae_core.sweeps.scheduler import Scheduler
from vae_core.sweeps.sweep import create_sweep, launch
from vae_core.training.events import Stepped
from vae_core.training.jobs import send
from vae_core.training.worker import work

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "tests" / "fixtures"


@dataclass(frozen=True)
class Made:
    """What is known of a run from the day that it was made: where it was stopped, the step of its
    best weights, its measurements, and what its settings meant."""

    step: int
    best_step: int
    recon: float
    kl: float
    means: dict[str, Any]


MADE = {
    1: Made(58, 56, 43.64939, 0.7507513, {
        "data.windowed": "file", "data.pages": "first", "data.mask_padding": False,
        "model.likelihood": "auto", "train.batch_size": 64, "train.augmentation": "none",
        "train.early_stopping_patience": 0, "train.sampling": "shuffled", "train.precision": "fp32",
        "train.validation_images": 0,
    }),
    2: Made(41, 39, 45.97167, 0.03159736, {
        "data.windowed": None, "data.pages": "all", "data.mask_padding": True,
        "model.likelihood": "bernoulli", "train.batch_size": 16, "train.augmentation": "shift",
        "train.early_stopping_patience": 5, "train.sampling": "shuffled", "train.precision": "fp32",
    }),
    3: Made(42, 35, 45.65024, 0.09995998, {
        "model.likelihood": "bernoulli", "train.batch_size": 32, "train.precision": "fp32",
        "train.validation_images": 40,
    }),
}  # fmt: skip


@pytest.fixture(params=range(1, FORMAT + 1))
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the run of each format, alone in the store that the app shows."""
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    name = f"run_format_{request.param}"
    shutil.copytree(FIXTURES / name, tmp_path / name)
    return Store().get(name)


@pytest.fixture
def made(run: Run) -> Made:
    return MADE[int(run.id.rpartition("_")[2])]


def test_each_was_written_in_its_format(run: Run, made: Made) -> None:
    """Not migrated from another one: each has settings of its own, which still mean what they
    meant."""
    stored = json.loads(run.text("config.json"))
    assert run.id == f"run_format_{stored['format']}"
    assert run.id in run.environment().command
    config = run.config().model_dump(mode="json")
    found = {name: config[name.split(".")[0]][name.split(".")[1]] for name in made.means}
    assert found == made.means
    assert run.config_to_train() == run.config()


def test_it_is_listed_with_all_that_is_known_of_it(run: Run, made: Made) -> None:
    (facts,) = catalog(Store())
    assert (facts.state, facts.problem, facts.note) == ("stopped", "", "")
    assert facts.usable and facts.can_resume and facts.thumbnail
    assert facts.recon == pytest.approx(made.recon) and facts.kl == pytest.approx(made.kl)
    assert (facts.beta, facts.best_step, facts.latent_size) == (0.5, made.best_step, 3)
    assert facts.measured_on == "90 validation images"


def test_it_evaluates_to_the_figures_that_it_recorded(run: Run) -> None:
    done = CliRunner().invoke(commands, ["evaluate", run.id, "--json"])
    assert done.exit_code == 0, done.output
    found, recorded = json.loads(done.stdout), run.summary()
    for figure in ("recon", "kl", "elbo", "mse", "beta", "step", "images"):
        assert found[figure] == pytest.approx(recorded[figure], rel=1e-4), figure


def test_its_weights_decode(run: Run, made: Made) -> None:
    encodings = load_encodings(run)
    assert encodings.step == made.step and encodings.mu.shape[1] == 3
    pictures = {
        which: decode_vectors(load_run(run, which=which).model, encodings.mu[:5])
        for which in ("last", "best")
    }
    assert pictures["last"].shape == (5, 1, 8, 8) and pictures["last"].std() > 0
    # Two steps lie between them.
    np.testing.assert_allclose(pictures["last"], pictures["best"].astype(float), atol=8)
    assert load_run(run, which="best").step == made.best_step


def test_what_was_recorded_and_derived_is_found(run: Run, made: Made) -> None:
    kinds = {record["kind"] for record in run.history()[0]}
    assert kinds == {"step", "validation", "preview", "checkpoint", "set", "note"}
    assert [(name, value) for _, name, value in run.set_by_hand()] == [("beta", 0.5)]
    assert beta_in_force(run) == 0.5 and weights_in_force(run) == {"recon": 1.0, "kl": 0.5}
    recorded = recorded_by(run)
    assert recorded is not None and len(recorded.hashes["validation"]) == 90
    survey = load_survey(run, "validation", made.step)
    assert survey is not None and len(survey) == 90
    assert load_map(run, "validation", "pca", 2, 0, survey.mu) is not None
    assert load_prior(run, "gaussian-mixture", 2) is not None
    assert load_directions(run, made.step, 3) is not None
    assert [each.name for each in load_saved(run)] == ["smile"]


def test_what_came_with_format_2_is_found(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "run_format_2", tmp_path / "run_format_2")
    run = Store(tmp_path).get("run_format_2")
    chosen = {each.setting: each.value for each in run.parse(CHOICES, Choices).choices}
    assert chosen == {"model.likelihood": "bernoulli", "train.batch_size": 16}
    (selection,) = load_selections(run)
    recorded = recorded_by(run)
    assert selection.name == "slim" and len(selection) == 12 and recorded is not None
    assert set(selection.hashes.tolist()) <= set(recorded.hashes["validation"].tolist())


@pytest.mark.parametrize("page", ["gallery", "train", "explore", "grids", "encodings"])
def test_pages_open_it(run: Run, page: str) -> None:
    app = open_page(page, run=run.id)
    assert not app.error


def test_it_goes_on_where_it_stopped(run: Run, made: Made) -> None:
    class StopSoon:
        def __call__(self, event: Any) -> None:
            if isinstance(event, Stepped) and event.step in (made.step + 6, made.step + 7):
                send(run, {"command": "stop"})

    before = run.history()[0]
    ended = work(run, lambda total, first: [StopSoon()])
    assert made.step + 6 <= ended.step < run.status().total_steps
    assert run.weights_step() == ended.step and run.status().state == "stopped"
    after = run.history()[0]
    assert after[: len(before)] == before
    steps = [record["step"] for record in after[len(before) :] if record["kind"] == "step"]
    assert steps[0] == made.step + 2 - made.step % 2
    assert {record.get("beta") for record in after[-3:]} <= {0.5, None}
    (session,) = run.environment().resumed
    assert session["version"] == VERSION


# --- of another version ---------------------------------------------------------------------------


def changed(run: Run, name: str, **values: Any) -> None:
    path = run.file(name)
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_run_of_a_later_version_is_opened_with_a_note(run: Run, made: Made) -> None:
    train = json.loads(run.file("config.json").read_text())["train"]
    changed(run, "config.json", format=99, train=train | {"lookahead": 0.99}, sampler="ddim")
    changed(run, "data.json", colour_space="lab")
    changed(run, "status.json", mood="good")
    changed(run, "summary.json", fid=12.0)
    changed(run, "environment.json", carbon_g=3, version="99.0")
    (direction,) = json.loads(run.file("saved_directions.json").read_text())["directions"]
    changed(run, "saved_directions.json", directions=[direction | {"icon": "face"}])
    (facts,) = catalog(Store())
    assert facts.usable and facts.state == "stopped"
    for key in ("train.lookahead", "sampler", "colour_space", "mood", "fid", "carbon_g", "0.icon"):
        assert key in facts.note, key
    assert load_run(run).step == made.step and load_saved(run)[0].name == "smile"
    assert "later version" in texts(open_page("explore", run=run.id)) + facts.note
    with pytest.raises(UserError, match=r"cannot be resumed by this version.*train\.lookahead"):
        run.config_to_train()


def test_an_unknown_entry_hinders_nobody(run: Run) -> None:
    """One of an old version that is gone, say; the settings are known, and training goes on."""
    changed(run, "status.json", eta="3 min")
    changed(run, "job.json", niceness=5)
    unknown = "has entries that this version does not know"
    assert run.notes() == f"job.json {unknown} (niceness). status.json {unknown} (eta)."
    assert run.config_to_train() == run.config() and run.status().state == "stopped"
    with run.lock():
        run.set_status(run.status())
    assert run.notes() == ""


def test_a_sweep_of_a_later_version_is_read_and_not_gone_on_with(tmp_path: Path) -> None:
    spec = SweepSpec(base=tiny(), vary={BETA: (1.0, 2.0)})
    sweep = create_sweep(Store(tmp_path), "later", spec)
    for name, where in (("sweep.json", ("base", "train")), ("state.json", ("entries", 0))):
        values = json.loads(sweep.text(name))
        inner = values
        for key in where:
            inner = inner[key]
        inner["lookahead"] = 0.99
        sweep.write_json(name, values)
    assert sweep.spec().total == 2 and sweep.state().state == "stopped"
    for begin in (launch, Scheduler):
        with pytest.raises(UserError, match=r"later.*does not know \(base\.train\.lookahead\)"):
            begin(sweep)


def test_a_damaged_file_is_still_damaged(run: Run) -> None:
    changed(run, "status.json", step="many")
    (facts,) = catalog(Store())
    assert facts.state == "damaged" and "status.json" in facts.problem


def test_every_earlier_format_has_a_migration() -> None:
    assert sorted(MIGRATIONS) == list(range(FORMAT))
    assert sorted(FIXTURES.glob("run_format_*"))[-1].name == f"run_format_{FORMAT}"


def test_a_migration_makes_what_the_next_format_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if format 1 had called the family `net`."""
    migrations = "vae_core.runs.migrations"

    def renamed(values: dict[str, Any]) -> dict[str, Any]:
        return {("family" if key == "net" else key): value for key, value in values.items()}

    monkeypatch.setattr(f"{migrations}.FORMAT", 2)
    monkeypatch.setattr(f"{migrations}.MIGRATIONS", MIGRATIONS | {1: renamed})
    values = RunConfig().model_dump(mode="json")
    old = {("net" if key == "family" else key): value for key, value in values.items()}
    for written in (0, 1):
        stored = stored_config(json.dumps({"format": written} | old))
        assert stored.config == RunConfig() and stored.note == ""


def test_a_new_run_is_stamped(tmp_path: Path) -> None:
    made = Store(tmp_path).create("new", RunConfig())
    assert json.loads(made.text("config.json"))["format"] == FORMAT
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert about["project"]["version"] == VERSION


def test_names_are_compared_only_for_what_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """To look for near misses of each known setting took half the time of opening a store."""
    compared: list[str] = []
    original = difflib.get_close_matches

    def counted(word: str, *rest: Any, **more: Any) -> list[str]:
        compared.append(word)
        return original(word, *rest, **more)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    written = to_store(complete(RunConfig()))
    assert stored_config(json.dumps(written)).note == "" and not compared
    assert "colour" in stored_config(json.dumps(written | {"colour": 1})).note
    assert compared == ["colour"]
