"""The scheduler as a process of its own, which outlives the browser and the server."""

from __future__ import annotations

from vae_core.errors import UserError
from vae_core.runs import layout
from vae_core.sweeps.state import ACTIVE
from vae_core.sweeps.sweep import Sweep
from vae_core.training.jobs import spawn


def launch(sweep: Sweep) -> None:
    """Start the scheduler of a sweep that has none; one that is paused is woken.

    Raises:
        UserError: when nothing is left to do, or its folder is damaged.
    """
    sweep.spec_to_run()
    state = sweep.state()
    if state.state in ("finished", "cancelled"):
        raise UserError(f"Sweep {sweep.id!r} is {state.state}; there is nothing to resume.")
    sweep.send("resume")
    if state.state in ACTIVE:
        return
    starting = sweep.last_status().model_copy(update={"state": "starting"})
    sweep.write_json(layout.SWEEP_STATE, starting)
    spawn(sweep, ["sweep-work", sweep.id], sweep.store.path)
