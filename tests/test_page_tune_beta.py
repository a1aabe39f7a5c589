"""The page Tune β on real runs: what it shows, and what its buttons do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.engine import trained
from tests.test_pages_latent import charts, open_page, texts
from ui.numbers import number
from vae_core.runs import Run, Store


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = trained(tmp_path_factory.mktemp("finished"), "tiny")
    run.file("job.json").unlink(missing_ok=True)
    return run


@pytest.fixture
def run(tmp_path: Path, finished: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    shutil.copytree(finished.path, tmp_path / "tiny")
    return Store().get("tiny")


def test_comparable_runs_share_one_chart(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "beta-4")
    other = Store().get("beta-4")
    other.write_json("config.json", run.config().updated({"objective": {"beta": 4.0}}))
    other.write_json("summary.json", run.summary() | {"kl": 1.0, "recon": 500.0, "elbo": -501.0})
    shutil.copytree(run.path, tmp_path / "faces")
    faces = Store().get("faces")
    faces.write_json("config.json", run.config().updated({"model": {"likelihood": "gaussian"}}))
    app = open_page("tune_beta", run="tiny")
    assert sorted(charts(app)[0]["data"][-1]["text"]) == ["beta-4 · β 4", "tiny · β 1"]
    assert list(app.dataframe[0].value["run"]) == ["tiny", "beta-4"]


def test_the_converter_tells_a_weight_in_every_convention(run: Run) -> None:
    app = open_page("tune_beta", run="tiny")
    app.selectbox(key="units-convention").select("pytorch-vae")
    app.number_input(key="units-weight-tiny").set_value(0.5)
    app.number_input(key="units-sigma-tiny").set_value(0.2)
    app.number_input(key="units-s-tiny").set_value(0.5).run()
    # β = w·P·s²/(2σ²) with P = 16·16; L = 4 times as much as a mean over dimensions.
    beta = 0.5 * 256 * 0.25 / (2 * 0.04)
    shown = texts(app)
    for weight in (beta, 0.5, 0.5 * 4, beta * 0.04 / 0.25):
        assert f"**{number(weight)}**" in shown
    assert "Bernoulli" in shown  # a warning that its σ is borrowed
