"""Published results: each begins, is gone on with, and yields its record; the page is theirs."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from benchmarks.reproduce import chosen, training_s
from tests.pictures import lay_out
from tests.test_data_cifar import FOLDER, batches
from tests.test_data_sets import idx_files
from vae_core.cli.app import app
from vae_core.completion import is_complete
from vae_core.data import datasets
from vae_core.data.batches import as_floats
from vae_core.data.sets import binarized_mnist
from vae_core.errors import UserError
from vae_core.families import build_on_meta
from vae_core.loading import load_part, load_run
from vae_core.nested import merged
from vae_core.progress import no_progress
from vae_core.quality import RECONSTRUCTIONS, Compared
from vae_core.reproduce import Figure, Reproduction, begun, reproduce, reproductions, start
from vae_core.reproduce.measures import PARTIAL_DRAWS, BoundOfDraws, Frechet
from vae_core.reproduce.running import Until, run_name, run_of, state_of
from vae_core.reproduce.table import RECORDS, Row, keep, kept, markdown, own, rows
from vae_core.runs import Run, Store, layout
from vae_core.runs.schemas import Reproduced
from vae_core.training.control import send
from vae_core.training.events import Event, Stepped

ROOT = Path(__file__).resolve().parent.parent
FEW: dict[str, dict[str, Any]] = {
    "sprites": {"data": {"limit": 200, "validation_fraction": 0.5, "image_size": 32}},
    "cifar10": {"model": {"options": {"channels": (8, 16, 32)}}, "train": {"batch_size": 40}},
    "vq-vae-cifar": {
        "model": {"latent_dim": 4, "options": {"channels": (8, 8, 8, 8), "blocks": 1}},
        "objective": {"codes": 8, "halvings": 4},
        "train": {"batch_size": 40},
    },
    "mnist": {"train": {"batch_size": 54}},
}
"""By the data set, or by the name of the result."""

QUICK = {"batch_size": 16, "log_every": 1, "threads": 1, "preview_every": 10**6}


def quick(entry: Reproduction) -> Reproduction:
    """The same on a few images and draws."""
    few = FEW[entry.name if entry.name in FEW else _dataset(entry)]
    settings = merged(merged(entry.settings, {"train": QUICK}), few)
    measure = BoundOfDraws(9) if isinstance(entry.measure, BoundOfDraws) else entry.measure
    return replace(entry, settings=settings, measure=measure)


def _dataset(entry: Reproduction) -> str:
    from vae_core.presets import presets

    return presets[entry.preset].config.data.dataset


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = lay_out(tmp_path / "data" / "MNIST" / "raw", idx_files(130, 3)).parent.parent
    lay_out(folder / FOLDER, batches())
    monkeypatch.setenv("VAE_DATA", str(folder))
    return folder


TRAINED = (
    *("course-ae", "course-vae", "cifar-vae", "tcvae-sprites", "vq-vae-cifar", "vamp-prior"),
    *("burda-vae-1", "burda-iwae-two-layers-5", "dreg-5"),
)
"""One of each kind; the others differ in numbers, or take minutes."""

WHOLE = {"cifar-vae", "course-vae"}
"""Short enough to be run to their end."""


@pytest.mark.parametrize("name", TRAINED)
def test_each_begins_is_gone_on_with_and_yields_its_record(
    name: str, data: Path, tmp_path: Path
) -> None:
    entry, store = quick(reproductions[name]), Store(tmp_path / "runs")
    run = begun(entry, store)
    total = entry.config().train.total_steps(run_images(run))
    first = reproduce(entry, run, Until(run, 2 / total))
    assert first is not None and not first.whole
    assert 2 <= first.step <= 3 and first.total_steps == total
    assert run.status().state == "stopped"

    run, fraction = begun(entry, store), 1.0 if entry.name in WHOLE else 5 / total
    record = reproduce(entry, run, Until(run, fraction))
    assert record is not None and record.whole == (entry.name in WHOLE)
    assert record.step >= 5 and record.training_s > 0
    steps = [each["step"] for each in run.history()[0] if each["kind"] == "step"]
    assert steps == list(range(1, record.step + 1)), "it went on where it was"
    if entry.name != "cifar-vae" or record.whole:
        assert record.figures.keys() == {figure.name for figure in entry.figures}
    assert run.parse(layout.REPRODUCED, Reproduced) == record == own(store)[entry.name]
    assert all(row.ours is not None for row in rows({entry.name: record}) if row.record)


def run_images(run: Run) -> int:
    """How many training images the quick data have."""
    return {"mnist": {"last": 108, "content": 124}[run.config().data.validation], "sprites": 200,
            "cifar10": 40}[run.config().data.dataset]  # fmt: skip


@pytest.mark.parametrize("entry", reproductions, ids=lambda entry: entry.name)
def test_each_can_be_put_together(entry: Reproduction) -> None:
    """Also from the images of the source, where they lie here; as many draws as its name says."""
    assert not entry.problem and entry.figures
    for config in entry.configs():
        shape = datasets[config.data.dataset].shape_for(config.data)
        objective = build_on_meta(config, shape)[1]
        k = entry.name.rsplit("-", 1)[1]
        assert not k.isdigit() or config.objective["samples"] == int(k)
        assert not (isinstance(entry.measure, BoundOfDraws) and objective.likelihood.is_density)


def test_what_cannot_be_done_says_so(tmp_path: Path) -> None:
    entry = replace(reproductions["course-vae"], settings={"family": "of-another-package"})
    assert "of-another-package" in entry.problem
    with pytest.raises(UserError, match="cannot be reproduced here"):
        begun(entry, Store(tmp_path / "runs"))


def test_the_images_of_the_source_are_taken_where_they_are(data: Path, tmp_path: Path) -> None:
    entry, store = reproductions["static-vae"], Store(tmp_path / "runs")
    assert begun(entry, store).config().data.binarise == "static"
    lay_out(data, {binarized_mnist.file_name(part): b"" for part in binarized_mnist.PARTS})
    assert begun(entry, store).config().data.dataset == "mnist", "it goes on with its own"
    other = begun(entry, Store(tmp_path / "others")).config().data
    assert (other.dataset, other.binarise) == ("binarized_mnist", "none")


def test_a_stop_by_hand_leaves_no_record(data: Path, tmp_path: Path) -> None:
    entry, store = quick(reproductions["course-vae"]), Store(tmp_path / "runs")
    run = begun(entry, store)

    def stop(event: Event) -> None:
        if isinstance(event, Stepped) and event.step == 2:
            send(run, {"command": "stop"})

    assert reproduce(entry, run, more_recorders=lambda total, first: [stop]) is None
    assert not run.has(layout.REPRODUCED) and state_of(entry, store) == "stopped"
    with pytest.raises(UserError, match="lies above 0"):
        reproduce(entry, run, Until(run, 0.0))


def test_a_budget_of_time_is_a_partial_run(data: Path, tmp_path: Path) -> None:
    entry = quick(reproductions["course-vae"])
    run = begun(entry, Store(tmp_path / "runs"))
    record = reproduce(entry, run, Until(run, seconds=1e-3))
    assert record is not None and not record.whole and 2 <= record.step < 10


def test_a_run_of_other_settings_is_not_taken_for_it(data: Path, tmp_path: Path) -> None:
    entry, store = quick(reproductions["course-vae"]), Store(tmp_path / "runs")
    begun(entry, store)
    other = replace(entry, settings=merged(entry.settings, {"train": {"learning_rate": 0.5}}))
    with pytest.raises(UserError, match="has other settings than this version reproduces"):
        begun(other, store)


def test_killed_in_the_background_it_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path / "data" / "MNIST" / "raw", idx_files(700, 20))
    monkeypatch.setenv("VAE_DATA", str(tmp_path / "data"))
    entry, store = reproductions["course-vae"], Store(tmp_path / "runs")
    run = start(entry, store)
    wait_for(lambda: run.status().step > 0)
    with pytest.raises(UserError, match="reproduce-course-vae"):
        start(entry, store)
    holder = run.holder()
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    wait_for(lambda: not run.is_alive())
    start(entry, store)
    wait_for(lambda: run.has(layout.REPRODUCED) and not run.is_alive())
    record = own(store)[entry.name]
    assert record.whole and record.figures["weights"] == 422_058
    assert 0 < record.figures["mse"] < 20


def wait_for(happened: Any) -> None:
    until = time.monotonic() + 200
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_bound_of_draws_is_that_of_the_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written out for every image, by as many other draws."""
    entry = quick(reproductions["burda-vae-1"])
    run = begun(entry, Store(tmp_path / "runs"))
    reproduce(replace(entry, measure=lambda loaded, progress: {}), run, Until(run, 1e-9))
    loaded, part = load_run(run), load_part(run, "test")[1]
    few = BoundOfDraws(4000)(loaded, no_progress)["nll"]
    whole = replace(loaded, step=run.status().total_steps)
    found = BoundOfDraws(4000)(whole, no_progress)["nll"]
    assert found < few == BoundOfDraws(PARTIAL_DRAWS)(whole, no_progress)["nll"], "it is partial"
    x = as_floats(part.images.gather(list(range(3))), torch.device("cpu"))
    with torch.inference_mode():
        torch.manual_seed(0)
        q = loaded.model.encode(x)
        normal = torch.distributions.Normal
        z = normal(q.mu, (0.5 * q.logvar).exp()).sample((4000,))
        log_w = normal(0.0, 1.0).log_prob(z).sum(2)
        log_w -= normal(q.mu, (0.5 * q.logvar).exp()).log_prob(z).sum(2)
        p = torch.distributions.Bernoulli(logits=loaded.model.decode(z.flatten(0, 1)))
        log_w += (
            p.logits.mul(x.repeat(4000, 1, 1, 1))
            .sub(torch.nn.functional.softplus(p.logits))
            .flatten(1)
            .sum(1)
            .view(4000, 3)
        )
        expected = -(torch.logsumexp(log_w, 0) - torch.log(torch.tensor(4000.0))).mean()
    assert found == pytest.approx(float(expected), abs=1.0)


def test_the_distance_of_samples_is_told_by_the_features_at_hand(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the prior that is named; Inception's where its weights are, and encodings of now."""

    def measured(
        run: Run, split: str, *, samples: int, priors: Any, features: str, **more: Any
    ) -> Any:
        assert (split, samples) == ("test", 7) and is_complete(run)
        if features == "inception" and not at_hand:
            raise UserError("its weights are not on this machine")
        fid = SimpleNamespace(value={"classifier": 2.0, "inception": 9.0}[features])
        figures = [(RECONSTRUCTIONS, None), (*priors, fid)]
        return Compared(
            tuple(
                SimpleNamespace(of=name, figures=SimpleNamespace(fid=each))
                for name, each in figures
            ),  # type: ignore[arg-type]
            (),
        )

    monkeypatch.setattr("vae_core.reproduce.measures.measure_quality", measured)
    entry = replace(quick(reproductions["course-ae"]), measure=lambda loaded, progress: {})
    run = begun(entry, Store(tmp_path / "runs"))
    reproduce(entry, run, Until(run, 1e-9))
    (run.path / layout.ENCODINGS).unlink(missing_ok=True)
    at_hand, found = False, Frechet("gaussian-mixture", 7)
    assert found(load_run(run), no_progress) == {"fid_here": 2.0}
    at_hand = True
    assert found(load_run(run), no_progress) == {"fid_here": 2.0, "fid": 9.0}


def test_the_page_is_made_of_the_records() -> None:
    """docs/results.md is what the command prints, and every record is of a result that there is."""
    assert {path.stem for path in RECORDS.glob("*.json")} <= {e.name for e in reproductions}
    done = CliRunner().invoke(app, ["reproduce", "--table"], catch_exceptions=False)
    assert done.stdout == (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for entry in reproductions:
        command = f"python -m vae_core reproduce {entry.name}\n"
        assert command in done.stdout
    for name, record in kept().items():
        assert record.name == name and record.figures


RECORD = Reproduced(
    name="tcvae-sprites", figures={"mig": 0.45}, step=300, total_steps=1200, data="Sprites", seed=3,
    training_s=7300.0, measuring_s=1.0, device="CPU", threads=2,
)  # fmt: skip


def test_a_partial_run_is_called_so_and_its_distance_told() -> None:
    (row,) = [each for each in rows({RECORD.name: RECORD}) if each.record]
    assert row.cells() == {
        "Result": "β-TCVAE on sprites: MIG",
        "Unit": "gap, 0 to 1",
        "Printed": "0.5",
        "Ours": "0.45",
        "Distance": "−0.05 (10.0%)",
        "Schedule": "partial, 0.25 of it",
        "Data": "Sprites",
        "Seed": "3",
        "Training": "2.0 h",
        "Device": "CPU, 2 threads",
    }
    whole = RECORD.model_copy(update={"step": 1200, "figures": {"mig": 0.55}})
    assert Row(row.entry, row.figure, whole).cells()["Distance"] == "+0.05 (10.0%)"
    assert Row(row.entry, row.figure, whole).schedule == "whole"
    nothing = Row(row.entry, Figure("mig", "MIG", None, ""), RECORD).cells()
    assert (nothing["Printed"], nothing["Distance"]) == ("–", "–")
    assert "| β-TCVAE on sprites: MIG | gap, 0 to 1 | 0.5 | 0.45 |" in markdown(
        {RECORD.name: RECORD}
    )


def test_a_record_is_kept_from_a_run_and_a_damaged_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vae_core.reproduce.table.RECORDS", tmp_path / "records")
    (tmp_path / "records").mkdir()
    entry, store = reproductions["tcvae-sprites"], Store(tmp_path / "runs")
    with pytest.raises(UserError, match="has no record"):
        keep(entry, store)
    run = begun(entry, store)
    run.write_json(layout.REPRODUCED, RECORD)
    assert run_of(entry, store) is not None and run.id == run_name(entry)
    path = keep(entry, store)
    assert kept() == {entry.name: RECORD}
    path.write_text(json.dumps({"figures": {"mig": "high"}}))
    with pytest.raises(UserError, match=r"record tcvae-sprites\.json is damaged"):
        kept()


def test_a_budget_is_shared_by_as_many_as_it_is_enough_for() -> None:
    """Ten minutes are ten results of 35 s, the least trained first; what is whole is left out."""
    names = [str(number) for number in range(22)]
    done = {"0": 1.0, "1": 0.5, "2": 0.1}
    assert chosen(10, names, done) == names[3:13]
    assert chosen(1000, names, done) == [*names[3:], "2", "1"]
    assert len(chosen(0.1, names, done)) == 1
    assert training_s(600, 10) == 35
    assert training_s(10, 1) == 1, "late ones are measured all the same"


def test_the_list_tells_what_there_is() -> None:
    done = CliRunner().invoke(app, ["reproduce", "--list", "--json"], catch_exceptions=False)
    listed = json.loads(done.stdout)
    assert {each["name"] for each in listed} == {entry.name for entry in reproductions}
    assert all(each["state"] in ("not begun", "not possible here") for each in listed)
    assert [each["printed"] for each in listed if each["name"] == "burda-iwae-50"] == [84.78]
