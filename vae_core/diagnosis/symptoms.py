"""The symptoms, one function each: a course in, a finding out, or None where all is well.

Thresholds come with their reason; the figures of healthy and sick runs beside them are of the
built-in digits (`tests/test_diagnosis.py` trains them) and of the shipped `mnist-vae`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

from vae_core.diagnosis import remedies
from vae_core.diagnosis.course import Course
from vae_core.diagnosis.finding import Finding

Symptom = Callable[[Course], Finding | None]

PATIENCE_STEPS = 50
"""A network begins with a KL near 0 (0.01 nats at step 2 of a healthy run) and needs this long to
find a use for its code; from then on healthy runs stayed above 0.7 nats."""

COLLAPSED = 0.1
"""Nats per image, all dimensions together: a tenth of the difference between two equally likely
halves of the data (0.69 nats), so the code cannot even tell these apart."""

POINT_LIKE = 4.6
"""Nats per dimension, −ln 0.01: clouds about a hundred times narrower than the prior. Priced runs
stay below (mnist-vae: at most 2.5); at β = 0.001 digits reach 20 and more."""

PRICED = 0.01
"""A smaller β puts no price on the KL, and then it may grow without anything being wrong."""

EXPLODED = 100.0
"""Nats per dimension: a mean 14 deviations away from the prior, or e¹⁰⁰ times its variance. Under
a priced KL nothing but a step that overshot gets there."""

JUMPED = 3.0
"""Times the median of the last records, in a loss that otherwise falls."""

OVERFITTED = 0.01
"""Share of the loss by which the validation has to get worse, beyond its noise from epoch to epoch
(0.2 % in healthy runs), while training still gets better."""

WORSE_VALIDATIONS = 3
"""As many validations in a row after the best one: a single bad one is chance."""

DEAD_CODES = 0.1
"""Perplexity over size of the codebook: nine codes in ten say nothing."""


def posterior_collapsed(course: Course) -> Finding | None:
    """KL ≈ 0: the encoder says the same of every image, the decoder draws their mean.

    Source: Bowman et al., Generating Sentences from a Continuous Space (2016), section 3.1.
    """
    kl, beta, config = course.kl, course.beta, course.config
    if kl is None or beta is None or not course.training:
        return None
    if course.training[-1].step < PATIENCE_STEPS or kl >= COLLAPSED:
        return None
    steps = _fifth(course)
    lower = 1.0 if beta > 1 else beta / 10
    cures = remedies.set_beta(config, lower, steps)
    cures += remedies.warm_up(config, steps) if beta <= 1 else []
    cures += remedies.free_bits(config, min(beta, 1.0)) + remedies.learned_noise(config)
    if config.train.learning_rate > 3e-3:
        cures += remedies.gentler_steps(config)[:1]
    return Finding(
        "collapsed",
        "warning",
        "The posterior has collapsed: every image is rebuilt as the same blur.",
        f"KL {kl:.2g} nats per image over {course.dimensions} dimensions at β = {beta:.3g}",
        tuple(cures),
    )


def autoencoder_in_disguise(course: Course) -> Finding | None:
    """β so small that codes are points, and the prior no longer says where they lie."""
    kl, beta = course.kl, course.beta
    if kl is None or beta is None or beta >= 1 or not course.beta_is_settled:
        return None
    per_dimension = kl / course.dimensions
    if per_dimension < POINT_LIKE:
        return None
    return Finding(
        "autoencoder",
        "notice",
        f"β = {beta:.3g} is so small that this is an autoencoder: codes are points, and draws "
        "from the prior fall between them.",
        f"{per_dimension:.3g} nats per dimension; at {POINT_LIKE} a code is a hundred times "
        "narrower than the prior",
        tuple(
            remedies.set_beta(course.config, 1.0, _fifth(course))
            + remedies.set_beta(course.config, max(10 * beta, PRICED), _fifth(course))
        ),
    )


def kl_exploded(course: Course) -> Finding | None:
    """A step overshot, and the posterior was thrown far away from the prior."""
    rates = [(m.rate, m.step) for m in course.training if m.rate and (m.beta or 0.0) >= PRICED]
    peak, step = max(rates, default=(0.0, 0))
    if peak / course.dimensions < EXPLODED:
        return None
    return Finding(
        "exploded",
        "warning",
        "The KL has exploded: a step overshot, and what was learned until then was thrown away.",
        f"KL {peak:.3g} nats per image at step {step}",
        tuple(
            remedies.gentler_steps(course.config) + remedies.warm_up(course.config, _fifth(course))
        ),
    )


def about_to_diverge(course: Course) -> Finding | None:
    """The loss is no number any more, or it has just jumped as it does before that."""
    if "diverged" in course.message:
        return Finding(
            "diverged",
            "warning",
            "The loss is no number any more: training has diverged.",
            course.message,
            tuple(remedies.gentler_steps(course.config)),
        )
    before = [moment.total for moment in course.training[-21:-1]]
    if len(before) < 5:
        return None
    usual, now = statistics.median(before), course.training[-1]
    # A learned σ can make nats negative, so the jump is counted from the best, not from zero.
    scale = max(abs(usual), 1.0)
    if now.total - usual < (JUMPED - 1) * scale:
        return None
    return Finding(
        "diverging",
        "warning",
        "The loss has jumped; the next thing may be that it is no number any more.",
        f"{now.total:.3g} nats per image at step {now.step}, {usual:.3g} before",
        tuple(remedies.gentler_steps(course.config)),
    )


def overfitted(course: Course) -> Finding | None:
    """Unseen images get worse while those learned from get better."""
    # Losses under different β do not compare, so only validations since it settled count.
    same = [moment for moment in course.validations if moment.beta == course.beta]
    if len(same) <= WORSE_VALIDATIONS or not course.beta_is_settled:
        return None
    best = min(same, key=lambda moment: moment.total)
    now = same[-1]
    margin = OVERFITTED * max(abs(best.total), 1.0)
    later = [moment for moment in same if moment.step > best.step]
    if len(later) < WORSE_VALIDATIONS or now.total - best.total < margin:
        return None
    then = _training_near(course, best.step)
    seen = _training_near(course, now.step)
    if seen >= then:
        return None
    return Finding(
        "overfitted",
        "warning",
        "The model learns its images by heart: unseen ones get worse while those it learns from "
        "get better.",
        f"validation {now.total:.4g} nats per image, {best.total:.4g} after epoch {best.epoch}; "
        f"training {seen:.4g}, {then:.4g} then",
        tuple(
            remedies.stop_at(course.config, best.epoch)
            + remedies.set_beta(course.config, 2 * (course.beta or 0.0), _fifth(course))
            * bool(course.beta)
        ),
    )


def codes_died(course: Course) -> Finding | None:
    """Most codes of a codebook are never chosen: van den Oord et al. (2017), VQ-VAE."""
    measured = [m.terms["perplexity"] for m in course.training[-3:] if "perplexity" in m.terms]
    codes = course.config.objective.get("codes")
    if not measured or codes is None or course.training[-1].step < PATIENCE_STEPS:
        return None
    perplexity = statistics.fmean(measured)
    if perplexity >= DEAD_CODES * codes:
        return None
    fewer = max(2, 2 ** math.ceil(math.log2(2 * perplexity)))
    return Finding(
        "dead codes",
        "warning",
        "Most codes are dead: the codebook has far more entries than the encoder uses.",
        f"perplexity {perplexity:.3g} of {codes} codes",
        tuple(remedies.restarted_codes(course.config) + remedies.fewer_codes(fewer)),
    )


SYMPTOMS: tuple[Symptom, ...] = (
    about_to_diverge,
    kl_exploded,
    posterior_collapsed,
    codes_died,
    overfitted,
    autoencoder_in_disguise,
)


def diagnose(course: Course) -> list[Finding]:
    """Everything that is wrong, the most urgent first; [] where all is well."""
    found = (symptom(course) for symptom in SYMPTOMS)
    return [finding for finding in found if finding is not None]


def _fifth(course: Course) -> int:
    """A fifth of the run, in steps: as long as a warm-up should be at most."""
    last = course.training[-1]
    per_epoch = last.step / max(1, last.epoch)
    whole = per_epoch * course.config.train.epochs
    return max(1, min(remedies.STEPS, round(whole / 5)))


def _training_near(course: Course, step: int) -> float:
    """The training loss around `step`: the mean of the last three records up to it."""
    until = [moment.total for moment in course.training if moment.step <= step][-3:]
    return statistics.fmean(until) if until else math.inf
