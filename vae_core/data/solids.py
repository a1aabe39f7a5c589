"""Solids that stand on the floor y = 0, and where rays meet them: formulas, no meshes.

Points and directions are float [3, N], x to the right, y up; each may be one for all, [3, 1].
A ray meets nothing where its distance is infinite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BEVEL = 0.13
"""How far from an edge the surface begins to turn, in the light alone: outlines stay sharp."""


@dataclass(frozen=True)
class Solid:
    """A solid of unit size.

    middle, reach: height of the centre and radius of a ball that holds all of it.
    hit: origins and directions to the distance [N] of the first meeting, in lengths of direction.
    normal: points of the surface to unit normals, [3, N] both.
    """

    name: str
    middle: float
    reach: float
    hit: Callable[[np.ndarray, np.ndarray], np.ndarray]
    normal: Callable[[np.ndarray], np.ndarray]


def unit(v: np.ndarray) -> np.ndarray:
    """Vectors [3, N] of length 1."""
    length = np.sqrt((v * v).sum(0))
    result: np.ndarray = v / np.maximum(length, 1e-12)
    return result


def _first(enter: np.ndarray, leave: np.ndarray) -> np.ndarray:
    """The first meeting with what is convex, between where a ray enters and leaves it."""
    return np.where((enter < leave) & (leave > 0), np.maximum(enter, 0), np.inf)


def _between(o: np.ndarray, d: np.ndarray, low: float, high: float) -> tuple[np.ndarray, ...]:
    """Where coordinates o + t·d [N] enter and leave [low, high]."""
    a, b = (low - o) / d, (high - o) / d
    return np.minimum(a, b), np.maximum(a, b)


def _roots(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two t with a·t² + 2b·t + c = 0, the one with −√ first; NaN where there are none."""
    root = np.sqrt(b * b - a * c)
    return (-b - root) / a, (-b + root) / a


def _ball(o: np.ndarray, d: np.ndarray, height: float, radius: float) -> np.ndarray:
    """Distance to the ball about (0, height, 0)."""
    up = o[1] - height
    a = (d * d).sum(0)
    b = o[0] * d[0] + up * d[1] + o[2] * d[2]
    c = o[0] ** 2 + up * up + o[2] ** 2 - radius * radius
    return _first(*_roots(a, b, c))


def _pillar(o: np.ndarray, d: np.ndarray, radius: float, low: float, high: float) -> np.ndarray:
    """Distance to the upright cylinder between two heights."""
    a = d[0] ** 2 + d[2] ** 2
    b = o[0] * d[0] + o[2] * d[2]
    c = o[0] ** 2 + o[2] ** 2 - radius * radius
    enter, leave = _roots(a, b, c)
    bottom, top = _between(o[1], d[1], low, high)
    return _first(np.maximum(enter, bottom), np.minimum(leave, top))


def _away(p: np.ndarray, core: tuple[np.ndarray | float, ...]) -> np.ndarray:
    """The normal of what is rounded: away from the nearest point of its core."""
    return unit(np.stack([x - c for x, c in zip(p, core, strict=True)]))


# --- the five ------------------------------------------------------------------------------------

_BALL = 0.95


def _sphere_hit(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    return _ball(o, d, _BALL, _BALL)


def _sphere_normal(p: np.ndarray) -> np.ndarray:
    return _away(p, (0.0, _BALL, 0.0))


_HALF, _TURN = 0.78, np.deg2rad(24.0)
"""Half the edge of the cube, and how far it is turned against the walls' bisector."""


def _turned(v: np.ndarray, angle: float) -> np.ndarray:
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return np.stack([c * v[0] + s * v[2], v[1], c * v[2] - s * v[0]])


def _box_hit(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    o, d = _turned(o, _TURN), _turned(d, _TURN)
    spans = ((-_HALF, _HALF), (0.0, 2 * _HALF), (-_HALF, _HALF))
    faces = [_between(o[i], d[i], *span) for i, span in enumerate(spans)]
    enter = np.maximum(np.maximum(faces[0][0], faces[1][0]), faces[2][0])
    leave = np.minimum(np.minimum(faces[0][1], faces[1][1]), faces[2][1])
    return _first(enter, leave)


def _box_normal(p: np.ndarray) -> np.ndarray:
    p, inner = _turned(p, _TURN), _HALF - BEVEL
    x, z = (np.clip(p[i], -inner, inner) for i in (0, 2))
    return _turned(_away(p, (x, np.minimum(p[1], 2 * _HALF - BEVEL), z)), -_TURN)


_PILLAR, _TALL = 0.76, 1.8


def _cylinder_hit(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    return _pillar(o, d, _PILLAR, 0.0, _TALL)


def _cylinder_normal(p: np.ndarray) -> np.ndarray:
    inwards = np.minimum(1, (_PILLAR - BEVEL) / np.hypot(p[0], p[2]).clip(1e-9))
    return _away(p, (p[0] * inwards, np.minimum(p[1], _TALL - BEVEL), p[2] * inwards))


_PILL, _LONG = 0.62, 2.25


def _capsule_hit(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    ends = (_ball(o, d, height, _PILL) for height in (_PILL, _LONG - _PILL))
    return np.minimum(np.minimum(*ends), _pillar(o, d, _PILL, _PILL, _LONG - _PILL))


def _capsule_normal(p: np.ndarray) -> np.ndarray:
    return _away(p, (0.0, np.clip(p[1], _PILL, _LONG - _PILL), 0.0))


_FOOT, _PEAK = 1.0, 2.1


def _cone_hit(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    # x² + z² = k²·(peak − y)², a second cone above the peak left out. The base is never seen.
    k, below = (_FOOT / _PEAK) ** 2, _PEAK - o[1]
    a = d[0] ** 2 + d[2] ** 2 - k * d[1] ** 2
    b = o[0] * d[0] + o[2] * d[2] + k * below * d[1]
    c = o[0] ** 2 + o[2] ** 2 - k * below**2
    found = np.full(np.broadcast_shapes(a.shape, c.shape), np.inf, np.float32)
    for t in _roots(a, b, c):
        y = o[1] + t * d[1]
        found = np.where((t > 0) & (y >= 0) & (y <= _PEAK), np.minimum(found, t), found)
    return found


def _cone_normal(p: np.ndarray) -> np.ndarray:
    rim = np.hypot(p[0], p[2])
    return unit(np.stack([p[0], rim * np.float32(_FOOT / _PEAK), p[2]]))


SOLIDS = (
    Solid("sphere", _BALL, _BALL, _sphere_hit, _sphere_normal),
    Solid("box", _HALF, 3**0.5 * _HALF, _box_hit, _box_normal),
    Solid("cylinder", _TALL / 2, np.hypot(_PILLAR, _TALL / 2), _cylinder_hit, _cylinder_normal),
    Solid("capsule", _LONG / 2, _LONG / 2, _capsule_hit, _capsule_normal),
    Solid("cone", 0.82, 1.3, _cone_hit, _cone_normal),
)
