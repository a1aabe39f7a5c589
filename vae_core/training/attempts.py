"""What was begun is gone on with: torchrun runs the same command anew where a process was lost.

Its agent has a store that outlives the processes. There the first of them leaves the name of the
run that it trains, so that the next attempt neither makes another run nor adds epochs once more.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

ANSWER_S = 30.0


def meeting_store(patience_s: float = ANSWER_S) -> Any:
    """A connection of its own to the store in which the processes of a training have met. A
    RuntimeError when it does not answer."""
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(host, port, is_master=False, timeout=timedelta(seconds=patience_s))
    return PrefixStore(f"vae_core/{os.environ.get('TORCHELASTIC_RUN_ID', '')}", store)


def begun() -> str | None:
    """The run that an earlier attempt has begun, None where this is the first."""
    if not has_agent():
        return None
    store = meeting_store()
    return store.get("run").decode() if store.check(["run"]) else None


def begin(name: str) -> None:
    """Leave the name of the run for later attempts."""
    if has_agent():
        meeting_store().set("run", name)


def has_agent() -> bool:
    """Whether an agent of torch has started this process, and has the store."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
