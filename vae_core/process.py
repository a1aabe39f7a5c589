"""How a process of ours is set up: its memory, its threads, and its priority.

This module must stay free of torch, whose libraries read the first two when they are loaded.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from typing import Any

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # malloc.h
NICENESS = 10

SPINS = 300
"""Times that a waiting thread of GNU's OpenMP, which is PyTorch's on Linux, looks whether it may go
on before it sleeps: a few microseconds, about as long as it waits between two operations. Of the
speed without any, 300 took 1.02 on a quiet machine, 0.98 beside a busy process and 0.99 beside a
second training; 1000 took 1.03, 0.95 and 0.95, OpenMP's own default 1.02, 0.62 and 0.11 (`python -m
benchmarks.waiting`, two cores, AVX2)."""


PARENT_VARIABLE = "VAE_PARENT"
"""In the environment of a process that is to end with the one that started it: the id of that."""


def prepare() -> None:
    """For training: keep the memory of a step for the next one, and let waiting threads sleep soon.

    glibc gives large buffers back after every step and takes them again, page fault by page
    fault: keeping them was ×1.23 to ×1.85 faster. OpenMP threads that spin while they wait cost
    a factor 15 as soon as anything competes for the cores, such as the page one is watching; so
    they spin for a moment only.
    Both figures: benchmarks/README.md.
    """
    if os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE") == "PASSIVE":  # and no person's choice
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))  # goes before it; others heed it alone
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # a GPU's sums in one order
    if "torch" in sys.modules:
        raise RuntimeError("prepare() must run before torch is imported")
    keep_memory()


def keep_memory() -> None:
    """Let the memory that a step has used lie ready for the next one."""
    set_malloc({M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 64 * 2**20})


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def give_back() -> None:
    """Hand the memory that lies ready to the system: what preparing has used is of no use to the
    steps, whose buffers are of other sizes. 50 MB of a training of the course network on MNIST."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def set_malloc(options: dict[int, int]) -> None:
    """Set options of glibc's malloc, in this order; others have none, and no need of them."""
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        for option, value in options.items():
            mallopt(option, value)


def _glibc(name: str) -> Any:
    """A function of glibc, None where that is not the C library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def yield_to_others() -> None:
    """Nice this process, and the session of processes that it leads, if it leads one.

    Linux shares the processor among sessions first and heeds niceness only within each
    (sched(7), "The autogroup feature"). A worker leads a session of its own so as to outlive the
    app: niced by itself alone it took as much as the server of the page, 3.0 of 3.0 s; with its
    session it takes 0.6 s of 5.4.
    """
    if not hasattr(os, "nice"):
        return
    os.nice(max(0, NICENESS - os.nice(0)))
    if os.getsid(0) == os.getpid():
        with suppress(OSError), open("/proc/self/autogroup", "r+") as session:
            session.write(str(NICENESS))
