"""How a training process is set up, before torch is imported and after.

This module must stay free of torch: both settings are read when torch's libraries are loaded.
"""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # malloc.h


def prepare() -> None:
    """Keep the memory of a step for the next one, and let waiting threads sleep.

    glibc gives large buffers back after every step and takes them again, page fault by page
    fault: keeping them was ×1.23 to ×1.85 faster. OpenMP threads that spin while they wait cost
    a factor 15 as soon as anything competes for the cores, such as the page one is watching.
    Both figures: DESIGN's measured facts, kept in ARCHITECTURE.md.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "torch" in sys.modules:
        raise RuntimeError("prepare() must run before torch is imported")
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and no need of it
        if mallopt is not None:
            mallopt(M_MMAP_MAX, 0)
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
            mallopt(M_TOP_PAD, 64 * 2**20)
