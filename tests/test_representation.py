"""What codes tell, of runs: with factors, with labels, with neither; kept, and shown."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import commands
from tests.engine import trained
from vae_core import representation as module
from vae_core.data import Dataset, ImageSet
from vae_core.data.difference import Difference
from vae_core.errors import UserError
from vae_core.evaluation import Request, known
from vae_core.loading import load_part
from vae_core.metrics import disentanglement, probes
from vae_core.quality import kept_quality, measure_quality
from vae_core.representation import columns, represent, representation
from vae_core.runs import Run

SPRITES: dict[str, Any] = {
    "data": {
        "dataset": "sprites", "image_size": 32, "limit": 1000, "validation_fraction": 0.3,
    },
    "objective": {"beta": 0.01},
    "train": {"epochs": 16, "learning_rate": 4e-3},
}  # fmt: skip


@pytest.fixture(scope="module")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("sprites"), "sprites", **SPRITES)


def test_labels_and_the_parts_of_the_rate(tiny_run: Run) -> None:
    found = represent(tiny_run)
    part = load_part(tiny_run, "validation")[1]
    aggregate = found["aggregate"]
    assert aggregate["images"] == found["images"] == len(part)
    assert 0 < aggregate["mutual_information"]["value"] <= math.log(len(part)) + 1e-6
    parts = ("mutual_information", "total_correlation", "dimension_wise_kl")
    assert sum(aggregate[name]["value"] for name in parts) == pytest.approx(
        aggregate["rate"]["value"], abs=1e-3
    )
    assert len(aggregate["information_per_dim"]) == found["latent_dim"] == 4
    told = found["probes"]
    assert [each["features"] for each in told["of"]] == [
        "codes", "pixels, 16×16", "principal components",
    ]  # fmt: skip
    assert [each["dims"] for each in told["of"]] == [4, 256, 4]
    assert told["classes"] == 10 and told["asked"] == len(part)
    pixels = told["of"][1]["linear"]
    assert pixels["low"] < pixels["value"] < pixels["high"] and pixels["value"] > 0.7
    assert "not scored against factors" in " ".join(found["remarks"])
    assert columns(found)["I(x; z), nats"] == aggregate["mutual_information"]["value"]
    assert columns(found)["linear probe"] == told["of"][0]["linear"]["value"]
    assert columns({}) == {}


def test_a_probe_learns_from_training_images_alone(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    whole = probes.linear_probe

    def watched(known: Any, unseen: Any, progress: Any) -> Any:
        seen.append((known.features, unseen.features))
        return whole(known, unseen, progress)

    monkeypatch.setattr(probes, "linear_probe", watched)
    represent(tiny_run)
    known, unseen = seen[1]  # pixels
    sets = {}
    for split in ("train", "validation"):
        part = load_part(tiny_run, split)[1]
        pictures = probes.pixels(part.images.gather(np.arange(len(part))))
        sets[split] = {row.tobytes() for row in pictures}
    assert {row.tobytes() for row in known} <= sets["train"]
    assert {row.tobytes() for row in unseen} <= sets["validation"]


def test_it_is_kept_until_the_weights_are_others(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert representation(tiny_run) == {}
    first = represent(tiny_run)
    monkeypatch.setattr(module, "_measured", None)  # it would be called, and fail
    assert represent(tiny_run) == representation(tiny_run) == first
    assert representation(tiny_run, "test") == {}
    assert representation(tiny_run, estimator="weighted") == {}
    weights = tiny_run.file("model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert representation(tiny_run) == {}


def test_what_images_elsewhere_tell_is_not_kept_as_the_runs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured they are, and said to be others."""
    run = trained(tmp_path, train={"epochs": 1}, data={"limit": 150})

    def elsewhere(*asked: Any) -> tuple[Dataset, ImageSet]:
        dataset, part = load_part(*asked)
        return replace(dataset, difference=Difference(recorded=False)), part

    monkeypatch.setattr("vae_core.loading.load_part", elsewhere)
    monkeypatch.setattr("vae_core.quality.load_part", elsewhere)
    found = represent(run, data_dir=str(tmp_path))
    assert Difference(recorded=False).sentence in found["remarks"] and representation(run) == {}
    compared = measure_quality(run, data_dir=str(tmp_path), priors=["model"], features="random")
    assert len(compared.measured) == 3 and kept_quality(run) == ()


def test_codes_that_are_points_are_asked_for_labels_alone(tmp_path: Path) -> None:
    run = trained(tmp_path, "points", family="autoencoder")
    found = represent(run)
    assert found["aggregate"] is None and found["probes"]
    assert "no density" in found["remarks"][0]
    assert found["gaussian_total_correlation"].keys() == {"means"}
    assert "I(x; z), nats" not in columns(found)


def test_a_conditional_encoder_is_told_the_label(tmp_path: Path) -> None:
    found = represent(trained(tmp_path, "told", family="conditional-vae"))
    assert any("is told the label" in sentence for sentence in found["remarks"])


def test_of_a_hierarchy_the_coarsest_level_is_taken_apart(tmp_path: Path) -> None:
    found = represent(trained(tmp_path, "levels", family="hierarchical"))
    assert 0 < found["aggregate"]["dims"] < found["latent_dim"]
    assert found["remarks"][0].startswith("The parts of the rate are those of the coarsest level")


def test_the_published_protocol_beside_the_quick_scores(
    sprites: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = partial(disentanglement.published_scores, rounds=1)
    monkeypatch.setattr(disentanglement, "published_scores", fewer)
    plain = represent(sprites)
    assert plain["locatello"] is None and "mig" in plain["quick"]["means"]
    monkeypatch.setattr(module, "_measured", None)  # what is there already is kept
    found = represent(sprites, protocol="locatello")
    told = found["locatello"]
    assert (told["known"], told["unseen"]) == (952, 477)  # 1429 sprites, two to one
    assert told["scores"].keys() == {
        "mig_means", "mig_samples", "modularity", "sap", "factor_vae", "beta_vae",
        "dci_disentanglement", "dci_completeness", "dci_informativeness",
    }  # fmt: skip
    assert all(0 <= value <= 1 for value in told["scores"].values())
    names = {"shape", "scale", "orientation", "x", "y"}
    for convention in ("mig_means", "mig_samples"):
        each = told["gaps"][convention]
        assert each.keys() == names
        assert np.mean(list(each.values())) == pytest.approx(told["scores"][convention])
    assert any("drawn from all images" in sentence for sentence in found["remarks"])
    assert found["quick"] == plain["quick"] and found["aggregate"] == plain["aggregate"]
    assert columns(found)["mig_means (Locatello)"] == told["scores"]["mig_means"]
    measure = known(sprites, "mig-samples", Request())
    assert measure is not None and measure.low is None
    assert measure.value == told["scores"]["mig_samples"]
    assert measure.measured_on == "952 images to learn from, 477 to test on"


def test_without_factors_the_protocol_is_refused_before_any_work(tiny_run: Run) -> None:
    with pytest.raises(UserError, match="digits has no known factors"):
        represent(tiny_run, protocol="locatello")


def test_the_command_tells_it_with_all_else(tiny_run: Run) -> None:
    told = json.loads(
        commands.vae_core("evaluate", tiny_run.id, "--representation", "--json").stdout
    )
    assert told["representation"] == representation(tiny_run)
    assert told["elbo"] is not None
    said = commands.vae_core("represent", tiny_run.id).stdout
    assert "mutual_information" in said and "labels read from" in said and "pixels" in said


def test_the_range_says_when_images_are_too_few(tiny_run: Run) -> None:
    found = represent(tiny_run)
    part = found["aggregate"]["mutual_information"]
    wide = part["high"] - part["low"] > module.FEW_DRAWS
    assert any("no code tells more than log N" in each for each in found["remarks"]) == wide
