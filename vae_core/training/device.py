"""Which device trains, set up so that a training computes the same bits each time."""

from __future__ import annotations

import torch

from vae_core.errors import UserError
from vae_core.training.rank import usable_cores


def choose_device(name: str, number: int = 0, processes: int = 1) -> torch.device:
    """The device called `name`, for process `number` of so many on this machine; "auto" is a GPU
    where there is one. A UserError when it is not there, or there are not so many."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, present in there.items() if present)
    if not there[name]:
        raise UserError(f"train.device: there is no {name} device here; use auto or cpu.")
    if name != "cpu" and processes > (room := room_for(name)):
        raise UserError(
            f"train.device: {processes} processes need a {name} device each, and there is room for "
            f"{room} here; start as many."
        )
    if name != "cuda" or processes == 1:
        return torch.device(name)
    torch.cuda.set_device(number)
    return torch.device(name, number)


def room_for(kind: str) -> int:
    """How many processes can train at once: one on each device of this kind, or on each core."""
    return {"cuda": torch.cuda.device_count, "cpu": usable_cores}.get(kind, lambda: 1)()


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
