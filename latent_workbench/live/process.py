"""How the server's process is set up: memory that is given back, and turns that are short."""

from __future__ import annotations

import sys

from vae_core.process import set_malloc

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h

ARENAS = 2
"""Heaps that malloc spreads threads over; each script run is a thread, and each heap keeps what
was freed in it."""
LARGE = 2 * 2**20
"""Bytes from which on memory is asked of the system and given back to it at once."""
TRIM = 8 * 2**20

TURN_S = 0.0005
"""Longest that a thread keeps Python to itself while another one waits for it."""


def set_up() -> None:
    """Call before threads are started.

    What encodings and surveys take for a moment is given back: with glibc's defaults, which learn
    from it to keep such blocks, the app holds 813 to 900 MB after five runs were looked at on all
    pages, with these 748 (`python -m benchmarks.server_memory`).

    A decoder lets go of Python at each of its layers and waits for it again. With Python's turns
    of 5 ms, a picture beside one busy script took 64 ms in 95 of 100 cases, beside three 256; with
    these it takes 16 and 46, and work as a whole is no slower.
    """
    sys.setswitchinterval(TURN_S)
    set_malloc({M_ARENA_MAX: ARENAS, M_MMAP_THRESHOLD: LARGE, M_TRIM_THRESHOLD: TRIM})
