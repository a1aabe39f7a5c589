"""Every score by one published protocol, so that it compares with those of papers.

Source: Locatello et al., Challenging Common Assumptions in the Unsupervised Learning of
Disentangled Representations (2019), appendix C: 10 000 points to learn from, 5 000 to test on,
posterior means as codes, every factor as a set of classes. The MIG of draws is that of Chen et al.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_core.data import Progress, no_progress
from vae_core.metrics.disentanglement.beta_vae import beta_vae_published
from vae_core.metrics.disentanglement.dci import BOOSTED, dci_boosted
from vae_core.metrics.disentanglement.factor_vae import factor_vae_published
from vae_core.metrics.disentanglement.factors import Points, varied
from vae_core.metrics.disentanglement.mig import binned_gaps
from vae_core.metrics.disentanglement.mig_density import density_gaps
from vae_core.metrics.disentanglement.modularity import modularity
from vae_core.metrics.disentanglement.sap import sap_by_svm
from vae_core.progress import within

KNOWN, UNSEEN = 10_000, 5_000
"""Points to learn from, and to test on; votes and classified differences are as many."""


@dataclass(frozen=True)
class Widths:
    """The Gaussian dimensions of the posteriors of the known points, and a draw: [N, L] each."""

    logvar: np.ndarray
    draws: np.ndarray


@dataclass(frozen=True)
class Published:
    """scores: each by its name, in [0, 1]. gaps: of the factors that vary, by the names of the two
    conventions of MIG, [≤ F]. varied: which factors these are."""

    scores: dict[str, float]
    gaps: dict[str, np.ndarray]
    varied: np.ndarray


def published_scores(
    known: Points,
    unseen: Points,
    widths: Widths | None,
    rounds: int = BOOSTED,
    progress: Progress = no_progress,
) -> Published:
    """All scores of points to learn from and points to test on, whose codes are posterior means.

    Args:
        widths: of the known points; None where codes are points, or dimensions are not Gaussian:
            then there is no MIG of draws.
        rounds: of boosting; fewer than `BOOSTED` are another protocol.

    Raises:
        UserError: where no factor varies.
    """

    found = {"mig_means": binned_gaps(known.codes, known.factors)}
    if widths is not None:
        arrays = (known.codes, widths.logvar, widths.draws, known.factors)
        found["mig_samples"] = density_gaps(*arrays, within(progress, 0.0, 0.08))
    scores = {name: float(each.mean()) for name, each in found.items()}
    scores["modularity"] = modularity(known.codes, known.factors)
    scores["sap"] = sap_by_svm(known, unseen, within(progress, 0.08, 0.15))
    progress("FactorVAE: votes of the stillest latent", 0.15)
    votes, tests = len(known.codes), len(unseen.codes)
    scores["factor_vae"] = factor_vae_published(known, unseen, votes, tests)
    progress("β-VAE: differences of pairs", 0.17)
    scores["beta_vae"] = beta_vae_published(known, unseen, votes, tests)
    trees = dci_boosted(known, unseen, rounds, within(progress, 0.2, 1.0))
    scores["dci_disentanglement"] = trees.disentanglement
    scores["dci_completeness"] = trees.completeness
    scores["dci_informativeness"] = trees.informativeness
    return Published(scores, found, varied(known.factors))
