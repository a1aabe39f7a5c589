"""A checkpoint in a run folder: the weights for everybody, the training state for a resume."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import save

from vae_core.errors import UserError
from vae_core.runs import NEXT_STATE, OBJECTIVE, STATE, WEIGHTS, Run
from vae_core.runs.states import read_state
from vae_core.training.events import Checkpoint


def save_checkpoint(run: Run, checkpoint: Checkpoint) -> None:
    """Write weights and state as one step: a process killed anywhere leaves the old or the new.

    The state comes whole under a name of its own. The weights, which say their step, replace those
    before them, and with that the save counts. Then the state takes its place; where that is not
    reached, `load_state` does it.

    Raises:
        UserError: when the disk is full or the folder cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(dict(checkpoint.state), buffer)
    run.write_bytes(NEXT_STATE, buffer.getvalue())
    run.sync()
    run.write_bytes(WEIGHTS, save(_weights(checkpoint), {"step": str(checkpoint.step)}))
    run.sync()
    run.rename(NEXT_STATE, STATE)
    run.sync()


def load_state(run: Run) -> Mapping[str, Any] | None:
    """The training state that belongs to the run's weights, None when the run has not saved one.

    For its only worker: a save that was cut off is completed where its weights had come, and
    dropped where they had not.

    Raises:
        UserError: when the file is damaged, or there are weights and no state.
    """
    committed = run.weights_step()
    if run.file(NEXT_STATE).exists():
        if committed is not None and _read(run, NEXT_STATE)["step"] == committed:
            run.rename(NEXT_STATE, STATE)
        else:
            run.file(NEXT_STATE).unlink()
    if run.file(STATE).exists():
        return _read(run, STATE)
    if committed:
        raise UserError(
            f"Run {run.id!r} has weights of step {committed} but no {STATE} to go on from; its "
            "weights can be explored, and a new run can be trained with its settings."
        )
    return None


def forget_after(run: Run, step: int, overrides: Mapping[str, float]) -> None:
    """Drop what a killed worker recorded after its last save: those steps come again.

    Args:
        overrides: the values set by hand that the save holds; others were set after it.
    """

    def was_saved(record: Mapping[str, Any]) -> bool:
        at = record.get("step", 0)
        if not isinstance(at, int | float):
            return False
        if record.get("kind") != "set" or at != step:
            return bool(at <= step)
        held = overrides.get(record.get("name", "beta"), math.nan)
        recorded = record.get("value", math.nan)  # rounded
        return math.isclose(held, recorded, rel_tol=1e-5)

    if not all(map(was_saved, run.each_record("history.jsonl"))):
        run.write_records("history.jsonl", filter(was_saved, run.each_record("history.jsonl")))
        for picture in run.file("previews").glob("*-*.png"):
            if int(picture.name.partition("-")[0]) > step:
                picture.unlink(missing_ok=True)


def _weights(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """The model's tensors by their names, and the objective's own behind a prefix."""
    own = checkpoint.state["modules"]["objective"]
    together = dict(checkpoint.weights) | {OBJECTIVE + name: own[name] for name in own}
    return {name: tensor.contiguous() for name, tensor in together.items()}


def _read(run: Run, name: str) -> dict[str, Any]:
    try:
        state = read_state(run, name)
        reason = "" if isinstance(state["step"], int) else "it names no step"
    except Exception as error:  # a damaged file fails in more ways than torch names
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    if reason:
        raise UserError(
            f"{name} of run {run.id!r} is damaged ({reason}); the run cannot be resumed exactly. "
            "Its weights can still be explored."
        )
    found: dict[str, Any] = state
    return found
