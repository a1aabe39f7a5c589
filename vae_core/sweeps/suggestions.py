"""Which β to take, by three rules, each with its reason in a sentence.

The spread between seeds is the noise that a difference between two β is held against. What was
not trained to its end says nothing of its β, and a collapsed model is never suggested.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from vae_core.sweeps.aggregate import Score, SeedAverage, average_seeds, conditions
from vae_core.sweeps.results import Result

LEAST_KNEE = 0.05
"""A curve that leaves its chord by less than a twentieth of its size is as good as straight."""

CONFIDENCE = 0.95
"""A difference counts when seeds alone would make a larger one in one case of twenty (t-test)."""


@dataclass(frozen=True)
class Suggestion:
    """A β, the name of the rule that chose it, and why.

    among: the settings it holds for, where runs of several are compared: "latent_dim 4".
    also: the other β that seeds leave no choice between.
    """

    rule: str
    beta: float
    reason: str
    among: str = ""
    also: tuple[float, ...] = ()


@dataclass(frozen=True)
class Advice:
    """Suggestions, and what has to be known before they are believed, in sentences."""

    suggestions: tuple[Suggestion, ...] = ()
    warnings: tuple[str, ...] = ()


def advise(results: Sequence[Result]) -> Advice:
    """What the runs say of β, for each condition that has at least two, and what they do not."""
    found: list[Suggestion] = []
    warnings = [f"{r.run} is left out: {r.not_converged}." for r in results if r.not_converged]
    trained = [result for result in results if not result.not_converged]
    averages = {name: average_seeds(runs) for name, runs in conditions(trained).items()}
    curves = {name: each for name, each in averages.items() if len({p.beta for p in each}) > 1}
    for name, points in curves.items():
        found += [
            replace(each, among=name)
            for rule in (knee, no_dimension_lost, best_elbo)
            if (each := rule(points)) is not None
        ]
        warnings += _warnings_about(points, name)
    several = len({result.beta for result in trained}) > 1
    if several and not curves:
        warnings.append("No two of these runs differ in nothing but β and seed.")
    elif results and not found:
        warnings.append("There is no β to suggest yet: it takes two that are trained to their end.")
    pixels = sorted({result.pixels for result in results})
    if len(pixels) > 1:
        warnings.insert(
            0,
            f"Pixels are described in different ways ({'; '.join(pixels)}): the nats and the ELBO "
            "of one cannot be compared with those of another.",
        )
    return Advice(tuple(found), tuple(warnings))


# --- the rules -----------------------------------------------------------------------------------


def knee(points: Sequence[SeedAverage]) -> Suggestion | None:
    """The point of the rate–distortion curve farthest below the chord between its ends.

    None for fewer than three points, for a curve without a bend, and where the bend is a collapse.

    Source: Satopää et al., Finding a "Kneedle" in a Haystack (2011), for a convex falling curve:
    both axes scaled to [0, 1], the largest 1 − x − y.
    """
    low, high = min(p.rate for p in points), max(p.rate for p in points)
    best, worst = min(p.distortion for p in points), max(p.distortion for p in points)
    if len(points) < 3 or high <= low or worst <= best:
        return None

    def below_chord(run: Result) -> float:
        return 1 - (run.rate - low) / (high - low) - (run.distortion - best) / (worst - best)

    bend = max(points, key=lambda point: point.mean(below_chord))
    if bend.collapsed or bend.mean(below_chord) < LEAST_KNEE:
        return None
    also = _not_separated(bend, points, below_chord)
    dear = (bend.distortion - best) / max(high - bend.rate, 1e-9)
    cheap = (worst - bend.distortion) / max(bend.rate - low, 1e-9)
    reason = (
        f"The rate–distortion curve bends here: up to it each nat of rate bought {cheap:.2g} nats "
        f"of reconstruction, beyond it {dear:.2g}."
    )
    if also:
        reason += f" Seeds leave open whether it is at {_listed(point.beta for point in also)}."
    return Suggestion("knee", bend.beta, reason, also=_betas(also))


def no_dimension_lost(points: Sequence[SeedAverage]) -> Suggestion | None:
    """The largest β at which every seed uses as many dimensions as at any β.

    A β beyond the first loss does not count: one that has all by chance is no safe choice.
    """
    sound = [point for point in points if not point.collapsed]
    most = max((point.fewest for point in sound), default=0)
    if not most:
        return None
    first = next(i for i, point in enumerate(points) if point.fewest == most)
    kept = list(itertools.takewhile(lambda p: p.fewest >= most and not p.collapsed, points[first:]))
    every = " in every seed" if max(len(point.runs) for point in points) > 1 else ""
    return Suggestion(
        "no dimension lost",
        kept[-1].beta,
        f"The largest β at which all {most} dimensions that ever carry something still do{every}.",
    )


def best_elbo(points: Sequence[SeedAverage]) -> Suggestion | None:
    """The β whose model gives unseen images the highest bound on their likelihood."""
    sound = [point for point in points if not point.collapsed]
    if not sound:
        return None
    best = max(sound, key=lambda point: point.elbo)
    also = _not_separated(best, sound, lambda run: run.elbo)
    measured = f"The highest ELBO on unseen images: {_nats(best)} nats per image."
    if not also:
        return Suggestion("best ELBO", best.beta, measured)
    apart = max(best.elbo - point.elbo for point in also)
    widest = _widest(sound)
    few = ", and there are few seeds" if apart > widest else ""
    reason = (
        f"{_listed((best.beta, *_betas(also)))} cannot be told apart: they differ by {apart:.2g} "
        f"nats per image, seeds of one β by up to {widest:.2g}{few}."
    )
    return Suggestion("best ELBO", best.beta, reason, also=_betas(also))


# --- noise ---------------------------------------------------------------------------------------


def _not_separated(
    best: SeedAverage, points: Sequence[SeedAverage], score: Score
) -> list[SeedAverage]:
    """The other sound points whose mean score the seeds do not separate from the best one's.

    Student's t for two means with the variance within all points pooled; [] where no β has two
    seeds, so that nothing is known of the noise.
    """
    from scipy.special import stdtrit

    freedom = sum(len(point.runs) - 1 for point in points)
    if freedom == 0:
        return []
    squares = sum((len(p.runs) - 1) * p.deviation(score) ** 2 for p in points)
    deviation = math.sqrt(squares / freedom)
    needed = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * deviation

    def too_near(point: SeedAverage) -> bool:
        error = math.sqrt(1 / len(best.runs) + 1 / len(point.runs))
        return best.mean(score) - point.mean(score) < needed * error

    return [p for p in points if p is not best and not p.collapsed and too_near(p)]


def _warnings_about(points: Sequence[SeedAverage], name: str) -> list[str]:
    """What has to be known before these points are believed."""
    where = f" ({name})" if name else ""
    found = [
        f"β = {point.beta:.4g}{where} is left out: {_collapse(point)}."
        for point in points
        if point.collapsed
    ]
    alone = [point.beta for point in points if len(point.runs) == 1]
    if len(alone) == len(points):
        found.append(
            f"One seed of each β{where}: run more seeds to see how far chance alone sets runs "
            "apart; small differences may be no more than that."
        )
    elif alone:
        found.append(f"Run more seeds of {_listed(alone)}{where}: one stands alone.")
    return found


def _collapse(point: SeedAverage) -> str:
    gone = [run for run in point.runs if run.collapsed]
    lowest = min(run.rate for run in gone)
    share = "" if len(gone) == len(point.runs) else f" in {len(gone)} of {len(point.runs)} seeds"
    return f"its code collapsed{share}, to a KL of {lowest:.2g} nats per image"


def _widest(points: Sequence[SeedAverage]) -> float:
    """The largest difference between the ELBOs of two seeds of one β, in nats per image."""
    ranges = ([run.elbo for run in point.runs] for point in points)
    return max(max(elbos) - min(elbos) for elbos in ranges)


def _nats(point: SeedAverage) -> str:
    """−83 of a single run, −83.2 ± 1.4 (deviation between seeds) of several."""
    mean = f"{point.elbo:.4g}"
    spread = point.deviation(lambda run: run.elbo)
    several = f" ± {spread:.2g}" if len(point.runs) > 1 else ""
    return (mean + several).replace("-", "−")


# --- words ---------------------------------------------------------------------------------------


def _betas(points: Sequence[SeedAverage]) -> tuple[float, ...]:
    return tuple(point.beta for point in points)


def _listed(betas: Iterable[float]) -> str:
    """β = 1, β = 2 and β = 4."""
    words = [f"β = {beta:.4g}" for beta in sorted(betas)]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
