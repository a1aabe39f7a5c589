"""Which images stand out: worst, best, or drawn at random."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vae_core.errors import UserError
from vae_core.latent.survey import Survey, finite
from vae_core.registry import unknown

CRITERIA: dict[str, Callable[[Survey], np.ndarray | None]] = {
    "-elbo": lambda survey: None if survey.elbo is None else -survey.elbo,
    "recon": lambda survey: survey.recon,
    "kl": lambda survey: survey.kl,
}
"""What images are ranked by, in nats; more is worse."""


def ranked(survey: Survey, by: str = "-elbo") -> tuple[np.ndarray, np.ndarray]:
    """All images, the worst first: their places int64 [N] and what they were ranked by [N].

    Raises:
        UserError: when the survey does not hold `by`, or its values are not finite.
    """
    if by not in CRITERIA:
        raise unknown("criterion", by, CRITERIA)
    values = CRITERIA[by](survey)
    if values is None:
        reason = (
            "Only the encodings of these images are kept; choose a part of the data set"
            if survey.recon is None
            else "This model has no KL, and so no ELBO; rank by reconstruction error"
        )
        raise UserError(f"These images cannot be ranked so. {reason}.")
    finite(values, by)
    order = np.argsort(-values, kind="stable")
    return order, values[order]


def picks(survey: Survey, how: str, n: int, seed: int = 0) -> np.ndarray:
    """At most n places [n]: "random", or the "best" or "worst" reconstructed images first; raises
    as `ranked`."""
    choose: dict[str, Callable[[], np.ndarray]] = {
        "random": lambda: np.random.default_rng(seed).permutation(len(survey)),
        "best": lambda: ranked(survey, "recon")[0][::-1],
        "worst": lambda: ranked(survey, "recon")[0],
    }
    if how not in choose:
        raise unknown("choice", how, choose)
    return choose[how]()[:n]
