"""Sliders through a latent space whose picture follows the hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import streamlit as st

from ui.live.models import is_warming_up, wait_until_warm, weights_version
from ui.loaded import PRIOR, sliders_of
from ui.state import app_state
from vae_core.runs import Run

Mode = Literal["full", "hero"]
SLIDERS: dict[Mode, int] = {"full": 8, "hero": 2}
HEIGHTS: dict[Mode, int] = {"full": 480, "hero": 300}
"""In px; held from the first moment, so that nothing below jumps."""

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "latent_explorer",
    css=(_HERE / "explorer.css").read_text(encoding="utf-8"),
    # One module: the wire first, then what uses it.
    js="".join((_HERE / name).read_text(encoding="utf-8") for name in ("wire.js", "explorer.js")),
)


def explorer(run: Run, kind: str, mode: Mode, title: str = "") -> None:
    """Mount the explorer on `run` with sliders of `kind`; it takes up where it was left.

    Raises:
        UserError: when the run has no weights yet or is damaged.
    """
    positions = app_state().positions
    key = f"explorer-{mode}"

    def remember() -> None:
        position = st.session_state[key].get("position")
        if position is not None:
            positions[run.id] = position

    if is_warming_up():  # for some seconds after the server's start
        _mount(key=key, data=waiting_data(run, mode, title), height=HEIGHTS[mode])
        wait_until_warm()
        st.rerun()
    data = explorer_data(run, kind, mode, positions.get(run.id)) | {"title": title}
    _mount(key=key, data=data, height=HEIGHTS[mode], on_position_change=remember)


def waiting_data(run: Run, mode: Mode, title: str) -> dict[str, Any]:
    """As `explorer_data`, of what is known before the engine is there: the explorer's outline."""
    count = min(SLIDERS[mode], run.config().model.latent_dim)
    return {
        "identity": "waiting",
        "waiting": True,
        "run": run.id,
        "mode": mode,
        "title": title,
        "shape": list(run.data_card().image_shape),
        "center": [],
        "vectors": [[] for _ in range(count)],
        "deviations": [0.0] * count,
        "explained": None,
        "names": [str(i + 1) for i in range(count)],
        "position": None,
    }


def explorer_data(run: Run, kind: str, mode: Mode, position: list[float] | None) -> dict[str, Any]:
    """What the JavaScript needs, as plain JSON; `position` is a latent vector to start from."""
    sliders = sliders_of(run, kind)
    directions = sliders.directions
    count = min(SLIDERS[mode], len(directions.vectors))
    fits = position is not None and len(position) == len(directions.center)
    return {
        "identity": f"{run.id}/{weights_version(run)}/{sliders.kind}",
        "run": run.id,
        "mode": mode,
        "shape": list(run.data_card().image_shape),
        "center": directions.center.tolist(),
        "vectors": directions.vectors[:count].tolist(),
        "deviations": directions.deviations[:count].tolist(),
        "explained": None if sliders.kind == PRIOR else directions.explained[:count].tolist(),
        "names": list(sliders.names[:count]),
        "position": position if fits else None,
    }
