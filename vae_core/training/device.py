"""Which device trains, set up so that a training computes the same bits each time."""

from __future__ import annotations

import torch

from vae_core.errors import UserError
from vae_core.process import cores
from vae_core.training.distributed import ALONE, Distributed


def choose_device(name: str, group: Distributed = ALONE) -> torch.device:
    """The device called `name`; "auto" is a GPU where there is one. Of several processes on a
    machine each has a GPU of its own. A UserError when it is not there."""
    several = group.local_world > 1
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available() and not several,
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, present in there.items() if present)
    if not there[name]:
        raise UserError(f"train.device: there is no {name} device here; use auto or cpu.")
    if name != "cuda" or not several:
        return torch.device(name)
    if group.local_world > room_for(name):
        raise UserError(
            f"train.device: {group.local_world} processes were started here and there are "
            f"{room_for(name)} GPUs; each needs one of its own."
        )
    torch.cuda.set_device(group.local_rank)
    return torch.device("cuda", group.local_rank)


def choose_threads(wish: int | None, group: Distributed = ALONE) -> int:
    """CPU threads of this process: as many as wished for, or its share of the cores."""
    return wish or max(1, room_for("cpu") // group.local_world)


def room_for(kind: str) -> int:
    """How many processes can train at once: one on each device of this kind, or on each core."""
    if kind == "cuda":
        return torch.cuda.device_count()
    if kind != "cpu":
        return 1
    return cores()


def make_exact(device: torch.device) -> None:
    """Have a GPU take the algorithms that add in one order: a resumed run then ends with the very
    weights of one that was never stopped. Where torch has none for an operation it warns.

    cuBLAS reads `CUBLAS_WORKSPACE_CONFIG` (`vae_core.process.prepare`) for the same.

    Source: PyTorch's notes on reproducibility.
    """
    if device.type != "cuda":
        return
    torch.backends.cudnn.benchmark = False  # it chooses by the clock
    torch.backends.cudnn.deterministic = True
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def describe(device: torch.device) -> str:
    """The device as a person knows it: a GPU by the name of its card."""
    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"
