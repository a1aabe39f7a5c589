"""Where runs are trained: as processes of this machine, or on machines that an engine looks after.

A place is one file that registers itself here, under the scheme of its address; `open_executor` is
the way in.
"""

from vae_core.training.executors.executor import (
    HERE,
    Executor,
    Share,
    Unreachable,
    check_place,
    executors,
    open_executor,
    parsed_share,
)

executors.discover(__name__, plugins="vae_core.executors")

__all__ = [
    "HERE",
    "Executor",
    "Share",
    "Unreachable",
    "check_place",
    "executors",
    "open_executor",
    "parsed_share",
]
