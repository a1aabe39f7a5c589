"""Scenes with known factors, rendered on the fly: a solid in a coloured room, after 3D Shapes.

Burgess and Kim 2018, 3D Shapes: 10 floor hues × 10 wall hues × 10 object hues × 8 sizes × 4 shapes
× 15 orientations, 480 000 images. Here there are 5 shapes and 12 places of the camera, as many
images, and no file: 480 rooms are rendered in light (`vae_core.data.room`) and coloured when they
are asked for, which is exact.
"""

from __future__ import annotations

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.grid import factors_at, limited
from vae_core.data.hashes import mixed
from vae_core.data.room import LAYERS, View
from vae_core.data.solids import SOLIDS
from vae_core.data.source import datasets
from vae_core.data.splits import split_dataset
from vae_core.errors import UserError
from vae_core.imaging.colour import linear_rgb, srgb
from vae_core.imaging.resize import with_channels
from vae_core.progress import Progress, no_progress

SHAPES = tuple(solid.name for solid in SOLIDS)
HUES = np.linspace(0, 300, 10)
"""In degrees of Oklch, from pink by red, yellow, green and blue to violet. The circle is open: on a
closed one the ends would meet, as they cannot on the line of one latent."""
SCALES = np.linspace(0.6, 1.16, 8)
AZIMUTHS = np.linspace(-33, 33, 12)
"""In degrees, from where the camera looks into the corner."""

FACTORS = ("floor hue", "wall hue", "object hue", "size", "shape", "azimuth")
VALUES = (HUES, HUES, HUES, SCALES, np.arange(len(SHAPES)), AZIMUTHS)
"""What the steps of each factor stand for; a shape for its number."""
GRID = tuple(map(len, VALUES))
COUNT = int(np.prod(GRID))
ROOMS = GRID[3:]
"""Sizes, shapes and azimuths: what is rendered, whatever its colours."""
SIZES = (32, 64, 128)

_PAINT = {"floor": (0.80, 0.105), "wall": (0.88, 0.085), "solid": (0.72, 0.19)}
"""Lightness and chroma of each: the solid is the strongest colour of the picture."""
_EXPOSURE = 1.3
_FIXED_POINT = 2**14
"""Steps of a layer's light to 1; kept as uint16, up to 4."""
_BRIGHTEST, _TONES = 4, 2**14
_AT_ONCE = 16
"""Images coloured together, so that they stay in the processor's cache."""
_VERSION = 1
"""Counted up when the same place of the grid shows something else, so that runs are told."""

_rendered: dict[int, np.ndarray] = {}


def _screen() -> np.ndarray:
    """What a screen shows of light, in steps of `_BRIGHTEST / _TONES`: uint8 [`_TONES`].

    1 − e^(−exposure · light), as film does: highlights go over into white and are not cut off.
    """
    light = (np.arange(_TONES) + 0.5) * (_BRIGHTEST / _TONES)
    return np.rint(255 * srgb(1 - np.exp(-_EXPOSURE * light))).astype(np.uint8)


def _palette() -> np.ndarray:
    """For each triple of hues the colour of every kind of light, float32 [10, 10, 10, 3, 6]."""
    floor, wall, solid = np.meshgrid(*map(np.arange, GRID[:3]), indexing="ij")
    paint = {name: linear_rgb(*strength, HUES) for name, strength in _PAINT.items()}
    f, w, s = paint["floor"][floor], paint["wall"][wall], paint["solid"][solid]
    kinds = (f, w, s, np.ones_like(f), f * w, f * s)
    assert len(kinds) == len(LAYERS)
    return np.stack(kinds, -1).astype(np.float32)


_SCREEN, _PALETTE = _screen(), _palette() * np.float32(_TONES / _BRIGHTEST / _FIXED_POINT)


def render(size: int, progress: Progress = no_progress) -> np.ndarray:
    """The light of all 480 rooms, uint16 [8, 5, 12, `LAYERS`, size²]; it is kept."""
    if size in _rendered:
        return _rendered[size]
    rooms = np.empty((*ROOMS, len(LAYERS), size * size), np.uint16)
    for a, azimuth in enumerate(np.deg2rad(AZIMUTHS)):
        view = View(size, azimuth)
        for i, solid in enumerate(SOLIDS):
            progress("Rendering the rooms", (a * len(SOLIDS) + i) / (len(AZIMUTHS) * len(SOLIDS)))
            for s, scale in enumerate(SCALES):
                rooms[s, i, a] = fixed_point(view.layers(solid, scale))
    return _rendered.setdefault(size, rooms)


def fixed_point(light: np.ndarray) -> np.ndarray:
    """Light in [0, 4) as uint16."""
    return np.rint(np.minimum(light, _BRIGHTEST - 1 / _FIXED_POINT) * _FIXED_POINT).astype(
        np.uint16
    )


def coloured(rooms: np.ndarray, hues: tuple[np.ndarray, ...]) -> np.ndarray:
    """The light of rooms, uint16 [B, `LAYERS`, P], in colours of floor, wall and object, three
    numbers of hues [B]: uint8 [B, 3, P]."""
    tones = _PALETTE[hues] @ rooms.astype(np.float32)
    np.minimum(tones, _TONES - 1, out=tones)
    return _SCREEN[tones.astype(np.uint16)]


class SceneImages:
    """All 480 000 scenes; an image is coloured when it is asked for.

    Args:
        size: side in pixels, one of `SIZES`.
        channels: 3, or 1 for the same in grey.
    """

    def __init__(self, size: int = 64, channels: int = 3) -> None:
        self.shape = (COUNT, channels, size, size)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The scenes at `indices` [B], in that order: uint8 [B, C, H, W]."""
        _, channels, size, _ = self.shape
        rooms = render(size)
        *hues, scale, shape, azimuth = np.unravel_index(indices, GRID)
        out = np.empty((len(scale), 3, size * size), np.uint8)
        for start in range(0, len(out), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            light = rooms[scale[some], shape[some], azimuth[some]]
            out[some] = coloured(light, tuple(hue[some] for hue in hues))
        return with_channels(out.reshape(-1, 3, size, size), channels)

    def hashes(self) -> np.ndarray:
        """uint64 [480 000]: no two scenes are the same, so of their place in the grid."""
        return mixed((np.arange(COUNT), np.full(COUNT, _VERSION)))


def factors_of(indices: np.ndarray) -> np.ndarray:
    """The factors (as `FACTORS` names them) of scenes [N]: int64 [N, 6]."""
    return factors_at(indices, GRID)


@datasets.register(
    "scenes",
    label="Scenes",
    blurb="Solids in a room, in colour, lit and shaded, with known hues, size, shape and camera. "
    "Built in; shows whether a model finds the factors by itself.",
    origin="built in",
    image_shape=(3, 64, 64),
    order=35,
    paper="after Burgess and Kim 2018, 3D Shapes dataset",
    subject="rendered scenes",
)
def load_scenes(config: DataConfig, progress: Progress) -> Dataset:
    """The whole grid, or `limit` training scenes drawn evenly from it.

    Raises:
        UserError: for a size at which scenes are not rendered, or other channels than 1 and 3.
    """
    channels, size, width = datasets["scenes"].shape_for(config)
    if size not in SIZES or width != size:
        raise UserError(
            f"Scenes are rendered at {', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]} px, not at "
            f"{width}×{size} px; set data.image_size to one of these."
        )
    if channels not in (1, 3):
        raise UserError(
            f"Scenes have 3 channels, or 1 in grey, not {channels}; set data.channels to one of "
            "these."
        )
    render(size, progress)
    factors = factors_of(np.arange(COUNT))
    scenes = SceneImages(size, channels)
    columns = {
        name: values[factors[:, i]].astype(np.float64)
        for i, (name, values) in enumerate(zip(FACTORS, VALUES, strict=True))
        if name != "shape"  # the label has it
    }
    labels = factors[:, FACTORS.index("shape")].copy()
    pool = ImageSet(scenes, labels, factors, hashes=scenes.hashes(), columns=columns)
    pool = limited(pool, config, len(SHAPES))
    return split_dataset(
        "scenes", pool, None, config, fixed=True, label_names=SHAPES, factor_names=FACTORS
    )
