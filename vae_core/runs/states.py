"""Reading a training state: a zip of tensors that nothing executes, and that grows no larger."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

from vae_core.errors import UserError

if TYPE_CHECKING:
    from vae_core.runs.run import Run

PER_WEIGHT, BESIDES = 12, 64 * 2**20
"""A state holds the weights, Adam's two averages, the best so far, and some of it twice; then what
does not grow with the weights."""


def read_state(run: Run, name: str) -> dict[str, Any]:
    """The values of a file that `torch.save` wrote, on the CPU.

    Raises:
        OSError: when it is missing, no regular file, or larger than the weights explain.
        Exception: when it is damaged, in more ways than torch names.
    """
    import torch

    most = PER_WEIGHT * run.size("model.safetensors") + BESIDES
    with run.opened(name) as file:
        with zipfile.ZipFile(file) as parts:
            unpacked = sum(part.file_size for part in parts.infolist())
            plain = all(part.compress_type == zipfile.ZIP_STORED for part in parts.infolist())
        if not plain:
            raise UserError("it is packed, which no version does")
        if max(unpacked, file.seek(0, 2)) > most:
            raise UserError(
                f"it has {unpacked / 1e6:.0f} MB, and its weights explain {most / 1e6:.0f} MB"
            )
        file.seek(0)
        found: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return found
