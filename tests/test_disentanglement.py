"""Scores on constructed codes with known answers: the factors themselves, mixtures, noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score

from vae_core.metrics.disentanglement import (
    beta_vae_score,
    dci,
    factor_vae_score,
    mutual_information_gap,
    sap_score,
)
from vae_core.metrics.disentanglement.mig import entropy, mutual_information

Score = Callable[[np.ndarray, np.ndarray], float]
RNG = np.random.default_rng(0)
SIZES = (3, 6, 8, 10)
FACTORS = np.stack([RNG.integers(0, size, 3000) for size in SIZES], axis=1)
CATEGORICAL = (0,)
PERFECT = FACTORS - FACTORS.mean(axis=0)
NOISE = RNG.normal(size=PERFECT.shape)

SCORES: dict[str, Score] = {
    "mig": mutual_information_gap,
    "sap": lambda z, v: sap_score(z, v, CATEGORICAL),
    "disentanglement": lambda z, v: dci(z, v, CATEGORICAL).disentanglement,
    "completeness": lambda z, v: dci(z, v, CATEGORICAL).completeness,
    "informativeness": lambda z, v: dci(z, v, CATEGORICAL).informativeness,
    "factor-vae": factor_vae_score,
    "beta-vae": beta_vae_score,
}
GUESS = {"factor-vae": 1 / len(SIZES), "beta-vae": 1 / len(SIZES)}
"""Two scores are accuracies: noise scores what guessing does. The others fall to about 0."""

ROTATED = ("mig", "sap", "disentanglement", "completeness")
"""Scores that mind at once when factors are spread over latents; a vote on the stillest latent
minds late, a linear classifier and what can be read from all latents do not."""


def turned(angle: float) -> np.ndarray:
    """The factors, scaled alike, with two pairs of axes turned by `angle`."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.kron(np.eye(2), np.array([[c, -s], [s, c]]))
    return PERFECT / PERFECT.std(axis=0) @ turn


@pytest.mark.parametrize("name", SCORES)
def test_codes_that_are_the_factors_score_one(name: str) -> None:
    assert SCORES[name](PERFECT, FACTORS) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", SCORES)
def test_order_sign_and_scale_of_latents_do_not_matter(name: str) -> None:
    shuffled = PERFECT[:, [2, 0, 3, 1]] * [-3.0, 2.0, 5.0, -0.5]
    assert SCORES[name](shuffled, FACTORS) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", SCORES)
def test_noise_scores_what_guessing_does(name: str) -> None:
    assert SCORES[name](NOISE, FACTORS) == pytest.approx(GUESS.get(name, 0.0), abs=0.06)


@pytest.mark.parametrize("name", ROTATED)
def test_the_more_the_axes_are_turned_the_less_a_score(name: str) -> None:
    straight, little, much = (SCORES[name](turned(a), FACTORS) for a in (0, np.pi / 8, np.pi / 4))
    assert straight > little + 0.02 and little > much + 0.02
    assert much < 0.75


def test_a_vote_minds_when_axes_are_turned_halfway() -> None:
    assert factor_vae_score(turned(np.pi / 4), FACTORS) < 0.95


def test_a_factor_held_twice_costs_completeness_and_gap_but_not_disentanglement() -> None:
    doubled = np.concatenate([PERFECT, PERFECT], axis=1)
    found = dci(doubled, FACTORS, CATEGORICAL)
    assert found.disentanglement > 0.97
    assert found.completeness < found.disentanglement - 0.05
    assert mutual_information_gap(doubled, FACTORS) == pytest.approx(0.0, abs=0.01)
    assert sap_score(doubled, FACTORS, CATEGORICAL) == pytest.approx(0.0, abs=0.01)


def test_a_latent_with_two_factors_costs_disentanglement() -> None:
    """The first latent holds both of the first factors, so the second is told by it alone."""
    codes = PERFECT.copy()
    codes[:, 0], codes[:, 1] = FACTORS[:, 0] * 6 + FACTORS[:, 1], NOISE[:, 0]
    found = dci(codes, FACTORS, CATEGORICAL)
    assert found.disentanglement < 0.9 and found.completeness > 0.85
    assert factor_vae_score(codes, FACTORS) < 0.9


def test_collapsed_latents_are_left_out() -> None:
    """They are always the stillest; counted, they would win every vote."""
    silent = 1e-3 * NOISE
    assert factor_vae_score(np.concatenate([PERFECT, silent], axis=1), FACTORS) > 0.99
    assert factor_vae_score(silent, FACTORS) == pytest.approx(1 / len(SIZES))


def test_information_is_that_of_scikit_learn() -> None:
    a, b = FACTORS[:, 1], (FACTORS[:, 1] + FACTORS[:, 0]) % 6
    assert mutual_information(a, b) == pytest.approx(mutual_info_score(a, b))
    assert entropy(a) == pytest.approx(mutual_info_score(a, a))
    assert mutual_info_classif(a[:, None], b, discrete_features=True)[0] == pytest.approx(
        mutual_information(a, b)
    )


@pytest.mark.parametrize("name", ["beta-vae", "factor-vae"])
def test_scores_that_draw_are_the_same_each_time(name: str) -> None:
    codes = turned(0.7) + NOISE
    assert SCORES[name](codes, FACTORS) == SCORES[name](codes, FACTORS)
