"""The live view of one run: state, progress, curves, KL per dimension and hold-out pictures."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from latent_workbench.components import component
from latent_workbench.shared.theme import BETA, KL, RECONSTRUCTION
from vae_core.errors import UserError
from vae_core.families import Quantity
from vae_core.runs import Run, validated_on

STEPS = {
    "gradient_norm": Quantity(
        "Gradient norm",
        "‖g‖₂",
        help="How steep the loss is, before anything is clipped: where this jumps, steps go wrong.",
    ),
    "learning_rate": Quantity("Learning rate", "", help="How far a step goes."),
}
"""What a run records of its steps beside the terms."""

# Plotly puts its styles into the document's head, where a shadow root does not see them.
_mount = component("run_monitor", "monitor", isolate_styles=False)


def _validation(run: Run) -> dict[str, Any]:
    """What the dashed curves are measured on; a record that counts its images goes before."""
    try:
        part = validated_on(run)
    except UserError:  # it has no data yet, or its damage is told where the run is shown
        return {"count": 0, "part": "validation"}
    return {"count": part.images, "part": part.split}


def _hold_outs(run: Run) -> list[str]:
    """Names of the files of the images in the previews, once they are known."""
    try:
        return list(run.data_card().hold_outs)
    except UserError:
        return []


def monitor(run: Run, state: str, terms: Mapping[str, Quantity]) -> None:
    """Mount the live view of `run`.

    Args:
        state: the run's state as this script run saw it; when the browser learns of another,
            the script runs again.
        terms: what the run's family logs. Reconstruction, KL and total share one chart; each of
            the others gets a small one with its own unit.
    """
    data: dict[str, Any] = {
        "run": run.id,
        "state": state,
        "has_kl": "kl" in terms,
        "measured_on": _validation(run),
        "hold_outs": _hold_outs(run),
        "terms": {
            name: {"label": quantity.label, "unit": quantity.unit, "help": quantity.help}
            for name, quantity in {**terms, **STEPS}.items()
        },
        "steps": list(STEPS),
        "colors": {"recon": RECONSTRUCTION, "kl": KL, "beta": BETA},
        "plotly": version("plotly"),
    }
    _mount(key="run-monitor", data=[data], on_state_change=lambda: None)
