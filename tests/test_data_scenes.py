"""Scenes: what the factors say is what the pixels show, lit as it should be."""

from __future__ import annotations

import numpy as np
import pytest

from vae_core.config import DataConfig
from vae_core.data import load_dataset
from vae_core.data.room import (
    FLOOR,
    FLOOR_SOLID,
    FLOOR_WALL,
    LAMP,
    LAYERS,
    SOLID,
    WALL,
    WHITE,
    View,
    offsets,
    shadows,
)
from vae_core.data.sets import scenes
from vae_core.data.sets.scenes import AZIMUTHS, COUNT, FACTORS, GRID, SCALES, SHAPES, SceneImages
from vae_core.data.solids import SOLIDS, unit
from vae_core.errors import UserError
from vae_core.imaging.colour import linear_rgb, srgb

PLAIN = {"floor hue": 2, "wall hue": 6, "object hue": 0, "size": 5, "shape": 1, "azimuth": 4}
SIZE = 32


def draw(**factors: object) -> np.ndarray:
    """Scenes uint8 [B, 3, H, W]; each factor a number or a list of B, "_" for the space in it."""
    place = PLAIN | {name.replace("_", " "): value for name, value in factors.items()}
    columns = np.broadcast_arrays(*(np.atleast_1d(place[name]) for name in FACTORS))
    return SceneImages(SIZE).gather(np.ravel_multi_index(columns, GRID))


def rooms(shape: int, scale: float = 1.0, azimuth: float = 0.0, size: int = SIZE) -> np.ndarray:
    """The light of one room, [LAYERS, size, size]."""
    layers = View(size, np.deg2rad(azimuth)).layers(SOLIDS[shape], scale)
    return layers.reshape(len(LAYERS), size, size)


def test_the_grid_and_its_order() -> None:
    assert COUNT == 480_000 and len(FACTORS) == len(GRID) == 6 and len(SHAPES) == 5
    rng = np.random.default_rng(0)
    indices = rng.integers(0, COUNT, 50)
    images = SceneImages(SIZE)
    batch = images.gather(indices)
    assert batch.shape == (50, 3, SIZE, SIZE) and batch.flags.writeable
    assert (batch == np.concatenate([images.gather(i[None]) for i in indices])).all()
    assert images.gather(np.zeros(0, np.int64)).shape == (0, 3, SIZE, SIZE)
    assert scenes.factors_of(np.array([1, 12, 60, 480, 4800, 48_000])).tolist() == [
        [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0],
        [0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0],
    ]  # fmt: skip
    with pytest.raises(ValueError, match="out of bounds"):
        images.gather(np.array([COUNT]))
    grey = SceneImages(SIZE, 1).gather(indices)
    assert abs(grey[:, 0] - batch.astype(float).mean(1)).mean() < 25 and grey.shape[1] == 1


def test_rendering_again_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    before = scenes.render(SIZE)
    monkeypatch.setattr(scenes, "_rendered", {})
    told: list[float] = []
    again = scenes.render(SIZE, lambda message, share: told.append(share or 0.0))
    assert (before == again).all() and again is scenes.render(SIZE)
    assert told == sorted(told) and len(told) == 60


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_colouring_rendered_light_is_exact(shape: int) -> None:
    """As a renderer does that knows the colours of every ray: within rounding to a grey level."""
    view = View(16, np.deg2rad(AZIMUTHS[4]))
    light = view.layers(SOLIDS[shape], SCALES[5]).astype(np.float64)
    f, w, s = (
        linear_rgb(*scenes._PAINT[name], scenes.HUES)[hue]
        for name, hue in (("floor", 2), ("wall", 6), ("solid", 0))
    )
    summed = np.outer(f, light[FLOOR]) + np.outer(w, light[WALL]) + np.outer(s, light[SOLID])
    summed += np.outer(f * w, light[FLOOR_WALL]) + np.outer(f * s, light[FLOOR_SOLID])
    shown = 255 * srgb(1 - np.exp(-1.3 * (summed + light[WHITE])))
    hues = tuple(np.array([hue]) for hue in (2, 6, 0))
    found = scenes.coloured(scenes.fixed_point(light.astype(np.float32))[None], hues)[0]
    assert abs(found - shown).max() < 1.0


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_nothing_is_jagged(shape: int) -> None:
    """The picture is that of eight times as many rays along each axis."""
    eighths = (np.arange(8) + 0.5) / 8
    many = np.stack(np.meshgrid(eighths, eighths), -1).reshape(-1, 2)
    assert len(np.unique(offsets()[:, 0])) == len(np.unique(offsets()[:, 1])) == len(offsets())
    hues = tuple(np.array([hue]) for hue in (2, 8, 0))
    for azimuth in (-33.0, 9.0):
        fine, ours = (
            scenes.coloured(scenes.fixed_point(view.layers(SOLIDS[shape], 0.9))[None], hues)
            for view in (View(SIZE, np.deg2rad(azimuth), w) for w in (many, None))
        )
        gap = abs(fine.astype(int) - ours)
        assert gap.max() <= 12 and gap.mean() < 0.35


def test_a_hue_changes_its_own_surface_and_what_that_lights() -> None:
    for name, layer in (("floor", FLOOR), ("wall", WALL), ("object", SOLID)):
        images = draw(**{f"{name}_hue": np.arange(10)}).astype(int)
        light = scenes.render(SIZE)[5, 1, 4].reshape(len(LAYERS), SIZE, SIZE) / 2**14
        own, other = light[layer] > 0.3, light[layer] < 0.02
        kinds = [i for i, kind in enumerate(LAYERS) if name.replace("object", "solid") in kind]
        unlit = light[kinds].max(0) < 1e-4
        assert own.mean() > 0.05 and other.mean() > 0.2
        for a in range(9):
            step = abs(images[a + 1] - images[a]).max(0)
            assert step[own].mean() > max(10, 4 * step[other].mean())
            assert step[unlit].max(initial=0) == 0
        assert unlit.mean() > 0.2 or name != "object"
        closest = min(
            abs(images[a] - images[b])[:, own].mean() for a in range(10) for b in range(a)
        )
        assert closest > 4  # violet is not pink again


def test_a_solid_grows_with_its_size_alone_and_stays_in_the_picture() -> None:
    for shape in range(len(SHAPES)):
        covered = [rooms(shape, scale)[SOLID] for scale in SCALES]
        area = np.array([(each > 0.02).sum() for each in covered])
        assert (np.diff(area) > 0).all() and area[-1] > 3 * area[0] * 0.8
        for azimuth in AZIMUTHS[[0, -1]]:
            edge = rooms(shape, SCALES[-1], azimuth)[SOLID]
            assert edge[0].max() == edge[-1].max() == edge[:, 0].max() == edge[:, -1].max() == 0


def test_what_is_far_from_the_solid_does_not_mind_it() -> None:
    images = draw(size=np.repeat(np.arange(8), 5), shape=np.tile(np.arange(5), 8)).astype(int)
    for corner in (np.s_[:, :, :5, :5], np.s_[:, :, :5, -5:], np.s_[:, :, -2:, :2]):
        assert np.ptp(images[corner], axis=0).max() <= 3


def test_every_two_of_the_rooms_look_different() -> None:
    """Also a sphere's from two azimuths, by the corner behind it."""
    light = scenes.render(SIZE)[:, :, :, : SOLID + 1].astype(np.float32) / 2**14
    flat = light.reshape(len(SCALES), len(SHAPES), len(AZIMUTHS), -1)
    for axis in range(3):
        steps = abs(np.diff(flat, axis=axis)).sum(-1)
        assert steps.min() > 2.0, "a step of one factor is seen"
    all_rooms = flat.reshape(480, -1)
    squares = (all_rooms**2).sum(1)
    apart = squares[:, None] + squares - 2 * all_rooms @ all_rooms.T
    assert apart[~np.eye(480, dtype=bool)].min() > 0.05


def test_the_corner_turns_with_the_camera() -> None:
    left = []
    for azimuth in AZIMUTHS:
        wall = rooms(0, SCALES[0], azimuth)[WALL][1]  # a row of the wall above the solid
        left.append(abs(np.diff(wall)).argmax())
    assert (np.diff(left) > 0).all() or (np.diff(left) < 0).all()


@pytest.mark.parametrize("azimuth", AZIMUTHS[[0, 5, 11]])
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_the_shadow_falls_away_from_the_lamp(shape: int, azimuth: float) -> None:
    view = View(SIZE, np.deg2rad(azimuth))
    solid = SOLIDS[shape]
    with_it = view.layers(solid, 1.0)[FLOOR]
    small = view.layers(SOLIDS[0], 0.01)[FLOOR]
    free = view.layers(solid, 1.0)[SOLID] < 1e-6
    darker = np.where(free, np.maximum(0, small - with_it), 0).reshape(SIZE, SIZE)
    across = np.arange(SIZE) + 0.5 - SIZE / 2
    assert darker.max() > 0.05  # a cone stands before its own where the lamp is behind the eye
    aside = (darker.sum(0) * across).sum() / darker.sum()
    assert aside * -(LAMP[:, 0] @ view.right) > 0 and abs(aside) > 0.2


@pytest.mark.parametrize("solid", SOLIDS, ids=lambda solid: solid.name)
def test_shadows_are_soft_and_where_the_lamp_is_hidden(solid) -> None:
    hidden, occluded = shadows(solid)
    side = len(hidden)
    middle = hidden[side // 2, side // 2], occluded[side // 2, side // 2]
    assert middle[0] == pytest.approx(1, abs=0.02) and middle[1] > 0.9
    half = (hidden > 0.02) & (hidden < 0.98)
    assert 0.1 < half.sum() / (hidden > 0.5).sum() < 2
    z, x = (np.mgrid[:side, :side] - (side - 1) / 2) * 2 * 3.4 / side
    towards = x * -LAMP[0, 0] + z * -LAMP[2, 0]
    assert (hidden * towards).sum() > 0
    # A thin pole's end would throw its shadow this far; no solid's reaches further.
    tall = 2 * max(each.middle for each in SOLIDS)
    far = tall * np.hypot(LAMP[0, 0], LAMP[2, 0]) / LAMP[1, 0]
    assert np.hypot(x, z)[hidden > 0.5].max() < far + 1.2
    assert max(occluded[0].max(), occluded[-1].max(), occluded[:, 0].max()) < 1e-3


@pytest.mark.parametrize("solid", SOLIDS, ids=lambda solid: solid.name)
def test_rays_meet_the_surface_and_normals_stand_on_it(solid) -> None:
    rng = np.random.default_rng(0)
    eye = np.array([[3.0], [2.5], [5.0]])
    d = (rng.uniform(-0.9, 0.9, (3, 4000)) + np.array([[0], [1], [0]])) - eye
    with np.errstate(invalid="ignore", divide="ignore"):
        t = solid.hit(eye, d)
    met = np.isfinite(t)
    assert 0.2 < met.mean() < 1
    p = eye + t[met] * d[:, met]
    n = solid.normal(p)
    assert np.allclose((n * n).sum(0), 1, atol=1e-5)
    assert (
        (n * unit(d[:, met])).sum(0) < 0.71
    ).all()  # to the eye, but for a bevel: half a right angle
    assert np.hypot(p[0], p[2]).max() < 1.11 and p[1].min() > -1e-6
    inwards = p - 1e-3 * n  # the ray goes on inside: seen from there, it leaves
    with np.errstate(invalid="ignore", divide="ignore"):
        assert np.isinf(solid.hit(p + 0.05 * n, n)).all()
    distance = np.hypot(np.hypot(inwards[0], inwards[2]), inwards[1] - solid.middle)
    assert (distance <= solid.reach + 1e-6).all()


def test_the_whole_grid_is_a_data_set_with_factors() -> None:
    dataset = load_dataset(DataConfig(dataset="scenes", image_size=SIZE))
    assert dataset.image_shape == (3, SIZE, SIZE) and dataset.factor_names == FACTORS
    assert (len(dataset.train), len(dataset.validation)) == (456_000, 24_000)
    assert dataset.label_names == SHAPES and dataset.fixed
    train = dataset.train
    assert train.factors is not None and train.labels is not None
    assert (train.factors[:, 4] == train.labels).all()
    some = np.array([5, 200_000, 455_999])
    named = {name.replace(" ", "_"): train.factors[some, i] for i, name in enumerate(FACTORS)}
    assert (train.images.gather(some) == draw(**named)).all()
    assert set(train.columns) == set(FACTORS) - {"shape"}
    assert (train.columns["azimuth"][some] == AZIMUTHS[train.factors[some, 5]]).all()
    assert len(np.unique(dataset.train.known_hashes)) == 456_000


def test_parts_are_the_same_at_every_size_and_a_limit_keeps_all_factors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scenes, "render", lambda size, progress: None)  # nothing is looked at
    small, large = (
        load_dataset(DataConfig(dataset="scenes", image_size=size, limit=2000)) for size in (32, 64)
    )
    assert len(small.train) == len(large.train) == 2000
    assert (small.train.known_hashes == large.train.known_hashes).all()
    assert small.train.factors is not None
    assert [len(np.unique(column)) for column in small.train.factors.T] == list(GRID)
    left_open = load_dataset(
        DataConfig(dataset="scenes", image_size=SIZE, limit=300, validation_fraction="auto")
    )
    assert len(left_open.train) == 300


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"image_size": 48}, "rendered at 32, 64 or 128 px, not at 48×48 px"),
        ({"channels": 4}, "3 channels, or 1 in grey, not 4"),
    ],
)
def test_what_cannot_be_rendered(settings: dict[str, int], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load_dataset(DataConfig(dataset="scenes", **settings))
