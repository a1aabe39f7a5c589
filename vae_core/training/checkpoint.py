"""A checkpoint in a run folder: the weights for everybody, the training state for a resume."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import save

from vae_core.errors import UserError
from vae_core.runs import WEIGHTS, Run
from vae_core.training.events import Checkpoint

STATE = "training_state.pt"


def save_checkpoint(run: Run, checkpoint: Checkpoint) -> None:
    """Write both files, each atomically. The state holds the weights too, so that a process
    killed between the two writes leaves nothing that does not fit together."""
    buffer = io.BytesIO()
    torch.save(dict(checkpoint.state), buffer)
    run.write_bytes(STATE, buffer.getvalue())
    weights = {name: tensor.contiguous() for name, tensor in checkpoint.weights.items()}
    run.write_bytes(WEIGHTS, save(weights, {"step": str(checkpoint.step)}))


def load_state(run: Run) -> Mapping[str, Any] | None:
    """The training state to resume from, None when the run has not saved one.

    Raises:
        UserError: when the file is damaged.
    """
    path = run.file(STATE)
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{STATE} of run {run.id!r} is damaged ({reason}); the run cannot be resumed exactly. "
            "Its weights can still be explored."
        ) from None
    return state


def forget_after(run: Run, step: int, overrides: Mapping[str, float]) -> None:
    """Drop what a killed worker recorded after its last save: those steps come again.

    Args:
        overrides: the values set by hand that the save holds; others were set after it.
    """

    def was_saved(record: Mapping[str, Any]) -> bool:
        at = record.get("step", 0)
        if record.get("kind") != "set" or at != step:
            return bool(at <= step)
        held = overrides.get(record.get("name", "beta"), math.nan)
        recorded = record.get("value", math.nan)  # rounded
        return math.isclose(held, recorded, rel_tol=1e-5)

    records, _ = run.history()
    kept = [record for record in records if was_saved(record)]
    if len(kept) < len(records):
        lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in kept)
        run.write_bytes("history.jsonl", lines.encode())
        for picture in run.file("previews").glob("*-*.png"):
            if int(picture.name.partition("-")[0]) > step:
                picture.unlink(missing_ok=True)
