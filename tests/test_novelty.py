"""Novelty scores against closed forms, and the command that takes new images through a model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.commands import vae_core
from tests.engine import built_in, tiny, trained
from vae_core.data import ArrayImages
from vae_core.errors import UserError
from vae_core.latent.encodings import load_encodings
from vae_core.latent.novelty import (
    PixelModel,
    Reference,
    examine,
    novelties,
    scores,
    tail_shares,
    threshold,
)
from vae_core.latent.search import NearestEncodings
from vae_core.latent.survey import Survey
from vae_core.runs import WEIGHTS
from vae_core.score_images import load_scored, save_scored, score_part, told_at_once

RNG = np.random.default_rng(0)


def _survey(mu: np.ndarray, hashes: np.ndarray | None = None, **nats: np.ndarray) -> Survey:
    n = len(mu)
    values = {"recon": None, "kl": None} | nats
    return Survey(
        "train", mu.astype(np.float32), None, values["recon"], values["kl"], None, (), (),
        np.arange(n), 1, hashes,
    )  # fmt: skip


@pytest.mark.parametrize("dimensions", [1, 7, 60])
def test_search_finds_what_comparing_all_finds(dimensions: int) -> None:
    # Far from the origin, where |a|² − 2ab + |b|² alone would lose the difference.
    points = (1e4 + RNG.normal(size=(500, dimensions))).astype(np.float32)
    queries = (1e4 + RNG.normal(size=(40, dimensions))).astype(np.float32)
    places, distances = NearestEncodings(points).nearest(queries, 5)
    every = np.linalg.norm(queries[:, None].astype(np.float64) - points[None], axis=2)
    assert np.allclose(distances, np.sort(every, axis=1)[:, :5], rtol=1e-5)
    assert np.allclose(np.take_along_axis(every, places, axis=1), distances, rtol=1e-5)


def test_k_yields_to_the_number_of_encodings() -> None:
    places, distances = NearestEncodings(np.zeros((3, 2), np.float32)).nearest(np.ones((1, 2)), 9)
    assert places.shape == distances.shape == (1, 3)


def test_mahalanobis_is_the_distance_in_the_covariance_that_was_drawn_from() -> None:
    spread = np.array([[2.0, 0.0], [1.5, 0.5]])
    mu = RNG.normal(size=(40_000, 2)) @ spread.T + [3, -1]
    new = np.array([[3.0, -1.0], [5.0, 0.5], [3.0, 1.0]])
    examined = examine(_survey(new), None, Reference(_survey(mu), None))
    shift = new - [3, -1]
    expected = np.sqrt(np.einsum("nd,de,ne->n", shift, np.linalg.inv(spread @ spread.T), shift))
    assert np.allclose(scores(examined)["mahalanobis"], expected, atol=0.05)


def test_many_dimensions_keep_the_distance_finite_and_larger_outside() -> None:
    mu = RNG.normal(size=(200, 900))
    new = np.stack([np.zeros(900), np.full(900, 3.0)])
    found = scores(examine(_survey(new), None, Reference(_survey(mu), None)))["mahalanobis"]
    assert np.isfinite(found).all() and found[1] > 10 * found[0]


@pytest.mark.parametrize("density", [True, False])
def test_the_pixel_model_is_the_density_it_says(density: bool) -> None:
    images = RNG.integers(0, 256, (300, 1, 3, 3)).astype(np.uint8)
    model = PixelModel.fit(ArrayImages(images), density)
    x = images.reshape(300, -1) / 255.0
    assert np.allclose(model.mean, x.mean(0)) and np.allclose(model.variance, x.var(0))
    mean, pixels = torch.from_numpy(x.mean(0)), torch.from_numpy(x[:7])
    if density:
        normal = torch.distributions.Normal(mean, torch.from_numpy(x.std(0)))
        expected = -normal.log_prob(pixels).sum(1)
    else:
        expected = torch.nn.functional.binary_cross_entropy(
            mean.expand(7, -1), pixels, reduction="none"
        ).sum(1)
    assert np.allclose(model.nll(x[:7]), expected.numpy())


def test_p_values_count_the_image_itself() -> None:
    normal = np.array([1.0, 2.0, 3.0, 4.0])
    assert tail_shares(np.array([0.0, 2.0, 4.5]), normal).tolist() == [1.0, 0.8, 0.2]


def test_of_normal_images_no_more_are_flagged_than_was_asked() -> None:
    normal, new = RNG.normal(size=2000), RNG.normal(size=20_000)
    shares = tail_shares(new, normal)
    for alpha in (0.01, 0.05, 0.2):
        assert (shares <= alpha).mean() < 1.3 * alpha
        assert (normal > threshold(normal, alpha)).mean() <= alpha


def test_an_image_is_not_its_own_neighbour_but_its_copy_is() -> None:
    mu = np.array([[0.0], [0.0], [1.0], [5.0]])
    reference = Reference(_survey(mu, np.array([7, 7, 8, 9], np.uint64)), None)
    found = examine(_survey(mu, np.array([7, 7, 8, 9], np.uint64)), None, reference, k=1)
    assert found.distances[:, 0].tolist() == [0.0, 0.0, 1.0, 4.0]
    new = examine(_survey(np.array([[1.0]]), np.array([3], np.uint64)), None, reference, k=1)
    assert new.distances[0, 0] == 0


def test_every_score_is_higher_for_what_is_strange() -> None:
    images = RNG.integers(100, 130, (60, 1, 8, 8)).astype(np.uint8)
    learned = _survey(RNG.normal(size=(60, 2)))
    reference = Reference(learned, PixelModel.fit(ArrayImages(images), density=True))
    nats = {"recon": np.array([10.0, 90.0]), "kl": np.array([1.0, 9.0])}
    two = np.stack([images[0], np.full((1, 8, 8), 115, np.uint8)])
    new = _survey(np.array([[0.0, 0.0], [9.0, 9.0]]), **nats)
    found = scores(examine(new, ArrayImages(two), reference))
    assert set(found) == {entry.name for entry in novelties}
    assert all(values[1] > values[0] for values in found.values())


def test_a_score_that_is_no_number_is_told_of_none() -> None:
    learned = _survey(RNG.normal(size=(30, 2)))
    new = _survey(np.zeros((2, 2)), recon=np.ones(2), kl=np.array([1.0, np.nan]))
    found = scores(examine(new, None, Reference(learned, None)))
    assert set(found) == {"recon", "knn", "mahalanobis"}
    quick = told_at_once(_survey(RNG.normal(size=(30, 2)), kl=np.full(30, np.nan)))
    assert set(quick.scores) == {"knn"} and (quick.scores["knn"] > 0).all()


def _pictures(folder: Path, labels: dict[str, int]) -> Path:
    """Real digits in folders of their labels, and noise in a folder that no run knows."""
    images = built_in(tiny().data).validation
    assert images.labels is not None
    for name, count in labels.items():
        (folder / name).mkdir(parents=True)
        rows = np.flatnonzero(images.labels == int(name)) if name.isdigit() else np.arange(count)
        shown = images.images.gather(rows[:count])
        if not name.isdigit():
            shown = RNG.integers(0, 256, shown.shape).astype(np.uint8)
        for i, image in enumerate(shown):
            Image.fromarray(image[0]).save(folder / name / f"{i}.png")
    return folder


def test_new_images_are_scored_with_their_names(tmp_path: Path) -> None:
    trained(tmp_path / "store", "tiny")
    folder = _pictures(tmp_path / "new", {"3": 1, "noise": 2})
    out = tmp_path / "scores.csv"
    done = vae_core(
        "score-images", "tiny", str(folder), "--out", str(out), "--store", str(tmp_path / "store")
    )
    assert done.returncode == 0, done.stderr
    with out.open(newline="", encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"3/0.png", "noise/0.png", "noise/1.png"}
    assert {"recon", "kl", "elbo", "knn", "mahalanobis", "nearest", "outlier"} <= set(
        rows["3/0.png"]
    )
    digit, noise = rows["3/0.png"], rows["noise/0.png"]
    assert float(digit["elbo"]) == pytest.approx(
        -float(digit["recon"]) - float(digit["kl"]), rel=1e-5
    )
    assert float(noise["p_recon"]) < 0.05 < float(digit["p_recon"])
    assert digit["nearest"].startswith("training image ")


def test_one_image_suffices_and_labels_tell_which_score_wins(tmp_path: Path) -> None:
    trained(tmp_path / "store", "tiny")
    store = ("--store", str(tmp_path / "store"), "--json")
    folder = _pictures(tmp_path / "new", {"3": 3, "5": 3, "noise": 4})
    one = json.loads(vae_core("score-images", "tiny", str(folder / "3" / "0.png"), *store).stdout)
    assert [row["file"] for row in one["images"]] == ["0.png"] and one["detection"] == {}
    all_of_it = json.loads(vae_core("score-images", "tiny", str(folder), *store).stdout)
    assert all_of_it["detection"]["recon"]["auroc"] == 1
    some = ("--normal", "3", "--by", "recon")
    told = json.loads(vae_core("score-images", "tiny", str(folder), *some, *store).stdout)
    assert told["detection"]["recon"]["auroc"] < 1  # fives count as strange now


def test_a_model_that_is_told_labels_takes_the_one_that_fits(tmp_path: Path) -> None:
    trained(tmp_path / "store", "told", family="conditional-vae")
    store = ("--store", str(tmp_path / "store"), "--json")
    folder = _pictures(tmp_path / "new", {"3": 2})
    one = json.loads(vae_core("score-images", "told", str(folder / "3" / "0.png"), *store).stdout)
    assert any("fits best" in note for note in one["notes"])
    assert one["images"][0]["label"] in {str(digit) for digit in range(10)}
    known = json.loads(vae_core("score-images", "told", str(folder), *store).stdout)
    assert not any("fits best" in note for note in known["notes"])
    assert {row["label"] for row in known["images"]} == {"3"}


def test_without_its_data_a_run_compares_with_the_encodings_it_keeps(tmp_path: Path) -> None:
    folder = _pictures(tmp_path / "own", {"1": 12, "2": 12})
    data = {"dataset": "folder", "data_dir": str(folder), "limit": None}
    trained(tmp_path / "store", "gone", data=data, train={"batch_size": 8})
    new = _pictures(tmp_path / "new", {"3": 2})
    folder.rename(tmp_path / "elsewhere")
    store = ("--store", str(tmp_path / "store"), "--json")
    done = json.loads(vae_core("score-images", "gone", str(new), *store).stdout)
    assert "not at hand" in done["notes"][-1]
    assert done["images"][0]["knn"] >= 0 and "p_knn" not in done["images"][0]
    moved = ("--data-dir", str(tmp_path / "elsewhere"))
    again = json.loads(vae_core("score-images", "gone", str(new), *moved, *store).stdout)
    assert "p_knn" in again["images"][0]
    assert again["images"][0]["nearest"].endswith(".png")


@pytest.mark.parametrize(
    ("place", "sentence"),
    [("nowhere", "no folder or file of images"), ("empty", "no images"), ("text.png", "no images")],
)
def test_what_holds_no_image_is_one_sentence(tmp_path: Path, place: str, sentence: str) -> None:
    trained(tmp_path / "store", "tiny")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no picture")
    done = vae_core(
        "score-images", "tiny", str(tmp_path / place), "--store", str(tmp_path / "store")
    )
    assert done.returncode == 2 and sentence in done.stderr
    assert len(done.stderr.strip().splitlines()[-1]) < 400


def test_a_part_of_the_run_s_own_is_scored_kept_and_read_back(tmp_path: Path) -> None:
    run = trained(tmp_path / "store", "tiny")
    store = ("--store", str(tmp_path / "store"))
    out = tmp_path / "scores.csv"
    part = ("--split", "cached", "--keep", "cached", "--out", str(out))
    done = vae_core("score-images", "tiny", *part, *store)
    assert done.returncode == 0, done.stderr
    found, again = load_scored(run, "cached"), score_part(run, "cached")
    assert found is not None and found.notes == again.notes == ()
    assert np.array_equal(found.survey.mu, load_encodings(run).mu)  # row i is thumbnail i
    assert {name: len(values) for name, values in found.normal.items()} == {
        entry.name: 90 for entry in novelties
    }
    for name, values in again.scores.items():
        assert np.allclose(found.scores[name], values, rtol=1e-5), name
        assert np.allclose(found.p_values[name], again.p_values[name])
    assert (found.distances[:, 0] > 0).all()  # nobody is the nearest of itself
    with out.open(newline="", encoding="utf-8") as file:
        assert len([*csv.DictReader(file)]) == 300
    assert load_scored(run, "test") is None


def test_scores_of_other_weights_are_not_taken_for_these(tmp_path: Path) -> None:
    run = trained(tmp_path, "tiny")
    scored = score_part(run, "validation")
    save_scored(run, "validation", scored)
    kept = load_scored(run, "validation")
    assert kept is not None and kept.survey.split == "validation"
    assert kept.survey.name(0) == scored.survey.name(0)
    other = trained(tmp_path, "other", train={"seed": 1})
    run.write_bytes(WEIGHTS, other.read(WEIGHTS))
    assert load_scored(run, "validation") is None
    with pytest.raises(UserError, match="no name"):
        save_scored(run, "../validation", scored)


def test_pictures_or_a_part_and_not_both(tmp_path: Path) -> None:
    trained(tmp_path, "tiny")
    for given in ((), (str(tmp_path), "--split", "train")):
        done = vae_core("score-images", "tiny", *given, "--store", str(tmp_path))
        assert done.returncode == 2 and "one of the two" in done.stderr


def test_an_unknown_score_is_told_before_any_work(tmp_path: Path) -> None:
    done = vae_core("score-images", "none", str(tmp_path), "--by", "luck")
    assert done.returncode == 2 and "mahalanobis" in done.stderr
