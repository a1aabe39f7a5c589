"""Sprites: what the factors say is what the pixels show."""

from __future__ import annotations

import numpy as np
import pytest

from vae_core.config import DataConfig
from vae_core.data import load_dataset
from vae_core.data.sets.sprites import COUNT, GRID, SHAPES, SIZES, SpriteImages, factors_of
from vae_core.errors import UserError


def draw(size: int = 64, **factors: object) -> np.ndarray:
    """Sprites [B, H, W] as shares of white; each factor a number or a list of B."""
    place = {"shape": 0, "scale": 3, "orientation": 0, "x": 16, "y": 16, **factors}
    columns = np.broadcast_arrays(*(np.array(value) for value in place.values()))
    indices = np.ravel_multi_index([np.atleast_1d(column) for column in columns], GRID)
    return SpriteImages(size).gather(indices)[:, 0] / 255


def centroids(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres of mass (x, y) in pixels, the first pixel's centre at 0.5."""
    ticks = np.arange(images.shape[-1]) + 0.5
    mass = images.sum(axis=(1, 2))
    return (images.sum(axis=1) @ ticks) / mass, (images.sum(axis=2) @ ticks) / mass


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_the_centre_of_mass_moves_with_x_and_y(size: int, shape: int) -> None:
    places = np.arange(32)
    expected = (16.5 + places) * size / 64
    for orientation in (0, 7, 33):
        images = draw(size, shape=shape, orientation=orientation, x=places, y=places[::-1])
        x, y = centroids(images)
        assert np.allclose(x, expected, atol=0.15 * size / 64)
        assert np.allclose(y, expected[::-1], atol=0.15 * size / 64)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_the_area_grows_with_the_square_of_scale_and_with_nothing_else(
    size: int, shape: int
) -> None:
    radius = 15.5 / 64 * size * np.linspace(0.5, 1, 6)
    share = {0: 2.0, 1: np.pi * 0.55, 2: 2.165}[shape]  # areas within the unit circle
    area = draw(size, shape=shape, scale=np.arange(6)).sum(axis=(1, 2))
    assert np.allclose(area, share * radius**2, rtol=0.03)
    turned = draw(size, shape=shape, orientation=np.arange(40), x=4, y=np.arange(40) % 32)
    area = turned.sum(axis=(1, 2))
    assert np.ptp(area) / area.mean() < 0.05


def test_symmetries_under_turning() -> None:
    steps = np.arange(40)
    turned = {shape: draw(shape=i, orientation=steps) for i, shape in enumerate(SHAPES)}

    def gap(shape: str, by: int) -> float:
        return float(abs(turned[shape] - np.roll(turned[shape], -by, axis=0)).max())

    assert gap("square", 10) < 0.1  # a quarter turn; rounding moves single probes at the edge
    assert gap("ellipse", 20) < 0.1
    for shape, by in (("square", 5), ("ellipse", 10), ("heart", 10), ("heart", 20)):
        assert gap(shape, by) == 1
    for images in turned.values():  # no two of the 40 orientations show the same by mistake
        assert abs(images - np.roll(images, 1, axis=0)).sum(axis=(1, 2)).min() > 3


def test_an_orientation_turns_the_picture_by_its_angle() -> None:
    ellipses = draw(shape=1, scale=5, orientation=np.arange(20))
    ticks = np.arange(64) + 0.5
    x, y = centroids(ellipses)
    dx, dy = ticks - x[:, None], ticks - y[:, None]
    xx = np.einsum("bhw,bw->b", ellipses, dx**2)
    yy = np.einsum("bhw,bh->b", ellipses, dy**2)
    xy = np.einsum("bhw,bh,bw->b", ellipses, dy, dx)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) % np.pi
    assert np.allclose(np.unwrap(angle, period=np.pi), np.pi * np.arange(20) / 20, atol=0.02)


def test_sprites_stay_inside_with_soft_edges() -> None:
    rng = np.random.default_rng(0)
    for size in SIZES:
        images = SpriteImages(size).gather(rng.integers(0, COUNT, 2000))[:, 0]
        assert images.dtype == np.uint8 and images.max() == 255
        soft = ((images > 0) & (images < 255)).any(axis=(1, 2))
        assert soft.mean() > 0.9
        # Nothing is cut off: the largest has all its mass in each corner. (Places two apart are
        # whole pixels apart at every size.)
        for shape in range(len(SHAPES)):
            for x, y in ((0, 0), (0, 31), (31, 0), (31, 31)):
                turns = np.arange(40)
                corner = draw(size, shape=shape, scale=5, orientation=turns, x=x, y=y)
                inside = draw(
                    size, shape=shape, scale=5, orientation=turns, x=14 + x % 2, y=14 + y % 2
                )
                assert np.allclose(corner.sum(axis=(1, 2)), inside.sum(axis=(1, 2)))


def test_gather_is_indexing_and_index_order_is_that_of_dsprites() -> None:
    rng = np.random.default_rng(1)
    indices = rng.integers(0, COUNT, 50)
    images = SpriteImages(32, 3)
    batch = images.gather(indices)
    assert batch.shape == (50, 3, 32, 32) and batch.flags.writeable
    assert (batch == np.concatenate([images.gather(indices[i : i + 1]) for i in range(50)])).all()
    assert images.gather(np.zeros(0, np.int64)).shape == (0, 3, 32, 32)
    assert COUNT == 737_280
    assert factors_of(np.array([0, 1, 32, 1024, 40_960, 245_760])).tolist() == [
        [0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0],
        [1, 0, 0, 0, 0],
    ]  # fmt: skip
    with pytest.raises(ValueError, match="out of bounds"):
        images.gather(np.array([COUNT]))


def test_the_whole_grid_is_a_data_set_with_factors() -> None:
    dataset = load_dataset(DataConfig(dataset="sprites"))
    assert dataset.image_shape == (1, 64, 64)
    assert (len(dataset.train), len(dataset.validation)) == (700_416, 36_864)
    assert dataset.label_names == SHAPES
    assert dataset.factor_names == ("shape", "scale", "orientation", "x", "y")
    train = dataset.train
    assert train.factors is not None and train.labels is not None
    assert train.factors.shape == (700_416, 5) and (train.factors[:, 0] == train.labels).all()
    some = np.array([5, 400_000, 700_415])
    drawn = draw(**dict(zip(dataset.factor_names, train.factors[some].T, strict=True)))
    assert (train.images.gather(some)[:, 0] == np.rint(drawn * 255)).all()


@pytest.mark.parametrize(("limit", "fraction"), [(2, 0.05), (1000, 0.05), (999, 0), (50, 0.9)])
def test_a_limit_draws_evenly_and_keeps_the_share_held_out(limit: int, fraction: float) -> None:
    config = DataConfig(dataset="sprites", limit=limit, validation_fraction=fraction, image_size=32)
    dataset = load_dataset(config)
    assert len(dataset.train) == limit
    share = fraction or 0.05
    assert len(dataset.validation) == pytest.approx(limit * share / (1 - share), 0.05, 3)
    first, again = dataset.train.factors, load_dataset(config).train.factors
    assert first is not None and again is not None and (first == again).all()
    if limit >= 999:
        for factor, count in enumerate(GRID):
            assert len(np.unique(first[:, factor])) == count


def test_a_size_that_cannot_be_drawn() -> None:
    with pytest.raises(UserError, match="drawn at 32, 64 or 128 px, not at 48×48 px"):
        load_dataset(DataConfig(dataset="sprites", image_size=48))
