"""Which β to take, by three rules, each with its reason in a sentence."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from vae_core.sweeps.results import Result

LEAST_KNEE = 0.05
"""A curve that leaves its chord by less than a twentieth of its size is as good as straight."""


@dataclass(frozen=True)
class Suggestion:
    """A β, the name of the rule that chose it, and why."""

    rule: str
    beta: float
    reason: str


@dataclass(frozen=True)
class Point:
    """The mean over the runs of one β: nats per image, and dimensions in use."""

    beta: float
    rate: float
    distortion: float
    active: float

    @property
    def elbo(self) -> float:
        return -(self.rate + self.distortion)


def by_beta(results: Sequence[Result]) -> list[Point]:
    """One point a β, rising: the mean over seeds."""
    points = []
    for beta in sorted({result.beta for result in results}):
        same = [result for result in results if result.beta == beta]
        points.append(
            Point(
                beta,
                statistics.fmean(result.rate for result in same),
                statistics.fmean(result.distortion for result in same),
                statistics.fmean(result.active for result in same),
            )
        )
    return points


def suggestions(results: Sequence[Result]) -> list[Suggestion]:
    """Every rule that has an answer; [] with fewer than two β."""
    points = by_beta(results)
    if len(points) < 2:
        return []
    found = (knee(points), no_dimension_lost(points), best_elbo(points))
    return [suggestion for suggestion in found if suggestion is not None]


def knee(points: Sequence[Point]) -> Suggestion | None:
    """The point of the rate–distortion curve farthest below the chord between its ends.

    None for fewer than three points, and for a curve without a bend.

    Source: Satopää et al., Finding a "Kneedle" in a Haystack (2011), for a convex falling curve:
    both axes scaled to [0, 1], the largest 1 − x − y.
    """
    low, high = min(p.rate for p in points), max(p.rate for p in points)
    best, worst = min(p.distortion for p in points), max(p.distortion for p in points)
    if len(points) < 3 or high <= low or worst <= best:
        return None

    def below_chord(point: Point) -> float:
        return 1 - (point.rate - low) / (high - low) - (point.distortion - best) / (worst - best)

    bend = max(points, key=below_chord)
    if below_chord(bend) < LEAST_KNEE:
        return None
    dear = (bend.distortion - best) / max(high - bend.rate, 1e-9)
    cheap = (worst - bend.distortion) / max(bend.rate - low, 1e-9)
    return Suggestion(
        "knee",
        bend.beta,
        f"The rate–distortion curve bends here: up to it each nat of rate bought {cheap:.2g} nats "
        f"of reconstruction, beyond it {dear:.2g}.",
    )


def no_dimension_lost(points: Sequence[Point]) -> Suggestion:
    """The largest β with as many active dimensions as any β had.

    A β beyond the first loss does not count: one that has all by chance is no safe choice.
    """
    most = max(point.active for point in points)
    first = next(i for i, point in enumerate(points) if point.active == most)
    kept = list(itertools.takewhile(lambda point: point.active == most, points[first:]))[-1]
    return Suggestion(
        "no dimension lost",
        kept.beta,
        f"The largest β at which all {most:g} dimensions that ever carry something still do.",
    )


def best_elbo(points: Sequence[Point]) -> Suggestion:
    """The β whose model gives unseen images the highest bound on their likelihood."""
    best = max(points, key=lambda point: point.elbo)
    return Suggestion(
        "best ELBO",
        best.beta,
        f"The highest ELBO on unseen images: {best.elbo:.4g} nats per image.".replace("-", "−"),
    )
