"""A save comes to lie in a run folder as one step, whoever writes it: the worker that trained, or
who brings it from another machine.

The state, and the best weights where they are new, come whole under names of their own. The
weights, which say their step, replace those before them, and with that the save counts. Then the
others take their places; where that is not reached, whoever loads the state does it.
"""

from __future__ import annotations

from collections.abc import Iterable

from vae_core.runs.layout import BEST, NEXT_BEST, NEXT_STATE, STATE, WEIGHTS
from vae_core.runs.run import Run

Content = bytes | Iterable[bytes]
"""A file whole, or in pieces."""


def write_save(run: Run, weights: Content, state: Content, best: Content | None) -> None:
    """Write what a save consists of; a process killed anywhere leaves the old one or the new.

    Args:
        best: None where the best weights are those of the save before.

    Raises:
        UserError: when the disk is full or the folder cannot be written.
    """
    if best is not None:
        run.write_bytes(NEXT_BEST, best)
    run.write_bytes(NEXT_STATE, state)
    run.sync()
    run.write_bytes(WEIGHTS, weights)
    run.sync()
    commit(run)
    run.sync()


def commit(run: Run) -> None:
    """Give what a save has written beside its weights the places of what was before."""
    if run.file(NEXT_BEST).exists():
        run.rename(NEXT_BEST, BEST)
    run.rename(NEXT_STATE, STATE)
