"""The pictures of a run against its held-out images: features, caches, the command, bad input."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.quality import table
from tests.commands import vae_core
from tests.engine import built_in, trained
from vae_core import quality
from vae_core.child import in_process
from vae_core.config import DataConfig
from vae_core.data import Dataset, ImageSet, Progress
from vae_core.data.images import subset
from vae_core.errors import Stopped, UserError
from vae_core.loading import load_run
from vae_core.metrics.quality import comparison, features_of
from vae_core.metrics.quality.features import classifier, content_of, inception
from vae_core.metrics.quality.kernel_distance import over_subsets
from vae_core.quality import RECONSTRUCTIONS, TRAINING, kept_quality, measure_quality, tradeoffs
from vae_core.runs import Run, layout

DIGITS = DataConfig(dataset="digits", image_size=16)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return built_in(DIGITS)


def without_labels(dataset: Dataset) -> Dataset:
    parts = {name: replace(part, labels=None) for name, part in dataset.parts.items()}
    return replace(dataset, **parts, label_names=())


# --- features -------------------------------------------------------------------------------------


def test_a_classifier_is_taught_once_for_the_same_images(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VAE_CACHE", str(tmp_path))  # another test may have taught one for longer
    monkeypatch.setattr(classifier, "MOST_EPOCHS", 12)  # digits take no more
    first = features_of(digits)
    assert first.name == "classifier" and first.accuracy is not None
    assert first.accuracy > 0.95
    assert f"{first.accuracy:.1%} of {len(digits.validation)} held-out images" in first.said
    again = classifier.taught(digits.train)
    torch.testing.assert_close(
        again.network.state_dict(), first.network.state_dict(), rtol=0, atol=0
    )

    taught: list[int] = []

    def quickly(train: ImageSet, progress: Progress) -> classifier.Classifier:
        taught.append(len(train))
        return again

    monkeypatch.setattr(classifier, "taught", quickly)
    known = features_of(digits)
    assert (known.digest, known.accuracy, known.said) == (first.digest, first.accuracy, first.said)
    assert digits.train.labels is not None
    backwards = digits.train.labels[::-1].copy()
    relabelled = replace(digits, train=replace(digits.train, labels=backwards))
    assert taught == []
    features_of(relabelled)
    assert taught == [len(digits.train)]


def test_images_without_labels_have_features_of_random_weights(digits: Dataset) -> None:
    nameless = without_labels(digits)
    found, again = features_of(nameless), features_of(nameless)
    assert found.name == "random" and found.digest == again.digest and found.accuracy is None
    train = digits.train.images.gather(np.arange(len(digits.train)))
    features = found.of([train], len(train), "")
    np.testing.assert_allclose(features.mean(0), 0, atol=0.05)
    np.testing.assert_allclose(features.std(0), 1, atol=0.1)
    with pytest.raises(UserError, match="has no labels that a classifier could be taught"):
        features_of(nameless, "classifier")
    with pytest.raises(UserError, match="There is no kind of features 'vgg'"):
        features_of(nameless, "vgg")


def test_what_stands_for_images_tells_their_content(digits: Dataset) -> None:
    train = digits.train
    turned = replace(train, labels=np.roll(train.labels, 1))  # type: ignore[arg-type]
    fewer = subset(train, np.arange(len(train) - 1))
    assert len({content_of(each).path for each in (train, turned, fewer)}) == 3
    assert content_of(train).path == content_of(replace(train)).path


class FakeExtractor(nn.Module):
    """What torch-fidelity's would be: the mean of each channel, 2048 times."""

    def __init__(self, name: str, features: list[str], path: str) -> None:
        super().__init__()
        assert features == ["2048"] and Path(path).is_file()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        assert images.dtype == torch.uint8 and images.shape[1] == 3
        return (images.float().mean((1, 2, 3))[:, None].expand(-1, 2048),)


def test_inception_is_taken_where_it_is_and_never_fetched(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "torch_fidelity.feature_extractor_inceptionv3"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match="pip install torch-fidelity"):
        features_of(digits, "inception")
    there = ModuleType(name)
    there.FeatureExtractorInceptionV3 = FakeExtractor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, name, there)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("VAE_DATA", str(tmp_path / "data"))
    with pytest.raises(UserError, match="not on this machine, and nothing is downloaded"):
        features_of(digits, "inception")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / inception.WEIGHTS).write_bytes(b"other weights")
    with pytest.raises(UserError, match="is damaged or holds something else"):
        features_of(digits, "inception")
    begins = hashlib.sha256(b"other weights").hexdigest()[:8]
    known = inception.WEIGHTS.replace("6726825d", begins)
    monkeypatch.setattr(inception, "WEIGHTS", known)
    (tmp_path / "data" / known).write_bytes(b"other weights")
    found = features_of(digits, "inception")
    assert (found.size, found.digest) == (2048, begins)
    assert found.of([np.full((2, 1, 16, 16), 7, np.uint8)], 2, "").tolist() == [[7.0] * 2048] * 2
    deep = replace(digits, train=replace(digits.train, images=FourChannels()))
    with pytest.raises(UserError, match="have 4 channels"):
        features_of(deep, "inception")


class FourChannels:
    shape = (20, 4, 16, 16)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        return np.zeros((len(indices), *self.shape[1:]), np.uint8)


# --- generators of a known fault ------------------------------------------------------------------


def test_each_fault_is_told_by_the_measures_that_are_made_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        comparison, "over_subsets", partial(over_subsets, number=2)
    )  # not asked for
    told = table(built_in(DIGITS.model_copy(update={"validation_fraction": 0.2})), 400)["told_by"]
    assert told["perfect"] == []
    assert {"copying", "authenticity"} <= set(told["memoriser"])
    assert {"fid", "kid", "precision", "coverage"}.isdisjoint(told["memoriser"])
    assert {"copying", "authenticity"} <= set(told["noisy_memoriser"])
    assert told["half_memoriser"] == ["copying", "authenticity"]
    assert told["half_of_the_labels"] == ["fid", "kid", "recall", "coverage"]
    assert {"fid", "kid", "recall", "coverage"} <= set(told["collapsed"])
    assert {"fid", "kid", "recall", "coverage"} <= set(told["blurry"])
    assert {"precision", "density", "coverage"} <= set(told["noisy"])


# --- runs -----------------------------------------------------------------------------------------


def test_the_command_compares_every_source_and_keeps_it(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept_quality(tiny_run) == () and tradeoffs([tiny_run]) == ()
    asked = ("evaluate", "tiny", "--quality", "--json")
    done = vae_core(*asked)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "elbo" in told
    found = told["quality"]
    assert set(found["of"]) == {TRAINING, RECONSTRUCTIONS, "model", "gaussian-mixture"}
    assert found["features"]["name"] == "classifier" and found["level"] == 0.95
    images = found["images"]
    for name, figures in found["of"].items():
        assert figures["pictures"] == images
        assert figures["kid"]["low"] <= figures["kid"]["value"] <= figures["kid"]["high"]
        assert (figures["copying"] is None) == (name in (TRAINING, RECONSTRUCTIONS))
    kid = {name: figures["kid"]["value"] for name, figures in found["of"].items()}
    assert kid[TRAINING] < kid["model"]

    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("it is known")

    with monkeypatch.context() as patch:
        patch.setattr(quality, "compare", never)
        assert json.loads(vae_core(*asked).stdout)["quality"] == found
    kept = {each.of: each.figures.model_dump() for each in kept_quality(tiny_run)}
    assert kept == found["of"]
    (point,) = tradeoffs([tiny_run])
    assert point.run == "tiny" and point.features == found["features"]["digest"]
    assert point.rate == tiny_run.summary()["kl"] and point.mse == tiny_run.summary()["mse"]


def test_figures_of_other_weights_are_not_counted(tiny_run: Run) -> None:
    measure_quality(tiny_run, priors=["model"])
    assert {each.of for each in kept_quality(tiny_run)} == {TRAINING, RECONSTRUCTIONS, "model"}
    file = tiny_run.file(layout.WEIGHTS)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert kept_quality(tiny_run) == ()


def test_few_images_have_no_fid_and_that_is_said(tiny_run: Run) -> None:
    found = {
        each.of: each for each in measure_quality(tiny_run, samples=20, priors=["model"]).measured
    }
    assert found["model"].figures.pictures == 20 and found["model"].figures.fid is None
    assert any(
        "covariances of 64 features need more than 64 images" in note
        for note in found["model"].notes
    )


def test_chances_of_white_beside_black_and_white_are_told(tmp_path: Path) -> None:
    run = trained(tmp_path, data={"binarise": "dynamic"})
    found = measure_quality(run, priors=["model"], features="random", samples=20).measured
    told = {each.of for each in found if any("chances of white" in note for note in each.notes)}
    assert told == {RECONSTRUCTIONS, "model"}


def test_other_priors_and_pictures_that_are_no_numbers_are_refused(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = vae_core("evaluate", "tiny", "--quality", "--prior", "nowhere")
    assert done.returncode == 2 and "There is no prior 'nowhere'" in done.stderr
    done = vae_core("evaluate", "tiny", "--quality", "--prior", "autoregressive")
    assert done.returncode == 2 and "draws codes" in done.stderr
    done = vae_core("evaluate", "tiny", "--samples", "50")
    assert done.returncode == 2 and "--quality" in done.stderr
    model = type(load_run(tiny_run).model)
    decode: Callable[..., torch.Tensor] = model.decode
    monkeypatch.setattr(model, "decode", lambda self, z: decode(self, z).fill_(torch.nan))
    with pytest.raises(UserError, match=r"pictures of run 'tiny' are no numbers"):
        measure_quality(tiny_run, priors=["model"])


def test_pictures_of_one_colour_have_figures_and_are_said_to_be_one(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = type(load_run(tiny_run).model)
    decode: Callable[..., torch.Tensor] = model.decode
    monkeypatch.setattr(model, "decode", lambda self, z: torch.zeros_like(decode(self, z)))
    found = measure_quality(tiny_run, priors=["model"]).measured[-1]
    assert found.figures.distinct == 1
    assert any("samples of the prior 'model' show the same" in note for note in found.notes)


def test_a_conditional_model_is_told_labels_as_often_as_images_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(tmp_path, family="conditional-vae")
    model, told = type(load_run(run).model), []
    conditioned = model.conditioned

    def noting(self: Any, labels: torch.Tensor | None) -> Any:
        told.append(labels)
        return conditioned(self, labels)

    monkeypatch.setattr(model, "conditioned", noting)
    measure_quality(run, samples=30, priors=["model"])
    assert len(told[-1]) == 30 and len(told[-1].unique()) > 3


def test_priors_over_codes_are_measured_where_they_are_learned(tmp_path: Path) -> None:
    run = trained(tmp_path, family="vq-vae", model={"latent_dim": 4})
    compared = measure_quality(run)
    found = {each.of for each in compared.measured}
    assert "autoregressive" not in found and "code-frequencies" in found
    assert any("prior 'autoregressive'" in note for note in compared.notes)
    assert vae_core("prior", run.id, "--epochs", "1", "--store", str(tmp_path)).returncode == 0
    again = measure_quality(run)
    assert "autoregressive" in {each.of for each in again.measured} and again.notes == ()
    assert {each.of for each in kept_quality(run)} == {each.of for each in again.measured}


def test_it_works_in_a_process_beside_and_can_be_stopped(tiny_run: Run) -> None:
    heard: list[str] = []
    in_process(
        ["evaluate", "tiny", "--quality", "--prior", "model"], tiny_run,
        lambda message, share: heard.append(message),
    )  # fmt: skip
    assert {each.of for each in kept_quality(tiny_run)} >= {"model", RECONSTRUCTIONS}
    assert any("samples of the prior 'model'" in message for message in heard)

    def stop(message: str, share: float | None) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        measure_quality(tiny_run, samples=40, priors=["model"], progress=stop)
