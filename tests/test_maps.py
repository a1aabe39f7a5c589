"""Maps of the encodings: what they keep, on small and on odd data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vae_core import extras
from vae_core.errors import UserError
from vae_core.latent.maps import Map, load_map, make_map, maps, save_map
from vae_core.runs import Run
from vae_core.runs.derived import derived_folder

KINDS = sorted(entry.name for entry in maps)


def two_groups(n: int = 40, dimensions: int = 5) -> np.ndarray:
    """n points around −10 and n around 10 in every dimension."""
    noise = np.random.default_rng(0).normal(size=(2 * n, dimensions))
    return (noise + np.repeat([-10, 10], n)[:, None]).astype(np.float32)


@pytest.mark.training  # t-SNE and UMAP learn, and UMAP compiles itself first
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_groups_stay_apart_and_the_seed_decides(kind: str, dimensions: int) -> None:
    mu = two_groups()
    told: list[float | None] = []
    found = make_map(mu, kind, dimensions, 3, lambda message, share: told.append(share)).points
    assert found.shape == (80, dimensions) and found.dtype == np.float32
    one, other = found[:40], found[40:]
    apart = np.linalg.norm(one.mean(0) - other.mean(0))
    assert apart > 2 * max(one.std(0).max(), other.std(0).max())
    np.testing.assert_array_equal(make_map(mu, kind, dimensions, 3).points, found)
    if kind != "pca":
        assert told[0] is None and told[-1] == pytest.approx(1, abs=0.1)


@pytest.mark.training
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(4, 3), (30, 1)])
def test_few_points_and_one_dimension_make_a_map(kind: str, shape: tuple[int, int]) -> None:
    mu = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert np.isfinite(make_map(mu, kind, 2).points).all()


@pytest.mark.training
@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_mapped_is_told(kind: str) -> None:
    with pytest.raises(UserError, match="at least 4 images; there are 3"):
        make_map(np.eye(3, dtype=np.float32), kind)
    with pytest.raises(UserError, match="smaller β"):
        make_map(np.ones((9, 2), np.float32), kind)
    broken = two_groups()
    broken[5, 1] = np.nan
    with pytest.raises(UserError, match="diverged"):
        make_map(broken, kind)
    constant = two_groups()
    constant[:, 1:] = 4.0
    assert np.isfinite(make_map(constant, kind).points).all()


def test_principal_components_are_projections() -> None:
    mu = two_groups()
    found = make_map(mu, "pca", 2).points
    centred = mu - mu.mean(0)
    _, values, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), values[:2], rtol=1e-4)


@pytest.mark.parametrize(("kind", "package"), [("tsne", "openTSNE"), ("umap", "umap-learn")])
def test_a_missing_library_is_named_with_its_command(
    kind: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(UserError, match=rf"pip install .*{package}"):
        make_map(two_groups(), kind)


def test_a_map_is_kept_with_all_that_it_depends_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, mu = Run(tmp_path), two_groups()
    points = np.arange(2 * len(mu), dtype=np.float32).reshape(-1, 2)
    save_map(run, "train", Map("umap", points, 1), mu)
    kept = load_map(run, "train", "umap", 2, 1, mu)
    assert kept is not None
    np.testing.assert_array_equal(kept.points, points)
    other = mu.copy()
    other[0, 0] += 1e-3
    others = [("test", "umap", 2, 1, mu), ("train", "tsne", 2, 1, mu), ("train", "umap", 3, 1, mu),
              ("train", "umap", 2, 0, mu), ("train", "umap", 2, 1, other),
              ("train", "umap", 2, 1, mu[1:])]  # fmt: skip
    assert [load_map(run, *each) for each in others] == [None] * 6
    with monkeypatch.context() as patch:
        patch.setattr("vae_core.latent.maps.NEIGHBOURS", 30)
        assert load_map(run, "train", "umap", 2, 1, mu) is None
    for version, usable in (("9.9", False), ("", True)):
        monkeypatch.setattr("vae_core.latent.maps.installed", lambda package, v=version: v)
        assert (load_map(run, "train", "umap", 2, 1, mu) is not None) == usable
    derived_folder(run).file("map-train-umap-2d.safetensors").write_bytes(b"")
    assert load_map(run, "train", "umap", 2, 1, mu) is None
