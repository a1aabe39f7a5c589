"""All scores of a model's codes of one set of images, and how far they vary."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch

from vae_core.data import Progress, no_progress
from vae_core.data.batches import labelled
from vae_core.data.dataset import ImageSet
from vae_core.metrics.collapse import collapsed
from vae_core.metrics.disentanglement.beta_vae import beta_vae_score
from vae_core.metrics.disentanglement.dci import dci
from vae_core.metrics.disentanglement.factor_vae import factor_vae_score
from vae_core.metrics.disentanglement.mig import mutual_information_gap
from vae_core.metrics.disentanglement.sap import sap_score
from vae_core.models import LatentModel

SEEDS = 5
"""So often is a random half of the images scored, to see how far the scores vary."""


@dataclass(frozen=True)
class Codes:
    """What a model makes of N images: posterior means [N, D], and one draw each [N, D], or None
    where codes are points; which dimensions have collapsed, bool [D]."""

    means: np.ndarray
    samples: np.ndarray | None
    collapsed: np.ndarray

    def kinds(self) -> dict[str, np.ndarray]:
        """The codes by their name; a collapsed dimension counts as one that never varies.

        The mean of a collapsed dimension moves by less than anything decodes, and yet what moves
        it may be a factor: the scores, which do not mind scale, would take it for one.
        """
        both = {"means": self.means, "samples": self.samples}
        return {
            name: np.where(self.collapsed, 0.0, codes)
            for name, codes in both.items()
            if codes is not None
        }


@torch.inference_mode()
def encoded(
    model: LatentModel,
    part: ImageSet,
    seed: int = 0,
    batch_size: int = 256,
    progress: Progress = no_progress,
) -> Codes:
    """The codes of all images of a part, by a model in evaluation mode."""
    generator = torch.Generator(model.device).manual_seed(seed)
    means, draws, logvars, done = [], [], [], 0
    for x, labels in labelled(part, batch_size, model.device):
        posterior = (model if labels is None else model.conditioned(labels)).encode(x)
        means.append(model.flatten(posterior.mode()).cpu().numpy())
        done += len(x)
        progress("Encoding the images", done / len(part))
        logvar = posterior.log_variance()
        if logvar is not None:
            logvars.append(model.flatten(logvar).cpu().numpy())
            draws.append(model.flatten(posterior.sample(generator)).cpu().numpy())
    mu = np.concatenate(means)
    if not logvars:
        return Codes(mu, None, collapsed(mu, None))
    return Codes(mu, np.concatenate(draws), collapsed(mu, np.concatenate(logvars)))


def with_spread(
    codes: np.ndarray,
    factors: np.ndarray,
    categorical: Collection[int],
    seeds: int = SEEDS,
    progress: Progress = no_progress,
) -> tuple[dict[str, float], dict[str, float]]:
    """Every score of codes [N, L] for factors [N, F], and the standard deviation of each over
    `seeds` random halves of the images.

    That of halves estimates the standard error of the score of all, as a half varies about the
    whole by as much as the whole does about the truth.

    Source: Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982), chapter 8.
    """
    halves = []
    for seed in range(seeds):
        progress("Scoring a random half of the images", seed / (seeds + 1))
        rows = np.random.default_rng(seed).permutation(len(codes))[: len(codes) // 2]
        halves.append(every_score(codes[rows], factors[rows], categorical, seed))
    progress("Scoring all images", seeds / (seeds + 1))
    whole = every_score(codes, factors, categorical)
    return whole, {name: float(np.std([half[name] for half in halves], ddof=1)) for name in whole}


def every_score(
    codes: np.ndarray, factors: np.ndarray, categorical: Collection[int], seed: int = 0
) -> dict[str, float]:
    """All scores by name, each in [0, 1]: codes [N, L], factors int [N, F]."""
    found = dci(codes, factors, categorical, seed)
    return {
        "mig": mutual_information_gap(codes, factors),
        "sap": sap_score(codes, factors, categorical, seed),
        "dci_disentanglement": found.disentanglement,
        "dci_completeness": found.completeness,
        "dci_informativeness": found.informativeness,
        "factor_vae": factor_vae_score(codes, factors, seed),
        "beta_vae": beta_vae_score(codes, factors, seed),
    }
