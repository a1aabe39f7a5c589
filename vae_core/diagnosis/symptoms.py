"""The symptoms, one function each: a curves in, a finding out, or None where all is well.

Thresholds come with their reason; the figures of healthy and sick runs beside them are of the
built-in digits (`tests/test_diagnosis.py` trains them) and of the shipped `mnist-vae`.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from vae_core.diagnosis import remedies
from vae_core.diagnosis.curves import LearningCurves
from vae_core.diagnosis.remedies import Remedy, applicable


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    name: which symptom, for tests and keys.
    severity: "warning" where the run is worth stopping, "notice" where it may be meant.
    sentence: what is wrong, in plain words.
    evidence: the figure that says so, with its unit.
    """

    name: str
    severity: Literal["warning", "notice"]
    sentence: str
    evidence: str
    remedies: tuple[Remedy, ...]


PATIENCE_STEPS = 50
"""A network begins with a KL near 0 (0.01 nats at step 2 of a healthy run) and needs this long to
find a use for its code; from then on healthy runs stayed above 0.7 nats."""

PATIENCE_RATE = 1e-3
"""At smaller learning rates it takes longer: a step of Adam is as long as its rate."""

COLLAPSED = 0.1
"""Nats per image, all dimensions together: a tenth of the difference between two equally likely
halves of the data (0.69 nats), so the code cannot even tell these apart."""

POINT_LIKE = 4.6
"""Nats per dimension, −ln 0.01: clouds about a hundred times narrower than the prior. Priced runs
stay below (mnist-vae: at most 2.5); at β = 0.001 digits reach 20 and more."""

PRICED = 0.01
"""A smaller β puts no price on the KL, and then it may grow without anything being wrong."""

EXPLODED = 100.0
"""Nats per dimension: a mean 14 deviations away from the prior, or e¹⁰⁰ times its variance.
Where it got there from one record to the next, a step overshot."""

JUMPED = 3.0
"""Times what the loss is, or has fallen by: it then has lost more than training had gained."""

OVERFITTED = 0.01
"""Share of what the validation has gained since its first time that it has to lose again."""

NOISE = 4.0
"""Times the usual change between two validations since the best one: less is chance, and of few
images chance is wide."""

WORSE_VALIDATIONS = 3
"""Of so many validations the mean counts, and so many come after the best one: a single one, good
or bad, is chance."""

DEAD_CODES = 0.1
"""Codes in use, over those that as many draws would show if all were used alike: nine in ten say
nothing."""

ENOUGH_CODES = 20
"""Below so many that could show, a tenth of them says nothing."""


def posterior_collapsed(curves: LearningCurves) -> Finding | None:
    """KL ≈ 0: the encoder says the same of every image, the decoder draws their mean.

    Source: Bowman et al., Generating Sentences from a Continuous Space (2016), section 3.1.
    """
    kl, beta, config = curves.kl, curves.beta, curves.config
    if kl is None or beta is None or not curves.training:
        return None
    if curves.training[-1].step < _patience(curves) or kl >= COLLAPSED:
        return None
    steps = _fifth(curves)
    return Finding(
        "collapsed",
        "warning",
        "The posterior has collapsed: every image is rebuilt as the same blur.",
        f"KL {kl:.2g} nats per image over {curves.dimensions} dimensions at β = {beta:.3g}",
        applicable(
            remedies.set_beta(config, 1.0 if beta > 1 else beta / 10, steps),
            remedies.warm_up(config, steps) if beta <= 1 else None,
            remedies.free_bits(config, min(beta, 1.0)),
            remedies.learned_noise(config),
            remedies.gentler_steps(config) if config.train.learning_rate > 3e-3 else None,
        ),
    )


def autoencoder_in_disguise(curves: LearningCurves) -> Finding | None:
    """β so small that codes are points, and the prior no longer says where they lie."""
    # The mean of all would hide, behind those that carry nothing, what the others are.
    per_dimension, beta = curves.kl_per_used_dimension, curves.beta
    if per_dimension is None or per_dimension < POINT_LIKE:
        return None
    if beta is None or beta >= 1 or not curves.beta_is_settled:
        return None
    return Finding(
        "autoencoder",
        "notice",
        f"β = {beta:.3g} is so small that this is an autoencoder: codes are points, and draws "
        "from the prior fall between them.",
        f"{per_dimension:.3g} nats per used dimension; at {POINT_LIKE} a code is a hundred times "
        "narrower than the prior",
        applicable(
            remedies.set_beta(curves.config, 1.0, _fifth(curves)),
            remedies.set_beta(curves.config, max(10 * beta, PRICED), _fifth(curves)),
        ),
    )


def kl_exploded(curves: LearningCurves) -> Finding | None:
    """A step overshot, and the posterior was thrown far away from the prior."""
    high = EXPLODED * curves.dimensions
    before, peak = 0.0, (0.0, 0)
    for record in curves.training:
        rate, priced = record.rate or 0.0, (record.beta or 0.0) >= PRICED
        # What grows little by little is paid for, as the detail of large images is.
        jumped = peak[0] > 0 or rate >= JUMPED * before
        if priced and jumped and rate >= high:
            peak = max(peak, (rate, record.step))
        before = rate
    if not peak[0]:
        return None
    return Finding(
        "exploded",
        "warning",
        "The KL has exploded: a step overshot, and what was learned until then was thrown away.",
        f"KL {peak[0]:.3g} nats per image at step {peak[1]}",
        applicable(*_gentler(curves), remedies.warm_up(curves.config, _fifth(curves))),
    )


def about_to_diverge(curves: LearningCurves) -> Finding | None:
    """The loss is no number any more, or it has just jumped as it does before that."""
    if "diverged" in curves.message:
        return Finding(
            "diverged",
            "warning",
            "The loss is no number any more: training has diverged.",
            curves.message,
            applicable(*_gentler(curves)),
        )
    if not curves.training:
        return None
    now = curves.training[-1]
    # Losses under different β do not compare: a β turned up by hand is no jump.
    same = [record.total for record in curves.training[:-1] if record.beta == now.beta]
    before = same[-20:]
    if len(before) < 5:
        return None
    usual, largest = statistics.median(before), max(before)
    # Nats have no natural zero: with a learned σ, or as a density, a loss may be anywhere.
    scale = max(abs(usual), same[0] - usual, largest - min(before))
    if now.total - largest < (JUMPED - 1) * scale:
        return None
    return Finding(
        "diverging",
        "warning",
        "The loss has jumped; the next thing may be that it is no number any more.",
        f"{now.total:.3g} nats per image at step {now.step}, {usual:.3g} before",
        applicable(*_gentler(curves)),
    )


def overfitted(curves: LearningCurves) -> Finding | None:
    """Unseen images get worse while those learned from get better."""
    # Losses under different β do not compare, so only validations since it settled count.
    same = [record for record in curves.validations if record.beta == curves.beta]
    if len(same) <= WORSE_VALIDATIONS or not curves.beta_is_settled:
        return None
    best = min(same, key=lambda record: record.total)
    later = [record for record in same if record.step > best.step]
    if len(later) < WORSE_VALIDATIONS:
        return None
    changes = [b.total - a.total for a, b in pairwise((best, *later))][-10:]
    usual = math.hypot(*changes) / math.sqrt(len(changes))
    margin = max(OVERFITTED * (same[0].total - best.total), NOISE * usual)
    means = [
        statistics.fmean(record.total for record in same[i : i + WORSE_VALIDATIONS])
        for i in range(len(same) - WORSE_VALIDATIONS + 1)
    ]
    now = means[-1]
    if now - min(means) < margin:
        return None
    then, seen = _training_in(curves, best.epoch), _training_in(curves, same[-1].epoch)
    if seen >= then:
        return None
    return Finding(
        "overfitted",
        "warning",
        "The model learns its images by heart: unseen ones get worse while those it learns from "
        "get better.",
        f"validation {now:.4g} nats per image in the last {WORSE_VALIDATIONS}, {best.total:.4g} "
        f"after epoch {best.epoch}; training {seen:.4g}, {then:.4g} then",
        applicable(
            remedies.stop_at(best.epoch),
            remedies.set_beta(curves.config, 2 * curves.beta, _fifth(curves))
            if curves.beta
            else None,
        ),
    )


def codes_died(curves: LearningCurves) -> Finding | None:
    """Most codes of a codebook are never chosen: van den Oord et al. (2017), VQ-VAE.

    Judged over all images of the last validation: a batch, or a codebook that is large beside
    what is looked at, cannot show more codes than it has places.
    """
    codes, last = curves.config.objective.get("codes"), curves.validations[-1:]
    if codes is None or not last or last[0].step < _patience(curves):
        return None
    used = last[0].terms.get("codes_in_use")
    visible = seen_of_even_use(codes, last[0].codes_drawn)
    if used is None or visible < ENOUGH_CODES or used >= DEAD_CODES * visible:
        return None
    fewer = max(2, 2 ** math.ceil(math.log2(2 * used)))
    return Finding(
        "dead codes",
        "warning",
        "Most codes are dead: the codebook has far more entries than the encoder uses.",
        f"{used:.0f} of {codes} codes in use, over {last[0].images} validation images",
        applicable(remedies.restarted_codes(curves.config), remedies.fewer_codes(fewer)),
    )


def diagnose(curves: LearningCurves) -> list[Finding]:
    """Everything that is wrong, the most urgent first; [] where all is well."""
    found = (
        about_to_diverge(curves),
        kl_exploded(curves),
        posterior_collapsed(curves),
        codes_died(curves),
        overfitted(curves),
        autoencoder_in_disguise(curves),
    )
    return [finding for finding in found if finding is not None]


def _gentler(curves: LearningCurves) -> tuple[Remedy | None, ...]:
    return remedies.gentler_steps(curves.config), remedies.clipped_steps(curves.config)


def _fifth(curves: LearningCurves) -> int:
    """A fifth of the run, in steps: as long as a warm-up should be at most."""
    last = curves.training[-1]
    per_epoch = last.step / max(1, last.epoch)
    whole = per_epoch * curves.config.train.epochs
    return max(1, min(remedies.STEPS, round(whole / 5)))


def _patience(curves: LearningCurves) -> int:
    """Steps before which nothing can be said of what codes are used for."""
    return round(PATIENCE_STEPS * max(1.0, PATIENCE_RATE / curves.config.train.learning_rate))


def _training_in(curves: LearningCurves, epoch: int) -> float:
    """The training loss in an epoch: the mean of its records."""
    there = [record.total for record in curves.training if record.epoch == epoch]
    return statistics.fmean(there) if there else math.inf


def seen_of_even_use(codes: int, drawn: int) -> float:
    """How many different codes so many draws show on average where all are used alike:
    K · (1 − (1 − 1/K)ⁿ)."""
    return codes * (1.0 - (1.0 - 1.0 / codes) ** drawn)
