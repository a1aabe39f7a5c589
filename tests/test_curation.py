"""Copies, doubtful labels, groups and rare images, planted where it is known where they are."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands import vae_core
from tests.engine import built_in, tiny, trained
from vae_core.curation import curate, keep_list, load_curation, table
from vae_core.data import ArrayImages
from vae_core.errors import UserError
from vae_core.latent.clusters import MOST_FITTED, find_clusters
from vae_core.latent.copies import find_copies
from vae_core.latent.label_errors import label_errors
from vae_core.latent.neighbours import Neighbours, nearest_neighbours
from vae_core.latent.survey import Survey


def _survey(mu: np.ndarray) -> Survey:
    n = len(mu)
    return Survey("train", mu, None, None, None, None, (), (), np.arange(n), 1)


def _blobs(sizes: tuple[int, ...], apart: float = 20.0) -> np.ndarray:
    rng = np.random.default_rng(1)
    blobs = [rng.normal(size=(n, 4)) + apart * i for i, n in enumerate(sizes)]
    return np.concatenate(blobs).astype(np.float32)


def test_groups_are_the_blobs_that_were_drawn_the_largest_first() -> None:
    found = find_clusters(_blobs((60, 200, 90)))
    assert found.sizes.tolist() == pytest.approx([200, 90, 60], abs=8)
    assert np.allclose(found.centers, [[20] * 4, [40] * 4, [0] * 4], atol=0.6)
    typical = found.typical(0, _blobs((60, 200, 90)), 5)
    assert ((typical >= 60) & (typical < 260)).all()


def test_what_was_not_fitted_joins_the_group_that_it_lies_in() -> None:
    n = MOST_FITTED // 2 + 500
    mu = _blobs((n, n))
    mu = np.concatenate([mu, np.full((1, 4), 500, np.float32)])
    order = np.random.default_rng(0).permutation(len(mu))
    found = find_clusters(mu[order])
    of = found.number[np.argsort(order)]
    for blob in (of[:n], of[n : 2 * n]):
        inside = blob[blob >= 0]
        assert len(inside) > 0.8 * n and (inside == inside[0]).all()
    assert of[-1] == -1 and of[0] != of[n]


def test_too_few_images_form_no_groups() -> None:
    with pytest.raises(UserError, match="among 3"):
        find_clusters(np.zeros((3, 2), np.float32))


def test_a_planted_wrong_label_comes_first_with_the_right_one() -> None:
    mu = _blobs((50, 50, 8))
    labels = np.repeat([0, 1, 2], (50, 50, 8))
    labels[7], labels[60] = 1, -1
    found = label_errors(nearest_neighbours(mu, 5), labels)
    assert found.rows[0] == 7 and found.suggested[0] == 0 and found.margin[0] == 1
    assert 60 not in found.rows  # it has none that could be wrong
    assert set(found.rows) == {7} | (set(found.rows) & set(range(50)))  # rare class 2 is sound


def test_without_neighbours_no_label_is_doubted() -> None:
    alone = Neighbours(np.empty((1, 0), np.int64), np.empty((1, 0), np.float32))
    assert len(label_errors(alone, np.array([0])).rows) == 0


def test_copies_are_grouped_by_encoding_and_confirmed_by_pixels() -> None:
    mu = np.linspace(0, 100, 30, dtype=np.float32)[:, None] * np.ones((1, 2), np.float32)
    mu[1], mu[2], mu[4] = mu[0], mu[0] + 0.01, mu[3]
    images = np.random.default_rng(0).integers(0, 256, (30, 1, 8, 8)).astype(np.uint8)
    images[1] = images[0]
    images[2] = np.clip(images[0].astype(int) + 3, 0, 255)  # 4 only looks alike to the encoder
    neighbours = nearest_neighbours(mu, 10)
    found = find_copies(_survey(mu), neighbours, ArrayImages(images))
    assert len(found.kept) == 1 and {found.kept[0], *found.others[0].tolist()} == {0, 1, 2}
    assert found.differences is not None and found.differences[0].max() <= 3
    assert found.superfluous.tolist() == sorted(found.others[0].tolist())
    by_word = find_copies(_survey(mu), neighbours, None)
    assert len(by_word.kept) == 2 and by_word.differences is None


def _collection(folder: Path) -> Path:
    """Digits in folders of their labels, one picture three times, and one in a wrong folder."""
    images = built_in(tiny().data).validation
    assert images.labels is not None
    for label in (0, 1):
        (folder / str(label)).mkdir(parents=True)
        shown = images.images.gather(np.flatnonzero(images.labels == label)[:12])
        for i, image in enumerate(shown):
            Image.fromarray(image[0]).save(folder / str(label) / f"{i}.png")
    for i in (1, 2):
        (folder / "0" / f"copy{i}.png").write_bytes((folder / "0" / "0.png").read_bytes())
    return folder


def test_a_run_is_looked_through_once_and_what_was_found_is_kept(tmp_path: Path) -> None:
    folder = _collection(tmp_path / "own")
    data = {"dataset": "folder", "data_dir": str(folder), "limit": None}
    run = trained(tmp_path / "store", "own", data=data, train={"batch_size": 8})
    made = curate(run, smallest=3)
    rows = table(made)
    groups = [
        set(np.append(made.copies.others[i], kept)) for i, kept in enumerate(made.copies.kept)
    ]
    copies = {row for row, name in enumerate(rows["file"]) if name in
              {"0/0.png", "0/copy1.png", "0/copy2.png"}}  # fmt: skip
    if copies:  # all lie on one side of the split
        assert len(copies) == 3 and copies in groups
        assert len(copies & set(made.copies.superfluous.tolist())) == 2
    assert len(list(keep_list(made))) == len(made.survey) - len(made.copies.superfluous)
    again = load_curation(run, made.survey, 3)
    assert again is not None and table(again) == rows
    assert load_curation(run, made.survey, 4) is None


def test_the_command_writes_a_table_and_a_list_to_keep(tmp_path: Path) -> None:
    trained(tmp_path / "store", "tiny")
    store = ("--store", str(tmp_path / "store"))
    done = vae_core("curate", "tiny", "--out", str(tmp_path / "out"), *store)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out" / "curation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    told = json.loads(vae_core("curate", "tiny", "--json", *store).stdout)
    kept = (tmp_path / "out" / "keep.txt").read_text(encoding="utf-8").splitlines()
    assert len(rows) == told["images"] and len(kept) == told["images"] - told["copies"]
    assert sum(bool(row["copy_of"]) for row in rows) == told["copies"]
    assert sum(bool(row["suggested_label"]) for row in rows) == told["doubtful_labels"]
    assert sum(row["group"] == "" for row in rows) == told["in_no_group"]
    kept_ones = vae_core("curate", "tiny", "--split", "cached", "--json", *store)
    assert kept_ones.returncode == 0, kept_ones.stderr
    (tmp_path / "file").write_text("")
    refused = vae_core("curate", "tiny", "--out", str(tmp_path / "file" / "x"), *store)
    assert refused.returncode == 2 and "cannot be written" in refused.stderr
