"""What surrounds the sliders: the encodings on a map, their labels and their thumbnails."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import streamlit as st

from latent_workbench.live.resources import Sliders, encodings_of, encodings_version, sliders_of
from latent_workbench.shared.explore_view import PRINCIPAL
from vae_core.latent.explored import images_told, plane_told
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


@st.cache_resource(max_entries=16, show_spinner=False)
def _plane(path: Path, version: int, name: str, _chosen: Sliders) -> dict[str, Any]:
    """The plane of the first two directions, which `name` is the fingerprint of."""
    found = _chosen.directions
    encodings = encodings_of(Run(path))
    assert encodings is not None
    return plane_told(found, _chosen.names, encodings.mu)


@st.cache_resource(max_entries=4, show_spinner=False)
def _images(path: Path, version: int) -> dict[str, Any]:
    from vae_core.latent.encodings import COLUMNS

    run = Run(path)
    encodings = encodings_of(run)
    assert encodings is not None
    return images_told(encodings, str(version), COLUMNS)
