"""The live view of one run: state, progress, curves, KL per dimension and hold-out pictures."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import streamlit as st

from ui.theme import BETA, KL, RECONSTRUCTION
from vae_core.runs import Run

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "run_monitor",
    html=(_HERE / "monitor.html").read_text(encoding="utf-8"),
    css=(_HERE / "monitor.css").read_text(encoding="utf-8"),
    # One module: what is used first, then what uses it.
    js="".join(
        (_HERE / name).read_text(encoding="utf-8")
        for name in ("charts.js", "previews.js", "monitor.js")
    ),
    # Plotly puts its styles into the document's head, where a shadow root does not see them.
    isolate_styles=False,
)


def monitor(run: Run, state: str, has_kl: bool) -> None:
    """Mount the live view of `run`.

    Args:
        state: the run's state as this script run saw it; when the browser learns of another,
            the script runs again.
        has_kl: whether the family has a KL to show per dimension.
    """
    data: dict[str, Any] = {
        "run": run.id,
        "state": state,
        "has_kl": has_kl,
        "colors": {"recon": RECONSTRUCTION, "kl": KL, "beta": BETA},
        "plotly": f"/live/plotly.min.js?v={version('plotly')}",
    }
    _mount(key="run-monitor", data=data, on_state_change=lambda: None)
