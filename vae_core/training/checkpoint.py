"""A checkpoint in a run folder: the weights for everybody, the training state for a resume."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import save

from vae_core.errors import UserError
from vae_core.runs import BEST, NEXT_BEST, NEXT_STATE, OBJECTIVE, STATE, WEIGHTS, Run, layout
from vae_core.training.events import Checkpoint


def save_checkpoint(run: Run, checkpoint: Checkpoint) -> None:
    """Write weights and state as one step: a process killed anywhere leaves the old or the new.

    The state, and the best weights where they are new, come whole under names of their own. The
    weights, which say their step, replace those before them, and with that the save counts. Then
    the others take their places; where that is not reached, `load_state` does it.

    Raises:
        UserError: when the disk is full or the folder cannot be written.
    """
    state = _on_host(checkpoint.state)
    if checkpoint.best is not None:
        run.write_bytes(NEXT_BEST, _weights(checkpoint.best, state["best"]["step"]))
    buffer = io.BytesIO()
    torch.save(state, buffer)
    run.write_bytes(NEXT_STATE, buffer.getvalue())
    run.sync()
    run.write_bytes(WEIGHTS, _weights(state["modules"], checkpoint.step))
    run.sync()
    _settle(run)
    run.sync()


def load_state(run: Run) -> Mapping[str, Any] | None:
    """The training state that belongs to the run's weights, None when the run has not saved one.

    For its only worker: a save that was cut off is completed where its weights had come, and
    dropped where they had not.

    Raises:
        UserError: when the file is damaged, or there are weights and no state.
    """
    committed = run.weights_step()
    if (
        run.file(NEXT_STATE).exists()
        and committed is not None
        and _read(run, NEXT_STATE)["step"] == committed
    ):
        _settle(run)
    for cut_off in (NEXT_STATE, NEXT_BEST):
        run.file(cut_off).unlink(missing_ok=True)
    if run.file(STATE).exists():
        state = _read(run, STATE)
        best = state.get("best") or {}
        if run.weights_step(BEST) != best.get("step"):  # damaged, or not of this state
            run.file(BEST).unlink(missing_ok=True)
            state["best"] = None
        return state
    if committed:
        raise UserError(
            f"Run {run.id!r} has weights of step {committed} but no {STATE} to go on from; its "
            "weights can be explored, and a new run can be trained with its settings."
        )
    return None


def forget_after(run: Run, state: Mapping[str, Any]) -> None:
    """Drop what was recorded after a save that is gone back to: those steps come again.

    Args:
        state: the training state of the save. It tells which of the values set by hand, returns
            and validations at its very step came before it.
    """
    step = state["step"]

    def was_saved(record: Mapping[str, Any]) -> bool:
        at = record.get("step", 0)
        if not isinstance(at, int | float):
            return False
        if at != step:
            return bool(at < step)
        match record.get("kind"):
            case "set":
                held = state["overrides"].get(record.get("name", "beta"), math.nan)
                recorded = record.get("value", math.nan)  # rounded
                return math.isclose(held, recorded, rel_tol=1e-5)
            case "preview":
                return bool(step > 0)  # every training begins with one
            case "validation":
                return bool(state.get("validated", step) == step)
            case "went_back":
                return bool(record.get("number", 0) <= state["recovery"]["returns"])
        return True

    if not all(map(was_saved, run.each_record(layout.HISTORY))):
        run.write_records(layout.HISTORY, filter(was_saved, run.each_record(layout.HISTORY)))
        for picture in run.file(layout.PREVIEWS).glob("*-*.png"):
            if int(picture.name.partition("-")[0]) > step:
                picture.unlink(missing_ok=True)


def _settle(run: Run) -> None:
    """Give what a save has written beside its weights the places of what was before."""
    if run.file(NEXT_BEST).exists():
        run.rename(NEXT_BEST, BEST)
    run.rename(NEXT_STATE, STATE)


def _on_host(state: Any) -> Any:
    """Nested values with every tensor in the memory of the CPU, where it was not copied once."""
    if isinstance(state, torch.Tensor):
        return state.cpu()
    if isinstance(state, Mapping):
        return {key: _on_host(value) for key, value in state.items()}
    return state


def _weights(modules: Mapping[str, Mapping[str, torch.Tensor]], step: int) -> bytes:
    """A file of the model's tensors by their names, and the objective's own behind a prefix."""
    prefixed = (("", modules["model"]), (OBJECTIVE, modules["objective"]))
    together = {p + name: each.contiguous() for p, own in prefixed for name, each in own.items()}
    return save(together, {"step": str(step)})


def _read(run: Run, name: str) -> dict[str, Any]:
    try:
        state = run.training_state(name)
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
