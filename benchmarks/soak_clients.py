"""The clients of a soak that are no browsers, in a process of their own.

`python -m benchmarks.soak_clients HOST:PORT RAW SESSIONS SECONDS RUN:SIZE…` prints one JSON object.
A raw client moves a hand 30 times a second over the live socket of one run. Like the page, it has
one request in flight, and of the moves that come meanwhile only the newest is sent. What it
measures begins with that move, so waiting for the answer before counts.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from benchmarks.streamlit_session import Visit, visit
from latent_workbench.live.protocol import REPLY, REQUEST

MOVES_A_SECOND = 30
NEAREST = 5
"""Explore asks for as many neighbours with each picture."""
PATIENCE_S = 30.0
"""As long as the page waits for an answer before it opens its socket anew."""
PAUSE_S = 5.0
"""Between two script runs of a session."""

PAGES = ["", "explore", "train", "grids", "encodings", "tune-beta"]


@dataclass
class Dragged:
    """What one raw client lived through; milliseconds from a move to its picture."""

    ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lost: bool = False


async def drag(url: str, size: int, until: float, phase: float) -> Dragged:
    """Move along the first axes to and fro, 30 times a second."""
    seen, z = Dragged(), np.zeros((1, size), "<f4")
    await asyncio.sleep(phase)
    try:
        async with connect(url, compression=None, max_size=None) as socket:
            began, number = time.monotonic(), 0
            while (now := time.monotonic()) < until:
                # The newest move that the hand has made by now, or the next one.
                due = max(number + 1, math.floor((now - began) * MOVES_A_SECOND))
                moved = began + due / MOVES_A_SECOND
                await asyncio.sleep(max(0.0, moved - now))
                number = due
                z[0, :2] = 3 * math.sin(phase + number / 20), 2 * math.cos(phase + number / 33)
                await socket.send(REQUEST.pack(number, 1, NEAREST) + z.tobytes())
                reply = await asyncio.wait_for(socket.recv(), PATIENCE_S)
                seen.ms.append(1e3 * (time.monotonic() - moved))
                sequence, status = REPLY.unpack_from(reply)[:2]  # type: ignore[arg-type]
                if status or sequence != number:
                    seen.errors.append(f"The server answered {bytes(reply[:200])!r}")  # type: ignore[arg-type]
    except TimeoutError:
        seen.errors.append(f"No answer within {PATIENCE_S:.0f} s")
    except (ConnectionClosed, OSError) as error:
        seen.lost = True
        seen.errors.append(f"The socket was lost: {error}")
    return seen


async def everyone(
    host: str, raw: int, sessions: int, seconds: float, runs: list[tuple[str, int]]
) -> dict[str, Any]:
    """`raw` draggers and `sessions` of Streamlit for `seconds`, spread over `runs` (name, size)."""
    until = time.monotonic() + seconds
    drags: list[asyncio.Task[Dragged]] = []
    visits: list[asyncio.Task[Visit]] = []
    for i in range(raw):
        name, size = runs[i % len(runs)]
        url = f"ws://{host}/live/decode/{name}"
        drags.append(asyncio.create_task(drag(url, size, until, 0.4 * i)))
    for i in range(sessions):
        first = i % len(PAGES)
        pages, query = PAGES[first:] + PAGES[:first], f"run={runs[i % len(runs)][0]}"
        url = f"ws://{host}/_stcore/stream"
        visits.append(asyncio.create_task(visit(url, pages, query, until, PAUSE_S, 0.7 * i)))
    dragged, visited = await asyncio.gather(*drags), await asyncio.gather(*visits)
    both: list[Dragged | Visit] = [*dragged, *visited]
    return {
        "raw_ms": [ms for each in dragged for ms in each.ms],
        "script_s": merged(visited),
        "errors": [error for each in both for error in each.errors],
        "lost": sum(each.lost for each in both),
        "sent_to_sessions_mb": round(sum(each.megabytes for each in visited), 1),
    }


def merged(visits: list[Visit]) -> dict[str, list[float]]:
    """Seconds of all script runs by page."""
    found: dict[str, list[float]] = {}
    for each in visits:
        for page, seconds in each.seconds.items():
            found.setdefault(page, []).extend(seconds)
    return found


if __name__ == "__main__":
    host, raw, sessions, seconds, *named = sys.argv[1:]
    runs = [(name, int(size)) for name, _, size in (word.rpartition(":") for word in named)]
    print(json.dumps(asyncio.run(everyone(host, int(raw), int(sessions), float(seconds), runs))))
