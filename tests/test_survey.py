"""Whole parts of a data set, encoded: the numbers, the cache, and what it depends on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine import tiny, trained
from tests.surveys import constructed
from vae_core.analysis import CACHED, map_of, survey_of
from vae_core.child import in_process
from vae_core.data import ImageSet, load_dataset
from vae_core.errors import UserError
from vae_core.families import build
from vae_core.latent import survey as surveys
from vae_core.latent.encodings import load_encodings
from vae_core.latent.survey import finite, load_survey, save_survey, survey, surveyed_hashes
from vae_core.loading import load_part, load_run, weights_step
from vae_core.losses import gaussian_kl
from vae_core.metrics import measure
from vae_core.run_data import data_card
from vae_core.runs import Run
from vae_core.runs.derived import derived_folder
from vae_core.types import Context


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("survey"), "tiny")


def test_a_survey_is_what_the_model_makes_of_each_image(run: Run) -> None:
    found = survey_of(run, "validation")
    loaded = load_run(run)
    part = load_dataset(loaded.config.data).validation
    assert len(found) == len(part) and found.step == weights_step(run) == 10
    x = torch.from_numpy(part.images.gather(np.arange(len(part)))).float() / 255
    with torch.inference_mode():
        posterior = loaded.model.encode(x)
        kl = gaussian_kl(posterior.mu, posterior.logvar).sum(1)
        # The mean over draws of z of −log p(x|z), to which one draw an image comes close.
        draws = [
            loaded.model.likelihood.nll(loaded.model.decode(posterior.sample()), x).mean()
            for _ in range(20)
        ]
    np.testing.assert_allclose(found.mu, posterior.mu, atol=1e-4)
    np.testing.assert_allclose(found.logvar, posterior.logvar, atol=1e-4)
    np.testing.assert_allclose(found.kl, kl, rtol=1e-3)
    assert found.recon.mean() == pytest.approx(float(np.mean(draws)), rel=0.02)
    np.testing.assert_allclose(found.elbo, -(found.recon + found.kl))
    np.testing.assert_array_equal(found.labels, part.labels)
    assert found.label_names == tuple("0123456789")


def test_batches_bound_memory_and_change_nothing_but_the_draws(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images are gathered a few at a time, however many there are."""
    whole = survey_of(run, "train")
    taken: list[int] = []
    _, part = load_part(run, "train")

    class Counting:
        shape = part.images.shape

        def gather(self, indices: np.ndarray) -> np.ndarray:
            taken.append(len(indices))
            return part.images.gather(indices)

    shares: list[float] = []
    monkeypatch.setattr(surveys, "BATCH", 16)
    loaded = load_run(run)
    found = survey(
        loaded.model,
        loaded.objective,
        ImageSet(Counting(), part.labels),
        (),
        "train",
        Context(10),
        lambda message, share: shares.append(share),
    )
    assert max(taken) == 16 and sum(taken) == len(part)
    np.testing.assert_allclose(found.mu, whole.mu, atol=1e-4)
    np.testing.assert_allclose(found.kl, whole.kl, rtol=1e-3)
    assert shares == sorted(shares) and shares[-1] == 1.0


@pytest.mark.parametrize("family", ["autoencoder", "hierarchical", "vamp", "vq-vae", "iwae"])
def test_surveys_of_other_families_agree_with_what_is_measured_of_them(
    family: str, tmp_path: Path
) -> None:
    """Recon and KL come from one draw for each image, so that only their noise differs."""
    config = tiny(family=family)
    dataset = load_dataset(config.data)
    torch.manual_seed(0)
    model, objective = build(config, data_card(dataset))
    found = survey(model, objective, dataset.validation, (), "validation", Context(0))
    measured = measure(model, objective, dataset.validation, Context(0)).terms
    assert found.recon.mean() == pytest.approx(measured["recon"], rel=0.02)
    assert (found.kl is None) == ("kl" not in measured)
    if found.kl is not None:
        assert found.kl.mean() == pytest.approx(measured["kl"], rel=0.1, abs=0.05)
    x = torch.from_numpy(dataset.validation.images.gather(np.arange(5))).float() / 255
    with torch.inference_mode():
        modes = model.eval().flatten(model.encode(x).mode())
    np.testing.assert_allclose(found.mu[:5], modes, atol=1e-4)


def test_a_survey_is_made_once_for_each_checkpoint(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = survey_of(run, "validation")
    monkeypatch.setattr("vae_core.analysis.survey", None)  # would fail if it were made again
    again = survey_of(run, "validation")
    for name in ("mu", "logvar", "recon", "kl", "labels", "indices"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    assert again.label_names == first.label_names
    monkeypatch.setattr("vae_core.analysis.weights_step", lambda run: 11)
    with pytest.raises(TypeError):
        survey_of(run, "validation")


def test_names_of_files_come_back_whatever_they_are(tmp_path: Path) -> None:
    files = ("a b/ü.png", "tab\there\nand line.png", b"\xff.png".decode("utf-8", "surrogateescape"))
    hashes = np.array([2**64 - 1, 7, 9], np.uint64)
    kept = constructed(
        np.ones((3, 2)), files=files, labels=np.array([0, 1, 1]), hashes=hashes, note="One is gone."
    )
    save_survey(Run(tmp_path), kept, "/data/here")
    again = load_survey(Run(tmp_path), "train", 10)
    assert again is not None and again.files == files and again.label_names == ()
    assert again.note == kept.note and again.hashes is not None
    assert again.hashes.tolist() == hashes.tolist()
    assert surveyed_hashes(Run(tmp_path), "train").tolist() == hashes.tolist()
    assert surveyed_hashes(Run(tmp_path), "test") is None
    assert again.logvar is None and again.recon is None and again.elbo is None
    assert load_survey(Run(tmp_path), "train", 10, "/data/there") is None
    assert load_survey(Run(tmp_path), "train", 10, "/data/here") is not None
    assert load_survey(Run(tmp_path), "train", 11) is None
    derived_folder(Run(tmp_path)).file("encodings-train.safetensors").write_bytes(b"\0\0")
    assert load_survey(Run(tmp_path), "train", 10) is None


def test_rows_of_a_survey_keep_what_is_known_of_each() -> None:
    whole = constructed(
        np.arange(8.0).reshape(4, 2),
        recon=np.arange(4.0),
        labels=np.array([3, 1, 0, 2]),
        files=("a", "b", "c", "d"),
    )
    part = whole.rows(np.array([2, 0]))
    assert part.files == ("c", "a") and part.labels.tolist() == [0, 3]
    assert part.indices.tolist() == [2, 0] and part.recon.tolist() == [2, 0]
    assert part.mu.tolist() == [[4, 5], [0, 1]] and part.kl is None


def test_the_cached_encodings_are_a_survey_without_images(run: Run) -> None:
    found, kept = survey_of(run, CACHED), load_encodings(run)
    np.testing.assert_array_equal(found.mu, kept.mu)
    expected = 0.5 * (kept.mu**2 + np.exp(kept.logvar) - kept.logvar - 1).sum(1)
    np.testing.assert_allclose(found.kl, expected, rtol=1e-4)
    assert found.recon is None and found.elbo is None


def test_wrong_words_and_missing_images_are_told(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no split 'training'"):
        survey_of(run, "training")
    with pytest.raises(UserError, match="has no test images"):
        survey_of(run, "test")
    with pytest.raises(UserError, match="no weights yet"):
        survey_of(Run(tmp_path), "train")


def test_values_that_are_no_numbers_are_told() -> None:
    mu = np.ones((5, 2), np.float32)
    assert finite(mu, "encoding") is mu
    mu[1, 0], mu[3] = np.nan, np.inf
    with pytest.raises(UserError, match="2 of 5 images have no finite encoding"):
        finite(mu, "encoding")


def test_another_process_encodes_and_maps_and_tells_how_far_it_is(run: Run) -> None:
    told: list[tuple[str, float | None]] = []
    derived_folder(run).file("encodings-train.safetensors").unlink(missing_ok=True)
    command = ["encode", run.id, "--split", "train", "--map", "pca", "--dimensions", "3"]
    in_process(command, run, lambda *said: told.append(said))
    assert ("Encoding the train images", 1.0) in told
    drawn = map_of(run, "train", "pca", 3)
    assert drawn.points.shape == (300, 3)
    assert derived_folder(run).has("map-train-pca-3d.safetensors")
    with pytest.raises(UserError, match="There is no map 'tsna'"):
        in_process(["encode", run.id, "--split", "train", "--map", "tsna"], run)


@pytest.mark.parametrize(
    ("family", "known"),
    [("vae", True), ("dip-vae", True), ("vamp", False), ("full-covariance", False),
     ("wae", False), ("autoencoder", False)],
)  # fmt: skip
def test_kept_encodings_have_a_kl_where_means_and_widths_tell_it(
    tmp_path: Path, family: str, known: bool
) -> None:
    """Of a learned prior, or of dimensions that vary together, N(0, I)'s formula says another."""
    run = trained(tmp_path, "kept", family=family, train={"epochs": 1})
    assert (survey_of(run, CACHED).kl is not None) is known
