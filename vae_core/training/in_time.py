"""A worker that was told to stop has stopped within two seconds, in every phase."""

from __future__ import annotations

import sys
from contextlib import suppress

from vae_core.errors import UserError
from vae_core.runs import ACTIVE, Run
from vae_core.training.control import ControlFile
from vae_core.training.watchdog import End, watch
from vae_core.training.wishes import Wishes

GRACE_S = 1.3
"""From the wish to the end of the process, where it does not end by itself."""

SAVING, SAVE_S = "Saving", 30.0
"""A save that is being written may take so long: a slow disk shall cost nobody his training."""


def stopped_in_time(run: Run, heard: int, wishes: Wishes) -> None:
    """Watch over the process of a worker, which hears `wishes`, from now on.

    What it keeps is its last save. The run folder then says during what it was stopped.
    """
    control = ControlFile(run, heard)  # an ear of its own: the worker's may be deaf for now
    watch(lambda: any(message.command == "stop" for message in control()), _end(run, wishes))


def _end(run: Run, wishes: Wishes) -> End:
    def end(seconds: float, number: int | None) -> int | None:
        if not wishes.began:
            with suppress(UserError), run.lock():
                say_stopped(run, wishes.doing)
            return 0
        if seconds < (SAVE_S if wishes.doing == SAVING else GRACE_S):
            return None
        if run.status().state in ACTIVE:
            with suppress(UserError):
                print(say_stopped(run, wishes.doing), file=sys.stderr, flush=True)
        return 0

    return end


def say_stopped(run: Run, doing: str) -> str:
    """Say in the run that it was stopped in the middle of something; the sentence."""
    step = run.weights_step()
    kept = (
        "Nothing had been saved yet; resume begins it anew."
        if step is None
        else f"The weights of step {step} are kept; resume goes on from there."
    )
    sentence = f"Stopped during this: {doing}. {kept}"
    said = {"state": "stopped", "message": sentence, "step": step or 0}
    run.set_status(run.status().model_copy(update=said))
    return sentence
