"""What an explorer in a browser is told of a latent space, as plain JSON: directions, a plane
through them, and the images that lie there. Arrays travel as base64."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_core.names import readable

if TYPE_CHECKING:  # whoever draws the first page needs no torch
    from vae_core.latent.directions import Directions
    from vae_core.latent.encodings import Encodings
    from vae_core.models import Dial

LABEL_COLORS = (
    "#4477AA",
    "#EE6677",
    "#228833",
    "#CCBB44",
    "#66CCEE",
    "#AA3377",
    "#7B5B3A",
    "#F4A261",
    "#44AA99",
    "#8A8F98",
)
"""Colours of labels, by index, safe for colour-blind eyes: the same wherever labels are shown."""


def encoded(array: np.ndarray, dtype: str = "<f4") -> str:
    """An array as base64, in a type that the browser reads."""
    return base64.b64encode(np.asarray(array, dtype).tobytes()).decode()


def packed_names(files: Sequence[str]) -> str | None:
    """Names of files as `shared/names.js` reads them; None where there are none."""
    if not files:
        return None
    return base64.b64encode(zlib.compress("\0".join(map(readable, files)).encode(), 1)).decode()


def conditions_told(labels: int, names: Sequence[str], label: int | None) -> dict[str, Any]:
    """The `labels` that a conditional model can be told, and the one that it is; {} for others."""
    if not labels:
        return {}
    conditions = [names[i] if i < len(names) else str(i) for i in range(labels)]
    return {"conditions": conditions, "label": label if label is not None and label < labels else 0}


def dial_told(dial: Dial | None, value: float | None) -> dict[str, Any]:
    """The dial of a model and where it is turned to; {} for models without one."""
    if dial is None:
        return {}
    turned = dial.usual if value is None else min(max(value, dial.low), dial.high)
    ends = {"low": dial.low, "high": dial.high, "usual": dial.usual}
    return {"dial": {"name": dial.name, "key": dial.key, **ends, "value": turned}}


def directions_told(
    found: Directions, names: Sequence[str], count: int, identity: str, *, shares: bool = True,
    unused: int = 0, orthogonal: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """The first `count` directions.

    Args:
        identity: changes with anything that changes them.
        shares: whether their shares of the variance mean anything.
        unused: how many of all, at their end, carry no information.
    """
    total = len(found.vectors)
    return {
        "id": identity,
        "center": encoded(found.center),
        "vectors": encoded(found.vectors[:count]),
        "deviations": found.deviations[:count].tolist(),
        "explained": found.explained[:count].tolist() if shares else None,
        "names": list(names[:count]),
        "dead": [i >= total - unused for i in range(count)],
        "orthogonal": orthogonal,
        "total": total,
    }


def plane_told(found: Directions, names: Sequence[str], mu: np.ndarray) -> dict[str, Any]:
    """The plane of the first two directions, and where the encodings mu [N, D] lie on it, in σ."""
    two = slice(0, 2)
    deviations = np.maximum(found.deviations[two], 1e-12)
    points = (mu - found.center) @ found.vectors[two].T / deviations
    if points.shape[1] == 1:  # one latent dimension: a line
        points = np.column_stack([points, np.zeros(len(points))])
    named = zip(names[two], found.explained[two], strict=True)
    return {
        "center": encoded(found.center),
        "vectors": encoded(found.vectors[two]),
        "deviations": found.deviations[two].tolist(),
        "names": [f"{name} ({round(100 * float(share))} %)" for name, share in named],
        "points": encoded(points),
    }


def images_told(encodings: Encodings, version: str, columns: int) -> dict[str, Any]:
    """The images that are encoded: labels, places, names, and how their thumbnails lie in one
    picture of so many columns."""
    height, width = encodings.thumbnails.shape[-2:]
    labels = encodings.labels
    return {
        "count": len(encodings.mu),
        "step": encodings.step,
        "labels": None if labels is None else encoded(np.clip(labels, -1, 2**15 - 1), "<i2"),
        "label_names": list(encodings.label_names),
        "colors": list(LABEL_COLORS),
        "places": encoded(encodings.indices, "<i4"),
        "names": packed_names(encodings.files),
        "thumbnails": {"version": version, "columns": columns, "width": width, "height": height},
        # Explorers of the same images may start from one of them together.
        "group": hashlib.sha256(encodings.thumbnails.tobytes()).hexdigest()[:16],
    }
