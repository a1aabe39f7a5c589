"""Directions, encodings, grids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from tests.engine import tiny, trained
from vae_core.errors import UserError
from vae_core.imaging.png import from_png, tile, to_bytes, to_png, untile
from vae_core.latent.directions import (
    latent_axes,
    load_directions,
    principal_directions,
    prior_axes,
)
from vae_core.latent.encodings import load_encodings
from vae_core.latent.grids import decode_vectors, plane_vectors
from vae_core.loading import load_run
from vae_core.locations import SHIPPED
from vae_core.runs import Store
from vae_core.runs.derived import derived_folder
from vae_core.training.worker import work


def correlated(n: int = 500) -> np.ndarray:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 6)) * np.array([5, 3, 2, 1, 0.5, 0.1])[:, None]
    return (rng.normal(size=(n, 6)) @ mixing + 7).astype(np.float32)


@pytest.mark.parametrize("n", [500, 4])
def test_principal_directions(n: int) -> None:
    mu = correlated(n)
    found = principal_directions(mu)
    k = min(n, 6)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(k), atol=1e-5)
    assert (np.diff(found.deviations) <= 1e-5).all()
    assert found.explained.sum() == pytest.approx(1.0, abs=1e-5)
    along = (mu - found.center) @ found.vectors.T
    np.testing.assert_allclose(along.std(0, ddof=1), found.deviations, rtol=1e-3, atol=1e-4)
    pca = PCA(svd_solver="full").fit(mu.astype(np.float64))
    np.testing.assert_allclose(found.explained, pca.explained_variance_ratio_, atol=1e-5)
    overlap = np.abs(np.einsum("kd,kd->k", found.vectors, pca.components_))
    np.testing.assert_allclose(overlap[: k - (n < 6)], 1, atol=1e-4)  # of 4 centred rows, 3 count


def test_of_thousands_of_dimensions_the_first_directions_are_found() -> None:
    random = np.random.default_rng(0)
    mu = random.normal(size=(1100, 1050)) / np.sqrt(np.arange(1, 1051))
    found = principal_directions(mu)
    pca = PCA(8, svd_solver="covariance_eigh").fit(mu)
    assert found.vectors.shape == (64, 1050)
    np.testing.assert_allclose(found.explained[:8], pca.explained_variance_ratio_, rtol=1e-3)
    overlap = np.abs(np.einsum("kd,kd->k", found.vectors[:8], pca.components_))
    np.testing.assert_allclose(overlap, 1, atol=0.02)
    assert latent_axes(mu).vectors.shape == (64, 1050)


def test_signs_of_principal_directions_are_stable() -> None:
    mu = correlated()
    np.testing.assert_allclose(
        principal_directions(mu).vectors, principal_directions(mu[::-1]).vectors, atol=1e-4
    )


def test_a_latent_that_never_moves_has_finite_directions() -> None:
    found = principal_directions(np.zeros((50, 3), np.float32))
    assert np.isfinite(found.vectors).all() and (found.deviations == 0).all()
    assert np.isfinite(found.explained).all()


def test_latent_axes_are_sorted_by_spread() -> None:
    mu = np.random.default_rng(0).normal(size=(100, 3)) * [0.1, 5.0, 1.0]
    found = latent_axes(mu.astype(np.float32))
    assert found.vectors.argmax(1).tolist() == [1, 2, 0]
    assert latent_axes(mu, np.array([2, 0, 1])).vectors.argmax(1).tolist() == [2, 0, 1]
    assert prior_axes(4).deviations.tolist() == [1.0] * 4


@given(n=st.integers(1, 30), columns=st.integers(1, 8), channels=st.sampled_from([1, 3]))
def test_tiles_come_apart_again(n: int, columns: int, channels: int) -> None:
    rng = np.random.default_rng(n)
    images = rng.integers(0, 256, (n, channels, 5, 7), dtype=np.uint8)
    again = from_png(to_png(tile(images, columns)), channels)
    np.testing.assert_array_equal(untile(again, 5, 7, n), images)


@pytest.mark.parametrize("run", ["mnist-vae", "sprites-vae"])
def test_pictures_are_packed_quickly_and_hardly_larger(run: str) -> None:
    atlas = from_png((SHIPPED / run / "thumbnails.png").read_bytes(), 1)
    quick, smallest = to_png(atlas), to_png(atlas, smallest=True)
    assert len(quick) < 1.25 * len(smallest)
    np.testing.assert_array_equal(from_png(quick, 1), from_png(smallest, 1))


def test_bytes_are_rounded_and_clamped() -> None:
    pixels = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0])
    assert to_bytes(pixels).tolist() == [0, 0, 128, 255, 255]


def test_encodings_are_kept_in_the_run(tmp_path: Path) -> None:
    run = trained(tmp_path)
    kept = load_encodings(run)
    assert kept.mu.shape == (300, 4) and kept.logvar is not None
    assert kept.logvar.shape == kept.mu.shape and kept.step == 10
    assert kept.labels is not None and set(kept.labels) <= set(range(10))
    assert kept.label_names == tuple("0123456789")
    # The thumbnails are the very images: encoding one again leads to the same place.
    model = load_run(run).model
    x = torch.from_numpy(kept.thumbnails[:5]).float() / 255
    with torch.inference_mode():
        mu = model.encode(x).mode().numpy()
    np.testing.assert_allclose(mu, kept.mu[:5], atol=1e-4)


def test_missing_and_damaged_encodings_are_told(tmp_path: Path) -> None:
    run = trained(tmp_path)
    run.file("encodings.safetensors").write_bytes(b"not what it was")
    with pytest.raises(UserError, match="damaged"):
        load_encodings(run)
    run.file("encodings.safetensors").unlink()
    with pytest.raises(UserError, match="no encodings yet"):
        load_encodings(run)


def test_a_grid_equals_decoding_by_hand(tmp_path: Path) -> None:
    model = load_run(trained(tmp_path)).model
    center, first, second = np.eye(4, dtype=np.float32)[:3]
    values = np.linspace(-2, 2, 3).astype(np.float32)
    vectors = plane_vectors(center, first, second, values)
    grid = decode_vectors(model, vectors.reshape(9, -1)).reshape(3, 3, *model.image_shape)
    assert grid.shape == (3, 3, 1, 16, 16)
    for row, b in enumerate(reversed(values)):
        for column, a in enumerate(values):
            by_hand = decode_vectors(model, (center + a * first + b * second)[None])[0]
            np.testing.assert_allclose(grid[row, column].astype(int), by_hand.astype(int), atol=1)


def test_directions_are_kept_with_their_checkpoint(tmp_path: Path) -> None:
    run = Store(tmp_path).create("tiny", tiny())
    work(run)
    kept = load_directions(run, step=10)
    assert kept is not None
    fitted = principal_directions(load_encodings(run).mu)
    np.testing.assert_allclose(kept.vectors, fitted.vectors, atol=1e-6)
    assert load_directions(run, step=11) is None
    derived_folder(run).file("directions.safetensors").write_bytes(b"\0")
    assert load_directions(run, step=10) is None
