"""Measures of runs: what one entry is enough for, how figures are kept, and the table they make."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest import mock

import pytest
from streamlit.testing.v1 import AppTest

from latent_workbench.evaluate import choice
from latent_workbench.evaluate.choice import command
from tests.commands import vae_core
from tests.engine import trained
from tests.pages import charts, open_page, texts
from tests.test_page_tune_beta import numbers
from vae_core.errors import UserError
from vae_core.evaluation import (
    Estimate,
    Request,
    all_measured,
    around,
    known,
    measured,
    measures,
    pictures,
    refusal,
)
from vae_core.evaluation.measure import Measure, seconds
from vae_core.evaluation.subject import once_learned
from vae_core.evaluation.table import cautions, escaped, latex_of, rounded, rows
from vae_core.latent.priors import NotLearned, priors
from vae_core.metrics.quality.features import classifier
from vae_core.models import LatentModel
from vae_core.progress import Progress, no_progress
from vae_core.quality import kept_quality, measure_quality, tradeoffs
from vae_core.representation import representation
from vae_core.runs import Run, Store


@pytest.fixture
def counted() -> Iterator[list[str]]:
    """A measure called `letters`, as another file would register it, and how often it was taken."""
    taken: list[str] = []

    def check(run: Run, request: Request) -> None:
        if request.split == "test":
            raise UserError("Letters are not counted there.")

    @measures.register(
        "letters", label="Letters_%", blurb="Of its name.", unit="", better="higher", check=check,
        seconds=lambda run, request: 2.0,
    )  # fmt: skip
    def letters(run: Run, request: Request, progress: Progress) -> Estimate:
        taken.append(run.id)
        return around(float(len(run.id)), 0.5, "its name", "Counted by hand.")

    yield taken
    del measures._entries["letters"]


def test_one_entry_is_enough_to_be_measured_kept_and_told(
    tiny_run: Run, counted: list[str]
) -> None:
    request = Request(images=5, k=2)
    assert known(tiny_run, "letters", request) is None
    found = measured(tiny_run, "letters", request)
    assert (found.value, found.low, found.high) == pytest.approx((4, 3.02, 4.98))
    assert known(tiny_run, "letters", request) == found == measured(tiny_run, "letters", request)
    assert counted == ["tiny"], "it was taken once"
    for other in (Request(images=6, k=2), Request(images=5, k=3), Request(images=None, k=2)):
        assert known(tiny_run, "letters", other) is None
    assert refusal(tiny_run, "letters", Request("test")) == "Letters are not counted there."
    with pytest.raises(UserError, match="not counted"):
        measured(tiny_run, "letters", Request("test"))
    done = vae_core("evaluate", "tiny", "--measure", "letters", "--measure", "nll", "--k", "2",
                    "--images", "5", "--json")  # fmt: skip
    told = json.loads(done.stdout)
    assert [each["measure"] for each in told] == ["letters", "nll"]
    assert told[0]["low"] == found.low and told[1]["measured_on"].startswith("first 5 of")
    assert counted == ["tiny"]
    whole = bytearray(tiny_run.read("model.safetensors"))
    whole[-1] ^= 1
    tiny_run.write_bytes("model.safetensors", bytes(whole))
    assert known(tiny_run, "letters", request) is None, "the weights are others"


def test_what_measures_share_counts_once(tiny_run: Run, counted: list[str]) -> None:
    """Three figures of one likelihood; by the speed at which the run was measured."""
    tiny_run.write_json("summary.json", tiny_run.summary() | {"images_per_s": 1000.0})
    request = Request(images=20, k=50)
    together = seconds(tiny_run, ["nll", "bits-per-dim", "bound"], request)
    assert together == seconds(tiny_run, ["nll"], request) == 1.0
    assert seconds(tiny_run, ["nll", "letters"], request) == 3.0
    shares: list[float] = []
    names = ["nll", "bound", "letters"]
    few = Request(images=5, k=2)
    found, problems = all_measured(
        tiny_run, names, few, lambda message, share: shares.append(share or 0.0)
    )
    assert list(found) == names and problems == []
    assert 0 < max(shares) <= 0.5, "letters, which tell nothing of themselves, are the other half"
    facts = tiny_run.summary()
    del facts["images_per_s"]
    tiny_run.write_json("summary.json", facts)
    assert seconds(tiny_run, ["nll", "letters"], request) is None


def test_figures_are_rounded_to_what_their_intervals_tell() -> None:
    assert rounded(around(90.0321, 0.98, "")) == "90.0 ± 1.9"
    assert rounded(around(0.123456, 0.000123, "")) == "0.12346 ± 0.00024"
    assert rounded(Estimate(0.41, 0.35, 0.44)) == "0.410 [0.350, 0.440]"
    assert rounded(Estimate(12345.678)) == "1.235e+04"
    assert rounded(Estimate(1234.5, 1000.0, 1469.0)) == "1234 ± 234"


def test_the_table_as_latex_shows_names_and_the_best(counted: list[str]) -> None:
    table = {
        "a_1": {
            "nll": around(90.0, 1.0, "200 images"),
            "letters": Estimate(3.0, note="Counted by hand."),
        },
        "b&β": {"nll": around(85.0, 1.0, "200 images")},
    }
    lines = latex_of(table).splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert lines[2] == (r"Run & $-\log p(x)$ (nats) $\downarrow$ & Letters\_\% $\uparrow$ \\")
    assert lines[4] == r"a\_1 & $90.0 \pm 2.0$ & $3$ \\"
    assert lines[5] == r"b\&$\beta$ & $\mathbf{85.0 \pm 2.0}$ & -- \\"
    assert lines[8:10] == ["% −log p(x): 200 images.", "% Letters_% (a_1): Counted by hand."]
    assert all(line.startswith("%") for line in lines[8:])
    assert escaped("50% {x}~\\") == r"50\% \{x\}\textasciitilde{}\textbackslash{}"
    assert [(row["run"], row["measure"], row["value"]) for row in rows(table)] == [
        ("a_1", "nll", 90.0), ("a_1", "letters", 3.0), ("b&β", "nll", 85.0),
    ]  # fmt: skip


def test_the_best_is_one_of_those_that_can_be_held_against_each_other(counted: list[str]) -> None:
    """FID by other features, a density beside a probability: none of them is the better one."""
    table = {
        run: {"letters": Estimate(value, basis=basis)}
        for run, value, basis in (("a", 3.0, "by these"), ("b", 4.0, "by those"))
    }
    told = latex_of(table)
    assert "mathbf" not in told and "% These cannot be held against each other" in told
    same = {run: {"letters": replace(each["letters"], basis="")} for run, each in table.items()}
    assert r"\mathbf{4}" in latex_of(same) and cautions(same) == []


# --- pictures, codes, factors ---------------------------------------------------------------------


def rows_of(*arguments: str, status: int = 0) -> tuple[dict[str, dict[str, Any]], str]:
    """What `evaluate … --json` says of each measure, and its errors."""
    done = vae_core("evaluate", *arguments, "--json")
    assert done.returncode == status, done.stderr
    return {each["measure"]: each for each in json.loads(done.stdout)}, done.stderr


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run with images enough for an FID."""
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    monkeypatch.setattr(classifier, "MOST_EPOCHS", 4)
    return trained(tmp_path, "whole", data={"limit": None})


def test_pictures_are_compared_once_for_all_their_measures(
    whole: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["fid", "coverage-reconstructions", "kid", "copying"]
    work: list[str] = []

    def counting(run: Run, *part: str, **asked: Any) -> Any:
        work.append(run.id)
        return measure_quality(run, *part, **asked)

    monkeypatch.setattr(pictures, "measure_quality", counting)
    found, problems = all_measured(whole, names, Request())
    assert work == ["whole"] and not problems and list(found) == names
    kept = {each.of: each.figures for each in kept_quality(whole)}
    fid = kept["model"].fid
    assert fid is not None
    assert (found["fid"].value, found["fid"].low, found["fid"].high) == (
        fid.value,
        fid.low,
        fid.high,
    )
    assert found["coverage-reconstructions"].value == kept["reconstructions"].coverage.value
    assert (
        "by the number of images" not in found["kid"].note and "features of a" in found["kid"].note
    )
    rows, _ = rows_of("whole", *(word for name in names for word in ("--measure", name)))
    assert work == ["whole"], "the command knows it"
    assert (
        rows["fid"]["measured_on"]
        == f"{kept['model'].pictures} pictures against {kept['model'].pictures} validation images"
    )
    assert seconds(whole, names, Request()) == seconds(whole, ["fid"], Request())


def test_codes_are_asked_once_and_what_one_lacks_keeps_no_other_from_being_told(
    tiny_run: Run,
) -> None:
    names = ["mig-means", "mutual-information", "linear-probe"]
    asked = ["tiny", *(word for name in names for word in ("--measure", name))]
    rows, errors = rows_of(*asked, status=2)
    assert "digits has no known factors" in errors and rows.keys() == set(names[1:])
    found = representation(tiny_run)
    part = found["aggregate"]["mutual_information"]
    assert rows["mutual-information"]["value"] == part["value"]
    assert rows["mutual-information"]["high"] == pytest.approx(part["value"] + 1.96 * part["se"])
    probe = found["probes"]["of"][0]["linear"]
    assert rows["linear-probe"] | {"low": probe["low"]} == rows["linear-probe"]
    assert "pixels, 16×16" in rows["linear-probe"]["note"]
    assert known(tiny_run, "k-nn", Request()) is not None, "it was measured with the others"


def test_codes_are_sampled_from_a_prior_that_is_learned_first(tiny_run: Run) -> None:
    """As log p(x) has it learned; where nothing can learn it, that is said."""
    asked: list[str] = []

    def ask() -> str:
        asked.append("asked")
        if len(asked) < 2:
            raise NotLearned("It has to be learned.")
        return "drawn"

    entry = priors["autoregressive"]
    learned: list[str] = []
    taught = replace(entry, learn=lambda run, model, progress: learned.append(run.id))
    with mock.patch.dict(priors._entries, {"autoregressive": taught}):
        model = cast("LatentModel", None)
        found = once_learned(ask, tiny_run, lambda: model, "autoregressive", no_progress)
        assert (found, learned) == ("drawn", ["tiny"])
        asked.clear()
        with pytest.raises(NotLearned):
            once_learned(ask, tiny_run, lambda: model, "model", no_progress)


def test_what_cannot_be_measured_is_said_before_any_work(tmp_path: Path) -> None:
    points = trained(tmp_path, "points", family="autoencoder", train={"epochs": 1})
    assert "are points, of which q(z|x) has no density" in refusal(
        points, "total-correlation", Request()
    )
    assert refusal(points, "linear-probe", Request()) == ""
    assert "0 test images" in refusal(points, "fid", Request("test"))
    assert "0 test images" in refusal(points, "k-nn", Request("test"))
    few = measure_quality(points, samples=20, priors=["model"])
    assert few.measured[-1].figures.fid is None
    assert "need more than 64 images" in refusal(points, "fid", Request())
    assert refusal(points, "kid", Request()) == ""


# --- the page -------------------------------------------------------------------------------------


def settled(app: AppTest) -> AppTest:
    """The page once its job has ended."""
    for _ in range(100):
        if not any(button.key == "stop-evaluating" for button in app.button):
            return app
        time.sleep(0.1)
        app.run()
    raise AssertionError("the job does not end")


def test_the_page_measures_beside_the_server_and_shows_a_table(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_run.path, tmp_path / "twin")
    commands: list[list[str]] = []

    def beside(arguments: list[str], run: Run, progress: Any) -> None:
        commands.append(arguments)
        progress("Weighing draws", 0.5)
        assert vae_core(*arguments).returncode == 0

    monkeypatch.setattr(choice, "in_process", beside)
    app = open_page("evaluate", run="tiny")
    assert "A table appears here" in texts(app)
    app.number_input(key="evaluate-images").set_value(12)
    app.number_input(key="evaluate-k").set_value(3).run()
    assert "4 of 4 figures are missing" in texts(app)
    app.button(key="evaluate-start").click().run()
    settled(app)
    assert not app.exception
    request = Request("validation", 12, 3)
    names = ["nll", "bits-per-dim"]
    assert commands == [command(Store().get(run), names, request) for run in ("tiny", "twin")]
    table = app.dataframe[0].value
    assert sorted(table["run"]) == ["tiny", "twin"]
    told = known(Store().get("tiny"), "nll", request)
    assert told is not None
    shown = dict(zip(table["run"], table["−log p(x) (nats) ↓"], strict=True))
    assert shown["tiny"] == rounded(told) and "±" in shown["tiny"]
    assert "- **−log p(x), Bits per dimension**: first 12 of" in texts(app), "said once of both"
    assert "k = 3 draws" in texts(app) and "All of it is measured" in texts(app)
    trace = charts(app)[0]["data"][0]
    assert sorted(trace["y"]) == ["tiny", "twin"]
    widths = numbers(trace["error_x"]["array"])
    assert min(widths) > 0 and max(widths) == pytest.approx(told.high - told.value)
    app.number_input(key="evaluate-k").set_value(4).run()
    assert "4 of 4 figures are missing" in texts(app), "others are asked for"


def test_the_page_says_what_cannot_be_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    trained(tmp_path, "points", family="autoencoder", train={"epochs": 1})
    app = open_page("evaluate", run="points")
    assert "puts each image on one point" in texts(app)
    assert not any(button.key == "evaluate-start" for button in app.button)


def test_rate_distortion_and_perception_of_the_chosen_runs_are_one_plot(
    whole: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def beside(arguments: list[str], run: Run, progress: Any) -> None:
        assert vae_core(*arguments).returncode == 0

    monkeypatch.setattr(choice, "in_process", beside)
    app = open_page("evaluate", run="whole")
    app.pills(key="evaluate-measures-Likelihood").set_value([])
    app.pills(key="evaluate-measures-Samples").set_value(["fid"])
    app.pills(key="evaluate-measures-Reconstructions").set_value(["fid-reconstructions"]).run()
    assert app.number_input(key="evaluate-k").disabled
    assert "Rate, distortion, perception" not in texts(app)
    settled(app.button(key="evaluate-start").click().run())
    assert not app.exception
    said = texts(app)
    assert "Rate, distortion, perception" in said and "features of a classifier" in said
    (point,) = tradeoffs([whole])
    (shown,) = (
        each["data"][0] for each in charts(app) if each["data"][0]["mode"] == "markers+text"
    )
    assert numbers(shown["x"]) == [point.rate] and numbers(shown["y"]) == [point.mse]
    assert numbers(shown["marker"]["color"]) == [point.perception]
    assert shown["text"] == ["whole"]


def test_every_measure_says_what_a_table_needs() -> None:
    for entry in measures:
        assert isinstance(entry, Measure) and entry.label and entry.blurb
        assert entry.better in ("lower", "higher", "neither")
        assert entry.kept is not None, "what is shared with other pages is kept once"
