"""How well a score tells strange images from normal ones, where it is known which are which.

Not scikit-learn's, which takes two seconds and 150 MB to import: a page asks for these figures
whenever somebody says anew what is normal. The tests hold them against it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Detection:
    """How well a score tells strange images from normal ones.

    auroc: the chance that a strange image scores above a normal one, a tie counted half.
    average_precision: the area under precision over recall; luck alone reaches the share of
    strange images.
    """

    auroc: float
    average_precision: float


@dataclass(frozen=True)
class PrecisionRecall:
    """At each threshold of K, from the highest score down: float64 [K] each.

    precision: the share of strange images among those flagged. recall: the share of the strange
    ones that is flagged. threshold: an image that scores as much or more is flagged.
    """

    precision: np.ndarray
    recall: np.ndarray
    threshold: np.ndarray


def detection(values: np.ndarray, strange: np.ndarray) -> Detection | None:
    """How well values [N] find the images that are `strange` bool [N]; None without both kinds.

    Source: Fawcett, An Introduction to ROC Analysis (2006), section 7, for AUROC as a rank
    statistic; average precision as the sum of precisions weighted by the steps of recall.
    """
    found = int(strange.sum())
    others = len(strange) - found
    if not found or not others:
        return None
    order = np.sort(values[~strange])
    below = np.searchsorted(order, values[strange], side="left")
    up_to = np.searchsorted(order, values[strange], side="right")
    auroc = float((below + up_to).sum() / 2 / found / others)
    curve = precision_recall(values, strange)
    steps = np.diff(curve.recall, prepend=0.0)
    return Detection(auroc, float((steps * curve.precision).sum()))


def precision_recall(values: np.ndarray, strange: np.ndarray) -> PrecisionRecall:
    """Precision and recall of values [N] at every threshold that changes them; some images have to
    be `strange` bool [N]."""
    order = np.argsort(-values, kind="stable")
    ranked, hits = values[order], np.cumsum(strange[order])
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))  # of equal scores
    return PrecisionRecall(hits[last] / (last + 1), hits[last] / hits[-1], ranked[last])
