"""Memory that is short: seen before the first step where that is possible, and said with a batch
that would fit.

Where a system promises more memory than it has, a process that takes too much is killed without a
word, and a library that is refused memory may crash. So what a step needs at least is counted
first, on a few images: what is kept for its backward pass. That grows with the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import Tensor

from vae_core.data import Images

PROBE_IMAGES = 4
"""Images of the larger of two steps whose difference is counted; the other has half of them."""

MIN_FACTOR, SAFE_FACTOR = 1.25, 2.5
"""A step takes this many times what it keeps for its backward pass, and fits into that many: from
1.36 for a network with batch normalisation to 2.2 for one with several draws, measured at its peak,
where it is large enough to matter."""

RESIDENT_SHARE = 0.25
"""Of the free memory of a GPU: what images may take that are kept there."""

CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class MemoryBudget:
    """What a step keeps for each image, and what was free before the first; in bytes.

    shares: into how many a batch is divided, of which one is computed at once.
    parts: into how many of them by `train.accumulate`; None where that cannot be had.
    """

    per_image: float
    free: float
    shares: int = 1
    parts: int | None = None

    def refusal(self, batch: int) -> str:
        """Why a step on `batch` images cannot be tried, "" where it can."""
        least = MIN_FACTOR * self.per_image * batch / self.shares
        if least <= self.free:
            return ""
        needed = f"A step on {batch} images needs at least {_size(least)} of memory"
        return f"{needed}, and {_size(self.free)} are free. {self._advice(batch)}"

    def shortage(self, batch: int) -> str:
        """What to say where the memory of a step was refused."""
        said = f"There is not enough memory for a step on {batch} images"
        return f"{said}: {_size(self.free)} were free. {self._advice(batch)}"

    def _advice(self, batch: int) -> str:
        """What to do about a batch that did not fit: the half, quarter, … that does."""
        fits = batch // 2
        while fits and self.per_image * fits / self.shares * SAFE_FACTOR > self.free:
            fits //= 2
        if not fits:
            return "Train a smaller network or smaller images, or free memory and resume."
        said = f"Train again with train.batch_size={fits}"
        if self.parts is not None:
            more = self.parts * math.ceil(batch / fits)
            said += f", or with train.accumulate={more} for the same batches"
        return f"{said}, or free memory and resume."


def measure_memory(dry_run: Callable[[int], object], device: torch.device) -> MemoryBudget:
    """Count what is kept for the backward pass of two small steps; `dry_run` runs one on as many
    images, without taking it."""
    small, large = (_saved_for_backward(dry_run, n) for n in (PROBE_IMAGES // 2, PROBE_IMAGES))
    return MemoryBudget((large - small) / (PROBE_IMAGES - PROBE_IMAGES // 2), free_memory(device))


def free_memory(device: torch.device) -> float:
    """Bytes that this process may still take: of the device, else of machine, container and
    process, whichever is the least."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + kept)  # what torch keeps, it gives again
    free = [float(psutil.virtual_memory().available + psutil.swap_memory().free)]
    process = psutil.Process()
    if psutil.LINUX:
        used = process.memory_info()
        for limit, taken in ((psutil.RLIMIT_AS, used.vms), (psutil.RLIMIT_DATA, used.data)):
            most = process.rlimit(limit)[0]
            free += [] if most == psutil.RLIM_INFINITY else [float(most - taken)]
    return max(0.0, min(*free, *_left_in_cgroups()))


def fits_on_device(images: Images, device: torch.device) -> bool:
    """Whether a GPU has the room to keep all images, as bytes, beside a training and what else it
    does; the CPU has them where they are."""
    size = math.prod(images.shape)
    return device.type == "cuda" and size <= RESIDENT_SHARE * free_memory(device)


def _left_in_cgroups() -> list[float]:
    """What the limits of the control groups that this process is in leave; [inf] without one."""
    left = [float("inf")]
    try:
        place = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().lstrip("/")
    except OSError:
        return left
    group = CGROUP / place
    for each in (group, *group.parents):
        try:
            most, used = ((each / f"memory.{name}").read_text() for name in ("max", "current"))
            stat = dict(line.split() for line in (each / "memory.stat").read_text().splitlines())
            left.append(float(most) - float(used) + float(stat["inactive_file"]))
        except (OSError, ValueError, KeyError):  # "max", or not a group
            continue
    return left


def _saved_for_backward(dry_run: Callable[[int], object], images: int) -> int:
    """Bytes of the tensors that autograd keeps in a step, each counted once."""
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        dry_run(images)
    return sum(sizes.values())


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
