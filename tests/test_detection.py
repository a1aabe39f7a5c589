"""AUROC, average precision and the curve, against scikit-learn and where they are known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from vae_core.latent.detection import detection, precision_recall

STRANGE = np.array([False, False, True, True])


def test_detection_knows_perfect_useless_and_one_sided() -> None:
    perfect = detection(np.array([1.0, 2.0, 3.0, 4.0]), STRANGE)
    assert perfect is not None and perfect.auroc == perfect.average_precision == 1
    reverse = detection(np.array([4.0, 3.0, 2.0, 1.0]), STRANGE)
    assert reverse is not None and reverse.auroc == 0
    alike = detection(np.ones(4), STRANGE)
    assert alike is not None and alike.auroc == alike.average_precision == 0.5
    assert detection(np.ones(4), np.zeros(4, bool)) is None
    assert detection(np.ones(4), np.ones(4, bool)) is None


@pytest.mark.parametrize("ties", [True, False])
def test_figures_and_curve_are_scikit_learn_s(ties: bool) -> None:
    rng = np.random.default_rng(3)
    values, strange = rng.normal(size=500), rng.random(500) < 0.2
    values = np.round(values + strange, 1 if ties else 12)
    found = detection(values, strange)
    assert found is not None
    assert found.auroc == pytest.approx(roc_auc_score(strange, values), abs=1e-12)
    expected = average_precision_score(strange, values)
    assert found.average_precision == pytest.approx(expected, abs=1e-12)
    curve = precision_recall(values, strange)
    precision, recall, thresholds = precision_recall_curve(strange, values)
    assert np.allclose(curve.threshold[::-1], thresholds)
    assert np.allclose(curve.precision[::-1], precision[:-1])
    assert np.allclose(curve.recall[::-1], recall[:-1])
