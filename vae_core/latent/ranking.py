"""Which images stand out: worst, best, or drawn at random."""

from __future__ import annotations

import numpy as np

from vae_core.errors import UserError
from vae_core.latent.survey import Survey, finite


def ranked(survey: Survey, by: str = "-elbo") -> tuple[np.ndarray, np.ndarray]:
    """All images by "-elbo" or "recon" in nats, the worst first: their places int64 [N] and what
    they were ranked by [N].

    Raises:
        UserError: when the survey does not hold `by`, or its values are not finite.
    """
    values = survey.recon
    if by == "-elbo":
        values = None if survey.elbo is None else -survey.elbo
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
    if how == "random":
        return np.random.default_rng(seed).permutation(len(survey))[:n]
    order, _ = ranked(survey, "recon")
    return (order[::-1] if how == "best" else order)[:n]
