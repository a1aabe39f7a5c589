"""Milliseconds until the nearest of many encodings are found, beside scikit-learn's search.

python -m benchmarks.image_search --json
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer

from vae_core.latent.search import NearestEncodings


def median_ms(search: Callable[[np.ndarray], object], queries: np.ndarray) -> float:
    """The median time of one query at a time."""
    times = []
    for query in queries:
        start = time.perf_counter()
        search(query[None])
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def measured(count: int, dimensions: int, k: int, rounds: int) -> dict[str, float]:
    """Ours and the rivals, in turns on the same encodings."""
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(0)
    mu = rng.normal(size=(count, dimensions)).astype(np.float32)
    queries = rng.normal(size=(rounds, dimensions)).astype(np.float32)
    ours = NearestEncodings(mu)
    brute = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(mu)
    tree = NearestNeighbors(n_neighbors=k, algorithm="ball_tree").fit(mu)
    searches: dict[str, Callable[[np.ndarray], object]] = {
        "ours": lambda query: ours.nearest(query, k),
        "scikit-learn brute": brute.kneighbors,
        "scikit-learn ball tree": tree.kneighbors,
    }
    for search in searches.values():
        search(queries[:1])
    return {name: round(median_ms(search, queries), 2) for name, search in searches.items()}


def main(
    count: Annotated[int, typer.Option(min=100, help="Encodings.")] = 100_000,
    k: Annotated[int, typer.Option(min=1, help="Neighbours.")] = 50,
    rounds: Annotated[int, typer.Option(min=1, help="Queries.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Search among encodings of 16 and of 128 dimensions."""
    found = {str(d): measured(count, d, k, rounds) for d in (16, 128)}
    if as_json:
        print(json.dumps({"encodings": count, "k": k, "ms": found}, indent=2))
        return
    for dimensions, times in found.items():
        shown = ", ".join(f"{name} {ms:.1f} ms" for name, ms in times.items())
        print(f"{count} × {dimensions}: {shown}")


if __name__ == "__main__":
    typer.run(main)
