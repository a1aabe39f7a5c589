"""Memory that is short: how it shows, and which batch would have fitted."""

from __future__ import annotations

from collections.abc import Callable

import torch

SIGNS = ("DefaultCPUAllocator", "out of memory", "bad_alloc", "Cannot allocate memory")
"""What libraries say, in errors of no class of their own, when they are refused memory."""


def is_short(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory, on the CPU or on another device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError | OSError) and any(sign in str(error) for sign in SIGNS)


def too_large(failed: int, attempt: Callable[[int], object]) -> str:
    """A sentence on a batch that memory did not hold, and on one that it does.

    That is the largest half, quarter, … with which `attempt` succeeds: really tried, as nothing
    tells how much each kind of step needs.
    """
    fits = failed // 2
    while fits and not _succeeds(attempt, fits):
        fits //= 2
    if fits:
        return (
            f"There is not enough memory for a step on {failed} images; one on {fits} worked. "
            f"Train again with train.batch_size={fits}."
        )
    return (
        f"There is not enough memory for a step on {failed} images, nor on one. Train a smaller "
        "network or smaller images, or end what else takes memory and resume."
    )


def _succeeds(attempt: Callable[[int], object], size: int) -> bool:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    try:
        attempt(size)
    except Exception as error:  # a batch of one is too small for some networks
        return not is_short(error) and size > 1
    return True
