"""What the benchmarks of speed claim: one network on every side, and figures that are there."""

from __future__ import annotations

import json
import math
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import growth, report, starting, training
from benchmarks.published import give_weights
from benchmarks.pythae_loop import nats_ratio, wrapped
from benchmarks.twins import PUBLISHED
from benchmarks.workbench_loop import Stopwatch
from benchmarks.workloads import WORKLOADS
from vae_core.families import build, complete
from vae_core.metrics import Measurement
from vae_core.objective import MODEL
from vae_core.presets import presets
from vae_core.training.events import Ended, EpochSaved, Stepped, Validated
from vae_core.types import Context, total

KEYS = {
    *("ours", "pythae", "tutorial", "bare", "ratio_pythae", "ratio_tutorial", "ratio_bare"),
    *("precision", "sgemm_gflops", "flops_per_image", "of_sgemm", "shares", "after_training_s"),
}


@pytest.fixture
def double() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", WORKLOADS)
def test_all_sides_train_the_same_network_on_the_same_loss(name: str) -> None:
    preset = presets[WORKLOADS[name].preset]
    config, published = complete(preset.config), PUBLISHED[WORKLOADS[name].preset]
    torch.manual_seed(0)
    twin = published.make()
    model, objective = build(config, preset.image_shape)
    give_weights(twin, model)
    peer = wrapped(config, twin, preset.image_shape)
    counts = {sum(p.numel() for p in m.parameters()) for m in (model, twin, peer)}
    assert len(counts) == 1

    x = torch.rand(3, *preset.image_shape)
    context = Context(0, torch.Generator().manual_seed(1))
    ours = total(objective.losses(x, objective(model, x, context), context)[MODEL])
    constant = 0.5 * x[0].numel() * math.log(2 * math.pi * config.model.sigma**2)
    tutorial = published.loss(twin, twin.seen(x), torch.Generator().manual_seed(1))
    torch.testing.assert_close(ours - constant, published.times * tutorial)

    noise = torch.Generator().manual_seed(1)
    peer._sample_gauss = lambda mu, std: (
        mu + std * torch.randn(mu.shape, generator=noise),
        None,
    )
    pythae = peer({"data": twin.seen(x)})
    torch.testing.assert_close(ours - constant, nats_ratio(config, twin) * pythae.loss)


def test_a_round_measures_every_side_and_says_where_our_time_went(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = os.environ["VAE_CACHE"]
    training.main("W2", rounds=1, epochs=1, images=48, as_json=True)
    assert os.environ["VAE_CACHE"] == before
    result = json.loads(capsys.readouterr().out)
    assert result["torch"] and result["cores"] and list(result["workloads"]) == ["W2"]
    found = result["workloads"]["W2"]
    assert found.keys() >= KEYS
    for side in training.RIVALS:
        assert found[f"ratio_{side}"] == pytest.approx(found["ours"] / found[side], rel=0.02)
    shares = found["shares"]
    assert sum(shares.values()) == pytest.approx(1, abs=0.01)
    assert min(shares.values()) >= 0
    # One epoch is saved where the run ends: encodings are left to what follows training.
    assert all(shares[key] > 0 for key in shares if key != "encodings")
    assert found["of_sgemm"]["bare"] == pytest.approx(
        found["bare"] * found["flops_per_image"] / (1e9 * found["sgemm_gflops"]), rel=0.05, abs=1e-3
    )


def test_medians_and_ratios_are_of_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ratio of medians would be 1 here."""
    speeds = {"ours": iter([10.0, 30.0, 20.0]), "tutorial": iter([20.0, 10.0, 30.0])}
    turns = []

    def measured(side: str, folder: Path, precision: str) -> dict[str, Any]:
        turns.append(side)
        assert precision == ("fp32" if len(turns) > 1 else "")
        found = {"images": 100, "precision": "fp32", "shares": {"steps": 1.0}}
        return {**found, "seconds": 1.0, "whole_seconds": 2.0, "images_per_s": next(speeds[side])}

    monkeypatch.setattr(training, "measured", measured)
    found = training.compare("W1", Path(), ["ours", "tutorial"], 3)
    assert turns == ["ours", "tutorial", "tutorial", "ours", "ours", "tutorial"]
    assert (found["ours"], found["tutorial"]) == (20.0, 20.0)
    assert found["ratio_tutorial"] == pytest.approx(0.667)  # of 1/2, 3 and 2/3
    assert found["pythae"] is found["ratio_pythae"] is None


def test_a_rival_that_is_not_installed_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        training.sides_without([])
    assert ended.value.code == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "pip install pythae" in said and "--without pythae" in said
    assert "pythae" not in training.sides_without(["pythae"])
    with pytest.raises(SystemExit):
        training.chosen("W1,W9", list(WORKLOADS), "--workloads")
    assert "'W9'" in capsys.readouterr().err


def test_time_between_events_is_the_steps_and_what_the_event_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 3.0, 5.0, 5.5, 9.5, 10.0, 10.25, 12.25])
    monkeypatch.setattr("benchmarks.workbench_loop.time.perf_counter", lambda: next(clock))
    watch = Stopwatch()

    def stepped(seconds: float) -> Stepped:
        return Stepped(1, 1, seconds, {}, {}, {}, 0.0, 0.0)

    measurement: Any = Measurement.__new__(Measurement)
    watch(stepped(0.0))
    watch(stepped(2.5))  # half a second was no step
    watch(Validated(1, 1, 2.5, measurement))
    watch(EpochSaved(1, 1, 2.5))
    watch(stepped(5.5))  # a second of it encoded what was saved
    watch.progress("Encoding the images", None)  # of an epoch
    watch(Ended(1, 1, 5.5, True))
    watch.progress("Encoding the images", None)  # the last save is written by then
    watch.progress("Encoding the images", None)
    watch.end()
    assert watch.seconds == {
        **{"steps": 5.5, "validation": 2.0, "previews": 0.0, "saves": 0.25},
        **{"encodings": 1.0, "rest": 1.5, "after_training": 2.0},
    }


def test_the_report_is_one_file_that_asks_for_no_other() -> None:
    rows = [{"records": 10.0, "refresh, ms": 1.5}, {"records": 1e6, "refresh, ms": 1.25}]
    side: dict[str, Any] = dict.fromkeys(KEYS, 2.0)
    side |= {"precision": "fp32", "shares": {"steps": 0.75, "rest": 0.25}}
    side |= {"pythae": None, "ratio_pythae": None, "of_sgemm": {"ours": 0.3, "bare": 0.4}}
    side["sgemm_images_per_s"] = 99.0
    sections = [
        report.of_training({"workloads": {"W1": side}}, "python -m benchmarks.training"),
        report.of_growth(growth.GROWTHS["history"], rows, "python -m benchmarks.growth"),
        report.of_starting({"first_step_s": 3.0, "goals": {"first_step_s": 4.0}}, "starting"),
    ]
    page = report.page({"cores": 2, "torch": "2.14", "pythae": None}, sections)

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.cells: list[str] = []
            self.asked: list[str | None] = []
            self.inside = ""

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.inside = tag
            self.asked += [value for key, value in attrs if key in ("src", "href")]

        def handle_data(self, data: str) -> None:
            if self.inside in ("td", "th"):
                self.cells.append(data)

    reader = Reader()
    reader.feed(page)
    assert reader.asked == []
    assert {"ratio tutorial", "75.0%", "–", "1,000,000", "1.25", "fp32"} <= set(reader.cells)
    assert page.count("Plotly.newPlot") >= 2 and "cores 2; torch 2.14" in page


def test_a_part_that_fails_costs_the_report_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half an hour of measurements was lost with the last of them."""

    def broken(*asked: Any) -> dict[str, Any]:
        raise RuntimeError("The training made no step: <too late>")

    rows = [{"records": 10.0, "refresh, ms": 1.5}, {"records": 1e6, "refresh, ms": 1.25}]
    monkeypatch.setattr(starting, "measure", broken)
    monkeypatch.setattr(report, "grown", lambda name, quick: rows)
    place = tmp_path / "new" / "report.html"
    with pytest.raises(SystemExit) as ended:
        report.main(workloads="", growths="history", output=place)
    assert ended.value.code == 2
    page = place.read_text(encoding="utf-8")
    assert "made no step: &lt;too late&gt;" in page and "1,000,000" in page
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: not measured: Beginning;")


@pytest.mark.parametrize("name", ["data", "side", "latents", "history"])
def test_growth_measures_a_small_size(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "LONGEST_S", 0.1)
    size = {"data": 600, "side": 16, "latents": 2, "history": 30}[name]
    row = growth.GROWTHS[name].measure(tmp_path, size)
    assert row[growth.GROWTHS[name].y] > 0
    assert all(np.isfinite(value) for value in row.values())
