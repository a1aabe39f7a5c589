"""A class at work: two dozen sessions drag and browse for minutes beside two training runs.

Six Chromium pages drag on Explore, Streamlit sessions run page after page over their own socket,
the rest are raw live sockets that move a hand 30 times a second. The app serves copies of the
shipped runs out of a store of its own, in which two small runs train on one thread each.

What was promised is told beside what was measured: no error, no session lost, 95 of 100 drags
answered within 150 ms, memory flat after the first fifth of the time. Browser, clients and training
share the machine with the server, so judge the times by the load that is printed with them.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Annotated, Any

import numpy as np
import psutil
import typer

from benchmarks.app import ROOT, served, training
from benchmarks.soak_pages import Watched, pages
from vae_core.locations import DEFAULT_STORE
from vae_core.runs import Store

P95_MS = 150.0
"""What 95 of 100 drags have to stay below."""
GROWTH_MB_PER_MINUTE = 3.0
"""A slope of the server's memory, after warming up, that still counts as flat."""
WARM_UP = 0.2
SAMPLE_EVERY_S = 10.0
TRAINED = {"background-digits": "digits-vae", "background-sprites": "sprites-vae"}


@dataclass(frozen=True)
class Sample:
    """The machine at one moment."""

    second: float
    server_mb: float
    """Resident, with 10⁶ bytes a MB."""
    server_cores: float
    """Cores that the server kept busy since the sample before."""
    load: float
    """The machine's load average over one minute."""


def copies(store: Store) -> list[str]:
    """Copies of all shipped runs in `store`; their names."""
    names = sorted(run.id for run in Store(DEFAULT_STORE))
    for name in names:
        shutil.copytree(DEFAULT_STORE / name, store.path / name)
    return names


async def watch(server: psutil.Process, began: float, until: float) -> list[Sample]:
    """The server every ten seconds."""
    samples: list[Sample] = []
    server.cpu_percent()
    while True:
        await asyncio.sleep(min(SAMPLE_EVERY_S, max(0.1, until - time.monotonic())))
        with suppress(psutil.NoSuchProcess):
            samples.append(
                Sample(
                    round(time.monotonic() - began, 1),
                    round(server.memory_info().rss / 1e6, 1),
                    round(server.cpu_percent() / 100, 2),
                    round(os.getloadavg()[0], 2),
                )
            )
        if time.monotonic() >= until or not server.is_running():
            return samples


async def clients(
    url: str, raw: int, sessions: int, seconds: float, runs: list[str]
) -> dict[str, Any]:
    """What `benchmarks.soak_clients` measures, in a process of its own.

    Raises:
        RuntimeError: when it fails or does not come back a minute and a half after its time.
    """
    sizes = {name: Store(DEFAULT_STORE).get(name).config().model.latent_dim for name in runs}
    words = [url.removeprefix("http://"), raw, sessions, seconds]
    words += [f"{name}:{size}" for name, size in sizes.items()]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.soak_clients", *map(str, words)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), seconds + 90)
    except TimeoutError:
        raise RuntimeError("The clients did not come back.") from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise RuntimeError("The clients failed; see above.")
    found: dict[str, Any] = json.loads(out)
    return found


async def soak(
    url: str, server: psutil.Process, runs: list[str], counts: dict[str, int], seconds: float
) -> dict[str, Any]:
    """Everybody at once for `seconds`."""
    began = time.monotonic()
    until = began + seconds
    watched, told, samples = await asyncio.gather(
        asyncio.wait_for(pages(url, runs, counts["chromium"], until), seconds + 180),
        clients(url, counts["raw"], counts["streamlit"], seconds, runs),
        watch(server, began, until),
    )
    return summary(watched, told, samples) | {"server_alive": server.is_running()}


def summary(watched: list[Watched], told: dict[str, Any], samples: list[Sample]) -> dict[str, Any]:
    """Percentiles, counted errors and the memory's slope out of what everybody lived through."""
    errors = Counter([*told["errors"], *(error for each in watched for error in each.errors)])
    return {
        "drag_ms": {
            "raw": percentiles(told["raw_ms"]),
            "chromium": percentiles([ms for each in watched for ms in each.ms]),
        },
        "script_s": {
            page: percentiles(seconds, 2) for page, seconds in sorted(told["script_s"].items())
        },
        "errors": sum(errors.values()),
        "error_messages": dict(errors.most_common(20)),
        "sessions_lost": told["lost"] + sum(each.lost for each in watched),
        "sent_to_sessions_mb": told["sent_to_sessions_mb"],
        "memory": memory(samples),
        "samples": [asdict(sample) for sample in samples],
    }


def percentiles(values: list[float], digits: int = 1) -> dict[str, float]:
    """How many, and p50, p95, p99 and the largest; without figures where there are none."""
    if not values:
        return {"count": 0}
    figures = {f"p{p}": round(float(np.percentile(values, p)), digits) for p in (50, 95, 99)}
    return {"count": len(values), **figures, "max": round(max(values), digits)}


def memory(samples: list[Sample]) -> dict[str, float]:
    """Resident MB at first, at most and at last, and the slope after warming up in MB a minute."""
    if not samples:
        return {}
    warm = [each for each in samples if each.second >= WARM_UP * samples[-1].second]
    minutes, megabytes = [s.second / 60 for s in warm], [s.server_mb for s in warm]
    slope = float(np.polyfit(minutes, megabytes, 1)[0]) if len(warm) > 2 else 0.0
    return {
        "first_mb": samples[0].server_mb,
        "most_mb": max(sample.server_mb for sample in samples),
        "last_mb": samples[-1].server_mb,
        "growth_mb_per_minute": round(slope, 2),
    }


def kept(result: dict[str, Any]) -> dict[str, bool]:
    """Which promises the measurement kept."""
    drags = [each for each in result["drag_ms"].values() if each["count"]]
    return {
        "no_error": result["errors"] == 0 and result["server_alive"],
        "no_session_lost": result["sessions_lost"] == 0,
        "p95_within_150_ms": all(each["p95"] <= P95_MS for each in drags),
        "memory_flat": result["memory"].get("growth_mb_per_minute", 0) <= GROWTH_MB_PER_MINUTE,
    }


def measure(minutes: float, sessions: int, browsers: int, beside_training: bool) -> dict[str, Any]:
    """The whole soak; each part says on stderr that it begins."""
    browsers = min(browsers, sessions)
    others = sessions - browsers
    counts = {"chromium": browsers, "streamlit": others // 3, "raw": others - others // 3}
    with ExitStack() as stack:
        store = Store(stack.enter_context(tempfile.TemporaryDirectory()))
        runs = copies(store)
        url, server = stack.enter_context(served(store))
        trained = []
        for name, preset in TRAINED.items() if beside_training else ():
            say(f"Starting {name}")
            trained.append(stack.enter_context(training(store, name, preset, threads=1)))
        steps = [run.status().step for run in trained]
        idle_mb = round(server.memory_info().rss / 1e6, 1)
        say(f"{sessions} sessions for {minutes:g} minutes")
        result = asyncio.run(soak(url, server, runs, counts, 60 * minutes))
        made = [run.status().step - before for run, before in zip(trained, steps, strict=True)]
    return {
        "minutes": minutes,
        "sessions": counts,
        "runs": runs,
        "training_steps_meanwhile": dict(zip(TRAINED, made, strict=False)),
        **result,
        "memory": {"idle_mb": idle_mb, **result["memory"]},
        "kept": kept(result),
        "cores": psutil.cpu_count(),
        "machine": platform.machine(),
        "versions": {name: version(name) for name in ("streamlit", "torch", "uvicorn")},
    }


def say(what: str) -> None:
    """Progress, away from the JSON."""
    print(f"{what} …", file=sys.stderr, flush=True)


def main(
    minutes: Annotated[float, typer.Option(min=0.2, help="How long everybody works.")] = 10,
    sessions: Annotated[int, typer.Option(min=1, help="Sessions at once, of all kinds.")] = 24,
    browsers: Annotated[int, typer.Option(min=0, help="How many of them are Chromium pages.")] = 6,
    beside_training: Annotated[bool, typer.Option(help="Train two runs meanwhile.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the app under a class of people; exit 1 where somebody saw an error."""
    result = measure(minutes, sessions, browsers, beside_training)
    if as_json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
    else:
        for kind, ms in result["drag_ms"].items():
            print(f"{kind:>9}: {ms}")
        print(f"{result['errors']} errors, {result['sessions_lost']} sessions lost.")
        print(f"Memory: {result['memory']}")
        print(f"Kept: {result['kept']}")
    if not (result["kept"]["no_error"] and result["kept"]["no_session_lost"]):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
