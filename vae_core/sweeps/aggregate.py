"""Runs put together: those that differ in their seed alone are one point, with a spread."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vae_core.sweeps.results import Result, differences

Condition = tuple[tuple[str, str], ...]
Score = Callable[[Result], float]


@dataclass(frozen=True)
class SeedAverage:
    """The runs of one β that differ in their seed alone: means in nats per image."""

    beta: float
    runs: tuple[Result, ...]

    @property
    def rate(self) -> float:
        return self.mean(lambda run: run.rate)

    @property
    def distortion(self) -> float:
        return self.mean(lambda run: run.distortion)

    @property
    def active(self) -> float:
        return self.mean(lambda run: run.active)

    @property
    def elbo(self) -> float:
        return -(self.rate + self.distortion)

    @property
    def fewest(self) -> int:
        """Dimensions in use in the seed that uses fewest."""
        return min(run.active for run in self.runs)

    @property
    def most(self) -> int:
        return max(run.active for run in self.runs)

    @property
    def collapsed(self) -> bool:
        """True where a seed collapsed: the next one may."""
        return any(run.collapsed for run in self.runs)

    def mean(self, score: Score) -> float:
        return statistics.fmean(map(score, self.runs))

    def deviation(self, score: Score) -> float:
        """Between seeds; 0 for a single one, which says nothing of it."""
        return statistics.stdev(map(score, self.runs)) if len(self.runs) > 1 else 0.0


def average_seeds(results: Sequence[Result]) -> list[SeedAverage]:
    """One point for the seeds of each β, rising; other settings make other points."""
    groups: dict[tuple[Condition, float | None, float], list[Result]] = {}
    for result in sorted(results, key=lambda result: result.beta):
        alike = (result.condition, result.configured_beta, result.beta)
        groups.setdefault(alike, []).append(result)
    return [SeedAverage(beta, tuple(runs)) for (_, _, beta), runs in groups.items()]


def conditions(results: Sequence[Result]) -> dict[str, list[Result]]:
    """The results by what they share under every β, named by what sets them apart.

    Those with most runs come first; a single condition is called "".
    """
    groups: dict[Condition, list[Result]] = {}
    for result in results:
        groups.setdefault(result.condition, []).append(result)
    settings = [dict(condition) for condition in groups]
    keys = list(differences(dict(enumerate(settings))))
    # What was counted of the images differs with the setting that says how many; that one is said.
    named = [key for key in keys if not key.startswith("images.")] or keys
    labels = [
        ", ".join(_words(key, each[key]) for key in named if key in each) for each in settings
    ]
    found = zip(_apart(labels), groups.values(), strict=True)
    return dict(sorted(found, key=lambda item: -len(item[1])))


def _words(key: str, value: str) -> str:
    return f"{key.rpartition('.')[2]} {value.strip(chr(39))}"


def _apart(labels: Sequence[str]) -> list[str]:
    """Labels, with a number where the same words stand for different conditions."""
    return [
        label if labels.count(label) == 1 else f"{label} ({labels[: i + 1].count(label)})"
        for i, label in enumerate(labels)
    ]
