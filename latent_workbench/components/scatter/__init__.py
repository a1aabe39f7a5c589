"""Encodings as points that can be pointed at, clicked and drawn around; a million keep moving."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from plotly.colors import sample_colorscale, unlabel_rgb

from latent_workbench.components import component
from latent_workbench.live.arrays import sent
from latent_workbench.shared.formatting import number
from vae_core.latent.explored import LABEL_COLORS, encoded, packed_names

_mount = component("encodings_scatter", "scatter")

STEPS = 64
PALETTE = [
    "#{:02x}{:02x}{:02x}".format(*(round(part) for part in unlabel_rgb(color)))
    for color in sample_colorscale("Viridis", np.linspace(0, 1, STEPS).tolist())
]


@dataclass(frozen=True)
class Colouring:
    """A number for each point, [N], NaN where none is known; `low` and `high` are where the colours
    end, `ends` what is written there."""

    name: str
    values: np.ndarray
    low: float
    high: float
    unit: str = ""
    ends: tuple[str, str] | None = None


@dataclass(frozen=True)
class Categories:
    """A category for each point: codes int64 [N] into `names`, −1 where none is known."""

    name: str
    codes: np.ndarray
    names: Sequence[str]


@dataclass(frozen=True)
class _ScatterEvent:
    """at: when it was said, in ms by the browser's clock."""

    at: float = field(default=0.0, kw_only=True, compare=False)


@dataclass(frozen=True)
class ImageClick(_ScatterEvent):
    """A click on the point of row `index`."""

    index: int


@dataclass(frozen=True)
class PlaneClick(_ScatterEvent):
    """A click beside all points, at (x, y) of the axes."""

    x: float
    y: float


@dataclass(frozen=True)
class PointsSelected(_ScatterEvent):
    """The rows, int64 [M], that were drawn around."""

    rows: np.ndarray


@dataclass(frozen=True)
class SelectionCleared(_ScatterEvent):
    """Whatever was clicked or drawn around has been let go."""


ScatterEvent = ImageClick | PlaneClick | PointsSelected | SelectionCleared | None


@dataclass(frozen=True)
class Recalled:
    """A selection that is shown as though it had been drawn: int64 [M]; `version` names it."""

    version: str
    rows: np.ndarray


@dataclass(frozen=True)
class Link:
    """Views of one `group` follow each other; ids int64 [N] says which image each row is."""

    group: str
    ids: np.ndarray


@dataclass(frozen=True)
class Marks:
    """Other images among the points: places [M, 2 or 3] with their names. picked: the one that is
    looked at, −1 for none."""

    places: np.ndarray
    names: Sequence[str]
    picked: int = -1

    def as_data(self) -> dict[str, Any]:
        """As the browser takes it."""
        return {"places": encoded(self.places), "names": [*self.names], "picked": self.picked}


def scatter(key: str, points: np.ndarray, *, images: str, axes: str, **named: Any) -> ScatterEvent:
    """Mount the points [N, 2 or 3]; returns what was last clicked or drawn around, if anything.
    `named`: as `scatter_data` takes them."""
    data = scatter_data(points, images=images, axes=axes, **named)
    result = _mount(key=key, data=[data], on_told_change=lambda: None)
    return parse_event(getattr(result, "told", None), images, axes, len(points))


def scatter_data(
    points: np.ndarray,
    *,
    run: str,
    images: str,
    axes: str,
    titles: Sequence[str],
    labels: np.ndarray | None,
    label_names: Sequence[str],
    colourings: Sequence[Colouring],
    categories: Sequence[Categories] = (),
    files: Sequence[str] = (),
    circles: Sequence[float] = (),
    decodes: bool = True,
    equal: bool = True,
    plain: bool = False,
    thumbnails: Mapping[str, Any] | None = None,
    link: Link | None = None,
    marks: Marks | None = None,
    recalled: Recalled | None = None,
    colour_by: str = "",
) -> dict[str, Any]:
    """What the component is sent of the points [N, 2 or 3].

    Args:
        images, axes: what the points stand for and where they lie; what was told of others is
            forgotten.
        files: what the file of each image is called, or () where they came from none.
        circles: radii around the origin to be drawn, in σ of the prior.
        decodes: True where a click on empty space means a point of the latent space.
        equal: True where a unit is as long across as upwards.
        plain: True where the numbers along the axes mean nothing.
        thumbnails: as the explorer's, where row i is thumbnail i; or {"split", "version"} where
            the live route has to be asked for images by their row.
        marks: further places, drawn as rings above the points.
        recalled: a selection that is shown as though it had just been drawn around.
        colour_by: the colouring to turn to when it is first named; "" leaves the choice alone.
    """
    return {
        "run": run,
        "images": images,
        "axes": axes,
        "points": sent(points),
        "dimensions": points.shape[1],
        "titles": list(titles),
        "labels": None if labels is None else sent(np.clip(labels, -1, 2**15 - 1), "<i2"),
        "label_names": list(label_names),
        "label_colors": list(LABEL_COLORS),
        "palette": PALETTE,
        "colourings": [_as_data(each) for each in colourings],
        "colour_by": colour_by,
        "categories": [
            {"name": each.name, "values": sent(each.codes, "<i2"), "names": list(each.names)}
            for each in categories
        ],
        "names": packed_names(files),
        "circles": list(circles),
        "decodes": decodes,
        "equal": equal,
        "plain": plain,
        "thumbnails": thumbnails,
        "marks": None if marks is None else marks.as_data(),
        "link": None if link is None else {"group": link.group, "ids": sent(link.ids, "<i4")},
        "recalled": None
        if recalled is None
        else {"version": recalled.version, "rows": sent(recalled.rows, "<i4")},
    }


def parse_event(event: Any, images: str, axes: str, count: int) -> ScatterEvent:
    """What a browser says, once it is sure that it speaks of these `count` points and axes."""
    if not isinstance(event, Mapping) or event.get("images") != images:
        return None
    try:
        at = float(event.get("at", 0.0))
        if event["kind"] == "image" and 0 <= int(event["index"]) < count:
            return ImageClick(int(event["index"]), at=at)
        if event["kind"] == "spot" and event["axes"] == axes:
            x, y = float(event["x"]), float(event["y"])
            return PlaneClick(x, y, at=at) if np.isfinite([x, y]).all() else None
        if event["kind"] == "selection":
            rows = _rows(event)
            if len(rows) and rows.min() >= 0 and rows.max() < count:
                return PointsSelected(rows.astype(np.int64), at=at)
        if event["kind"] == "none":
            return SelectionCleared(at=at)
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        return None  # not from this page's own script
    return None


def _rows(event: Mapping[str, Any]) -> np.ndarray:
    """The rows of a selection, which come as numbers or, of many, as a bit for each point."""
    if "rows" in event:
        return np.frombuffer(base64.b64decode(event["rows"], validate=True), "<i4")
    bits = np.frombuffer(base64.b64decode(event["bits"], validate=True), np.uint8)
    return np.flatnonzero(np.unpackbits(bits, bitorder="little"))


def _as_data(colouring: Colouring) -> dict[str, Any]:
    low, high = colouring.ends or (number(colouring.low), number(colouring.high))
    return {
        "name": colouring.name,
        "values": sent(colouring.values),
        "ends": [float(colouring.low), float(colouring.high)],
        "low": low,
        "high": high,
        "unit": colouring.unit,
    }
