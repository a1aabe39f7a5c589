"""What surrounds the sliders: the encodings on a map, their labels and their thumbnails."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from latent_workbench.live.resources import Sliders, encodings_of, encodings_version, sliders_of
from latent_workbench.shared.explore_view import PRINCIPAL
from latent_workbench.shared.theme import LABELS
from vae_core.names import readable
from vae_core.runs import Run


def space_of(run: Run, sliders: Sliders) -> dict[str, Any]:
    """Map, labels and thumbnails of the run's encodings, as plain JSON; nothing where there are
    none."""
    version = encodings_version(run)
    if version is None:
        return {"count": 0, "plane": None, "labels": None, "label_names": []}
    # Directions that are not at right angles span no plane to measure in.
    chosen = sliders if sliders.orthogonal else sliders_of(run, PRINCIPAL)
    plane = _plane(run.path, version, fingerprint(chosen, 2), chosen)
    return _images(run.path, version) | {"plane": plane}


def fingerprint(sliders: Sliders, count: int) -> str:
    """Changes with anything that changes the first `count` directions."""
    found = sliders.directions
    numbers = zlib.crc32(found.vectors[:count].tobytes(), zlib.crc32(found.center.tobytes()))
    return f"{sliders.kind}/{count}/{numbers:08x}"


def encoded(array: np.ndarray, dtype: str = "<f4") -> str:
    """An array as base64, in a type that the browser reads."""
    return base64.b64encode(np.asarray(array, dtype).tobytes()).decode()


def packed_names(files: Sequence[str]) -> str | None:
    """Names of files as `shared/names.js` reads them; None where there are none."""
    if not files:
        return None
    return base64.b64encode(zlib.compress("\0".join(map(readable, files)).encode(), 1)).decode()


@st.cache_resource(max_entries=16, show_spinner=False)
def _plane(path: Path, version: int, name: str, _chosen: Sliders) -> dict[str, Any]:
    """The plane of the first two directions, which `name` is the fingerprint of."""
    found = _chosen.directions
    encodings = encodings_of(Run(path))
    assert encodings is not None
    two = slice(0, 2)
    deviations = np.maximum(found.deviations[two], 1e-12)
    points = (encodings.mu - found.center) @ found.vectors[two].T / deviations
    if points.shape[1] == 1:  # one latent dimension: a line
        points = np.column_stack([points, np.zeros(len(points))])
    named = zip(_chosen.names[two], found.explained[two], strict=True)
    return {
        "center": encoded(found.center),
        "vectors": encoded(found.vectors[two]),
        "deviations": found.deviations[two].tolist(),
        "names": [f"{name} ({round(100 * float(share))} %)" for name, share in named],
        "points": encoded(points),
    }


@st.cache_resource(max_entries=4, show_spinner=False)
def _images(path: Path, version: int) -> dict[str, Any]:
    from vae_core.latent.encodings import COLUMNS

    run = Run(path)
    encodings = encodings_of(run)
    assert encodings is not None
    height, width = encodings.thumbnails.shape[-2:]
    labels = encodings.labels
    return {
        "count": len(encodings.mu),
        "step": encodings.step,
        "labels": None if labels is None else encoded(np.clip(labels, -1, 2**15 - 1), "<i2"),
        "label_names": list(encodings.label_names),
        "colors": list(LABELS),
        "places": encoded(encodings.indices, "<i4"),
        "names": packed_names(encodings.files),
        "thumbnails": {
            "version": str(version),
            "columns": COLUMNS,
            "width": width,
            "height": height,
        },
        # Explorers of the same images may start from one of them together.
        "group": hashlib.sha256(encodings.thumbnails.tobytes()).hexdigest()[:16],
    }
