"""Simulated draggers: WebSocket clients that ask for the next picture as soon as one is there.

`python -m benchmarks.draggers URL LATENT_SIZE CLIENTS SECONDS` prints one JSON object. It is a
process of its own, so that the clients' work is not the server's.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from typing import Any

import numpy as np
from websockets.asyncio.client import connect

from latent_workbench.live.protocol import REPLY, REQUEST

NEAREST = 5
"""Explore asks for as many neighbours with each picture."""


async def drag(url: str, size: int, until: float, phase: float) -> list[float]:
    """Move along the first axis to and fro; seconds that each picture took."""
    times: list[float] = []
    z = np.zeros((1, size), "<f4")
    async with connect(url, compression=None, max_size=None) as socket:
        while (start := time.perf_counter()) < until:
            z[0, 0] = 3 * math.sin(phase + len(times) / 20)
            await socket.send(REQUEST.pack(len(times), 1, NEAREST) + z.tobytes())
            reply = await socket.recv()
            sequence, status = REPLY.unpack_from(reply)[:2]  # type: ignore[arg-type]
            if status or sequence != len(times):
                raise SystemExit(f"The server answered {reply!r}.")
            times.append(time.perf_counter() - start)
    return times


async def drag_together(url: str, size: int, clients: int, seconds: float) -> dict[str, Any]:
    """`clients` at once for `seconds`: pictures a second of each, milliseconds of all."""
    until = time.perf_counter() + seconds
    everyone = await asyncio.gather(*(drag(url, size, until, 0.4 * i) for i in range(clients)))
    rates = [len(times) / seconds for times in everyone]
    ms = 1e3 * np.concatenate(everyone)
    return {
        "clients": clients,
        "seconds": seconds,
        "pictures": len(ms),
        "pictures_per_s_slowest": round(min(rates), 1),
        "pictures_per_s_fastest": round(max(rates), 1),
        "pictures_per_s_together": round(sum(rates), 1),
        "ms": {f"p{p}": round(float(np.percentile(ms, p)), 2) for p in (50, 95, 100)},
    }


if __name__ == "__main__":
    url, size, clients, seconds = sys.argv[1:]
    result = asyncio.run(drag_together(url, int(size), int(clients), float(seconds)))
    print(json.dumps(result))
