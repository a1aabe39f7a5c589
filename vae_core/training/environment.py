"""What a run was made with, for whoever opens it on another day on another machine."""

from __future__ import annotations

import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version

import torch

from vae_core.runs import Run, layout
from vae_core.runs.migrations import VERSION

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "pydantic", "safetensors")


def save_environment(run: Run, device: str, images_on_device: bool, processes: int = 1) -> None:
    """Write `environment.json`: the first session's environment, then every later one's.

    Args:
        images_on_device: whether the images of the training lie in the memory of a GPU.
        processes: how many trained it together.
    """
    session = {
        "version": VERSION,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": device,
        "images_on_device": images_on_device,
        "threads": torch.get_num_threads(),
        "processes": processes,
        "packages": {name: version(name) for name in PACKAGES},
        "command": ["python", "-m", "vae_core", *without_store(sys.argv[1:])],
    }
    first = run.environment().model_dump(exclude_unset=True)
    if first:
        first["resumed"] = [*first.get("resumed", []), session]
    run.write_json(layout.ENVIRONMENT, first or session)


def without_store(arguments: list[str]) -> list[str]:
    """The arguments less `--store DIR`: where a run lies is no part of how it was made."""
    kept, following = [], iter(arguments)
    for argument in following:
        if argument == "--store":
            next(following, None)
        elif not argument.startswith("--store="):
            kept.append(argument)
    return kept
