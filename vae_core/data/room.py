"""A solid on the floor of a room with two walls, under one soft lamp: rendered by casting rays.

What a picture shows is linear in the colours of floor, wall and solid, and in the products of two
of them for light that was thrown from one to the other. So it is rendered once for every place of
the camera and every solid, as so much light of each kind to a pixel, and coloured afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from vae_core.data.solids import Solid, unit

LAYERS = ("floor", "wall", "solid", "white", "floor on wall", "floor on solid")
"""The kinds of light: thrown back by one of the three, by none, or by two in turn, either first."""
FLOOR, WALL, SOLID, WHITE, FLOOR_WALL, FLOOR_SOLID = range(len(LAYERS))

SAMPLES = 21
"""Rays a pixel. As many as a Fibonacci number: then they lie evenly along any edge."""

LAMP = unit(np.array([[-0.56], [1.05], [0.50]], np.float32))
"""Towards the lamp: from the left and from the front, where the camera looks into the corner."""
_SPREAD = 0.16
"""Tangent of the lamp's half angle, which makes shadows soft."""
_SUN, _SKY = 1.0, 0.5
"""Light on what faces the lamp, and from everywhere."""

_DISTANCE, _PITCH, _TARGET, _ZOOM = 9.0, np.deg2rad(19.0), 0.95, 0.24
"""Of the camera: from its target, down, the target's height, and tangent of half its field."""

_WALLS = np.array([[1, 0, 1], [-1, 0, 1]], np.float32) / np.float32(2**0.5)
"""Normals of the walls, left and right of the corner."""
_WALL = 3.7
"""From the solid's axis to either wall."""
_HIGH = 3.0
"""How much of a wall is near enough to take light from the floor, and the other way round."""
_THROWN = 0.55
"""Of the light that such surfaces would exchange were they all one colour."""

_GLOSS, _SHINE, _FRESNEL = 70.0, 0.5, 0.04
"""Exponent and strength of the highlight (Blinn 1977), and reflection head on (Schlick 1994)."""

_REACH, _CELLS, _FINER, _RAYS = 3.4, 128, 4, 96
"""Of the maps of shadow: half their side in sizes of the solid, cells a side, steps between two
cells, and rays from each."""
_GOLDEN = np.pi * (3 - 5**0.5)


def offsets(count: int = SAMPLES) -> np.ndarray:
    """Places of the rays in a pixel, [count, 2] in [0, 1): the Fibonacci lattice.

    Source: Niederreiter, Random Number Generation and Quasi-Monte Carlo Methods (1992), section 5.
    """
    before = next(a for a, b in _fibonacci() if b >= count)
    i = np.arange(count)
    return np.stack([(i + 0.5) / count, (i * before % count + 0.5) / count], 1)


def _fibonacci() -> Iterator[tuple[int, int]]:
    """Each Fibonacci number with the one before it, without end."""
    a, b = 1, 2
    while True:
        yield a, b
        a, b = b, a + b


def _disc(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points spread evenly over the unit disc, x and y [count]: Vogel's sunflower (1979)."""
    radius, angle = np.sqrt((np.arange(count) + 0.5) / count), _GOLDEN * np.arange(count)
    return radius * np.cos(angle), radius * np.sin(angle)


@cache
def shadows(solid: Solid) -> np.ndarray:
    """Of points of the floor around a solid of unit size: the share of the lamp that it hides, and
    the share of the sky, each counted with the cosine to the floor; float32 [2, side, side], z by
    x from −`_REACH` to `_REACH`.

    The lamp is far away, so a larger solid only has a larger map: one serves all sizes.
    """
    x, y = _disc(_RAYS)
    aside = unit(np.cross(LAMP[:, 0], [0.0, 1.0, 0.0])[:, None])
    over = np.cross(aside[:, 0], LAMP[:, 0])[:, None]
    lamp = LAMP + _SPREAD * (aside * x + over * y)
    sky = np.stack([x, np.sqrt(1 - x * x - y * y), y])  # of a hemisphere seen from above: Lambert
    ticks = ((np.arange(_CELLS) + 0.5) / _CELLS * 2 - 1) * _REACH
    z, x = (each.ravel().astype(np.float32) for each in np.meshgrid(ticks, ticks, indexing="ij"))
    points = np.stack([x, np.zeros_like(x), z])
    hidden = np.zeros((2, _CELLS**2), np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        for kind, directions in enumerate((lamp, sky)):
            for d in directions.T.astype(np.float32):
                hidden[kind] += np.isfinite(solid.hit(points, d[:, None])) / np.float32(_RAYS)
    hidden[1] *= np.clip(1 - (x * x + z * z) / _REACH**2, 0, 1)  # nothing ends at the map's edge
    fine = (np.arange(_CELLS * _FINER) + 0.5) / _FINER - 0.5
    between = np.stack([np.interp(fine, np.arange(_CELLS), row) for row in np.eye(_CELLS)], 1)
    between = between.astype(np.float32)
    result: np.ndarray = between @ hidden.reshape(2, _CELLS, _CELLS) @ between.T
    return result


def _seen_of(distance: np.ndarray) -> np.ndarray:
    """Of the light that reaches a surface: what comes from one at right angles to it, `_HIGH` high
    and endless, at a distance."""
    share: np.ndarray = 0.5 * (1 - distance / np.sqrt(distance * distance + np.float32(_HIGH**2)))
    return share


_ON_FLOOR = _SUN * float(LAMP[1, 0])
_ON_WALLS = _SUN * np.maximum(0, _WALLS @ LAMP[:, 0])


class View:
    """The room from one place of the camera, at one size of picture.

    Args:
        size: side of the picture in pixels.
        azimuth: how far the camera has gone round the solid, in radians, 0 before the corner.
        where: the rays in a pixel, as `offsets` gives them.
    """

    def __init__(self, size: int, azimuth: float, where: np.ndarray | None = None) -> None:
        where = offsets() if where is None else where
        self.pixels, self.rays = size * size, len(where)
        s, c = np.sin(azimuth), np.cos(azimuth)
        down, level = np.sin(_PITCH), np.cos(_PITCH)
        forward = np.array([-s * level, -down, -c * level])
        self.right = np.array([c, 0.0, -s])
        above = np.cross(self.right, forward)
        self.eye = (np.array([0.0, _TARGET, 0.0]) - _DISTANCE * forward).astype(np.float32)[:, None]
        row, column = np.divmod(np.arange(self.pixels), size)
        x = (2 * (column + where[:, :1]) / size - 1).ravel() * _ZOOM
        y = (1 - 2 * (row + where[:, 1:]) / size).ravel() * _ZOOM
        directions = forward[:, None] + self.right[:, None] * x + above[:, None] * y
        self.directions = unit(directions.astype(np.float32))  # [3, rays · pixels], rays outermost
        self.pixel = np.tile(np.arange(self.pixels), self.rays)
        self._look()

    def _look(self) -> None:
        """What each ray meets of the room, and the light that floor and walls throw back there."""
        e, d = self.eye, self.directions
        with np.errstate(divide="ignore"):
            floor = np.where(d[1] < 0, -e[1] / d[1], np.inf)
            facing = _WALLS @ d
            walls = np.where(facing < 0, -(_WALL + _WALLS @ e) / facing, np.inf)
        which = walls.argmin(0)
        wall = walls.min(0)
        self.floor = np.flatnonzero(floor <= wall)
        at = e + floor[self.floor] * d[:, self.floor]
        self.x, self.z = at[0], at[2]
        near = [_seen_of(distance) for distance in _WALL + _WALLS @ at]
        self.sky = _SKY * (1 - near[0]) * (1 - near[1])
        radiosity = _ON_WALLS + _SKY / 2
        self.from_walls = _THROWN * (near[0] * radiosity[0] + near[1] * radiosity[1])

        self.wall = np.flatnonzero(floor > wall)
        side = which[self.wall]
        at = e + wall[self.wall] * d[:, self.wall]
        from_floor = _seen_of(np.maximum(at[1], 0))
        other = _seen_of(np.maximum(_WALL + (_WALLS[1 - side].T * at).sum(0), 0))
        self.on_wall = _ON_WALLS[side] + _SKY * (1 - from_floor) * (1 - other)
        self.on_wall += _THROWN * other * _ON_WALLS[1 - side]  # of one colour: once, not squared
        self.thrown_on_wall = _THROWN * from_floor * (_ON_FLOOR + _SKY)

    def layers(self, solid: Solid, size: float) -> np.ndarray:
        """The light of each kind that comes to each pixel with a solid of this size in the room,
        float32 [`LAYERS`, pixels]; white in full lamplight throws back about 1."""
        out = np.zeros((len(LAYERS), self.pixels))

        def add(layer: int, which: np.ndarray, light: np.ndarray) -> None:
            out[layer] += np.bincount(self.pixel[which], light, self.pixels)

        seen, p, n = self._on(solid, size)
        for layer, light in self._reflected(seen, p, n).items():
            add(layer, seen, light)

        free = np.ones(self.rays * self.pixels, bool)
        free[seen] = False
        clear = free[self.wall]
        add(WALL, self.wall[clear], self.on_wall[clear])
        add(FLOOR_WALL, self.wall[clear], self.thrown_on_wall[clear])
        clear = free[self.floor]
        hidden, occluded = self._shadows(solid, size, clear)
        which, sky = self.floor[clear], self.sky[clear] * (1 - occluded)
        add(FLOOR, which, _ON_FLOOR * (1 - hidden) + sky)
        add(FLOOR_WALL, which, self.from_walls[clear] * (1 - occluded))
        add(FLOOR_SOLID, which, _THROWN * occluded * (_SUN / 2 + _SKY))
        return (out / self.rays).astype(np.float32)

    def _shadows(self, solid: Solid, size: float, clear: np.ndarray) -> tuple[np.ndarray, ...]:
        """What the solid hides of lamp and sky from some of the points of the floor."""
        maps = shadows(solid)
        side = maps.shape[1]
        scale = np.float32(side / (2 * _REACH * size))
        column, row = (
            np.clip(v[clear] * scale + side / 2, 0, side - 1).astype(np.int32)
            for v in (self.x, self.z)
        )
        found = maps.reshape(2, -1)[:, row * side + column]
        return found[0], found[1]

    def _on(self, solid: Solid, size: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which rays meet the solid, where on one of unit size, and the normal there."""
        eye = self.eye / np.float32(size)
        centre = eye - np.array([[0], [solid.middle], [0]], np.float32)
        towards = (self.directions * centre).sum(0)
        beside = np.float32((centre**2).sum() - solid.reach**2)
        near = np.flatnonzero(towards * towards > beside)
        d = self.directions[:, near]
        with np.errstate(invalid="ignore", divide="ignore"):
            t = solid.hit(eye, d)
        met = np.isfinite(t)
        p = eye + t[met] * d[:, met]
        return near[met], p, solid.normal(p)

    def _reflected(self, seen: np.ndarray, p: np.ndarray, n: np.ndarray) -> dict[int, np.ndarray]:
        """The light of each kind from points of the solid."""
        d = self.directions[:, seen]
        facing = np.clip(-(n * d).sum(0), 0, 1)
        lit = np.maximum(0, (n * LAMP).sum(0))
        mirrored = _FRESNEL + (1 - _FRESNEL) * (1 - facing) ** 5
        above = (n * unit(LAMP - d)).sum(0)
        highlight = _SHINE * np.maximum(0, above) ** _GLOSS * np.minimum(1, 8 * lit)
        up = 0.5 + 0.5 * n[1]
        height = np.maximum(p[1], 0)
        floor = (_ON_FLOOR + _SKY) * height / (height + np.float32(0.3))  # dark where it stands
        looking = d[1] + 2 * facing * n[1]  # upwards, of the mirrored ray
        low = np.clip(0.5 - 2 * looking, 0, 1)
        kept = 1 - mirrored
        return {
            SOLID: kept * (_SUN * lit + _SKY * up),
            FLOOR_SOLID: kept * _THROWN * (1 - up) * floor,
            WHITE: highlight,
            FLOOR: mirrored * low * floor,
            WALL: mirrored * (1 - low) * np.float32(_ON_WALLS.mean() + _SKY),
        }
