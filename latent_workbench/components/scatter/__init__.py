"""Encodings as points that can be pointed at, clicked and drawn around; 70 000 keep moving."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from plotly.colors import sample_colorscale, unlabel_rgb

from latent_workbench.components import component
from latent_workbench.components.explorer.space import encoded
from latent_workbench.shared.formatting import number
from latent_workbench.shared.theme import LABELS

_mount = component("encodings_scatter", "scatter")

STEPS = 64
PALETTE = [
    "#{:02x}{:02x}{:02x}".format(*(round(part) for part in unlabel_rgb(color)))
    for color in sample_colorscale("Viridis", np.linspace(0, 1, STEPS).tolist())
]


@dataclass(frozen=True)
class Colouring:
    """A number for each point, [N]; `low` and `high` are where the colours end."""

    name: str
    values: np.ndarray
    low: float
    high: float
    unit: str = ""


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
class Link:
    """Views of one `group` follow each other; ids int64 [N] says which image each row is."""

    group: str
    ids: np.ndarray


def scatter(
    key: str,
    points: np.ndarray,
    *,
    run: str,
    images: str,
    axes: str,
    titles: Sequence[str],
    labels: np.ndarray | None,
    label_names: Sequence[str],
    colourings: Sequence[Colouring],
    circles: Sequence[float] = (),
    decodes: bool = True,
    equal: bool = True,
    plain: bool = False,
    thumbnails: Mapping[str, Any] | None = None,
    link: Link | None = None,
    colour_by: str = "",
) -> ScatterEvent:
    """Mount the points [N, 2 or 3]; returns what was last clicked or drawn around, if anything.

    Args:
        images, axes: what the points stand for and where they lie; what was told of others is
            forgotten.
        circles: radii around the origin to be drawn, in σ of the prior.
        decodes: True where a click on empty space means a point of the latent space.
        equal: True where a unit is as long across as upwards.
        plain: True where the numbers along the axes mean nothing.
        thumbnails: as the explorer's, where row i is thumbnail i; or {"split", "version"} where
            the live route has to be asked for images by their row.
        colour_by: the colouring to turn to when it is first named; "" leaves the choice alone.
    """
    data = {
        "run": run,
        "images": images,
        "axes": axes,
        "points": encoded(points),
        "dimensions": points.shape[1],
        "titles": list(titles),
        "labels": None if labels is None else encoded(np.clip(labels, -1, 2**15 - 1), "<i2"),
        "label_names": list(label_names),
        "label_colors": list(LABELS),
        "palette": PALETTE,
        "colourings": [_as_data(each) for each in colourings],
        "colour_by": colour_by,
        "circles": list(circles),
        "decodes": decodes,
        "equal": equal,
        "plain": plain,
        "thumbnails": thumbnails,
        "link": None if link is None else {"group": link.group, "ids": encoded(link.ids, "<i4")},
    }
    result = _mount(key=key, data=[data], on_told_change=lambda: None)
    return parse_event(getattr(result, "told", None), images, axes, len(points))


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
            rows = np.frombuffer(base64.b64decode(event["rows"], validate=True), "<i4")
            if len(rows) and rows.min() >= 0 and rows.max() < count:
                return PointsSelected(rows.astype(np.int64), at=at)
        if event["kind"] == "none":
            return SelectionCleared(at=at)
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        return None  # not from this page's own script
    return None


def _as_data(colouring: Colouring) -> dict[str, Any]:
    span = max(colouring.high - colouring.low, 1e-12)
    shares = np.nan_to_num((colouring.values - colouring.low) / span)
    steps = np.rint(np.clip(shares, 0, 1) * (STEPS - 1))
    return {
        "name": colouring.name,
        "values": encoded(steps, "u1"),
        "low": number(colouring.low),
        "high": number(colouring.high),
        "unit": colouring.unit,
    }
