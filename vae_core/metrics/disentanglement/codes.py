"""What is scored: the codes of images, and which of their dimensions have collapsed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vae_core.data import Progress, no_progress
from vae_core.data.batches import labelled
from vae_core.data.dataset import ImageSet
from vae_core.models import LatentModel

BATCH = 256


@dataclass(frozen=True)
class Codes:
    """What a model makes of N images: posterior means [N, D], and one draw each [N, D], or None
    where codes are points; which dimensions have collapsed, bool [D]; log σ² of every dimension
    by itself [N, D], where there is one."""

    means: np.ndarray
    samples: np.ndarray | None
    collapsed: np.ndarray
    logvar: np.ndarray | None = None

    def kinds(self) -> dict[str, np.ndarray]:
        """The codes by their name; a collapsed dimension counts as one that never varies, or the
        scores, which do not mind scale, would take what hardly moves it for a factor."""
        kinds = {"means": self.means}
        if self.samples is not None:
            kinds["samples"] = self.samples
        return {name: np.where(self.collapsed, 0.0, codes) for name, codes in kinds.items()}


@torch.inference_mode()
def encoded(model: LatentModel, part: ImageSet, progress: Progress = no_progress) -> Codes:
    """The codes of all images of a part, by a model in evaluation mode."""
    generator = torch.Generator(model.device).manual_seed(0)
    means, draws, logvars, done = [], [], [], 0
    for x, labels in labelled(part, BATCH, model.device):
        posterior = model.conditioned(labels).encode(x)
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
    logvar = np.concatenate(logvars)
    return Codes(mu, np.concatenate(draws), collapsed(mu, logvar), logvar)


LEAST_SHARE = 0.01
"""Of the variance of z that has to lie between images. Where the aggregated posterior has variance
1, as under N(0, I), this is Var(μ) > 0.01: Burda, Grosse and Salakhutdinov (2016), section 5.2."""

STILL = 1e-12
"""The share of the largest variance below which a code without a width counts as constant."""


def collapsed(mu: np.ndarray, logvar: np.ndarray | None) -> np.ndarray:
    """Dimensions whose mean hardly moves beside the width of the posteriors of N images, mu and
    logvar [N, D], whatever the scale of both: bool [D]. Of codes, without logvar, those that never
    vary."""
    between = mu.var(axis=0, dtype=np.float64)
    least = STILL * between.max(initial=0.0)
    if logvar is not None:
        within = np.exp(logvar.astype(np.float64)).mean(axis=0)
        least = LEAST_SHARE * (between + within)
    return between <= least
