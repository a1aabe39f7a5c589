"""From the host's memory to a device's, without waiting for it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def on_device(array: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """An array, or a tensor of the host, as a tensor on `device`; on the CPU in the same memory.

    Through pinned memory a GPU fetches it while the host goes on. From any other the host has to
    wait until everything that it has asked the GPU for before is done.
    """
    return sent(pinned(array, device), device)


def pinned(array: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """An array as a tensor on the host, in memory that `device` fetches by itself where it can."""
    tensor = torch.from_numpy(array) if isinstance(array, np.ndarray) else array
    return tensor.pin_memory() if device.type == "cuda" else tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """What `pinned` gave, on `device`."""
    return tensor.to(device, non_blocking=device.type == "cuda")
