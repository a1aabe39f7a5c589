"""Scores on constructed codes with known answers: the factors themselves, mixtures, noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score

from vae_core.data.sets.sprites import COUNT, factors_of
from vae_core.errors import UserError
from vae_core.metrics.disentanglement import (
    Codes,
    beta_vae_score,
    collapsed,
    dci,
    entropy,
    factor_vae_score,
    mutual_information,
    mutual_information_gap,
    sap_score,
    with_spread,
)

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


def test_latents_that_never_vary_are_left_out() -> None:
    """They are always the stillest; counted, they would win every vote."""
    silent = np.full_like(NOISE, 0.1)
    assert factor_vae_score(np.concatenate([silent, PERFECT], axis=1), FACTORS) > 0.99
    assert factor_vae_score(silent, FACTORS) == pytest.approx(1 / len(SIZES))
    assert all(score(silent, FACTORS) <= GUESS.get(name, 0.0) + 0.06 for name, score in EVERY)


GRID = np.stack(np.meshgrid(*(np.arange(n) for n in (3, 4, 8, 5)), indexing="ij"), -1).reshape(
    -1, 4
)
"""Every combination twice: here factors are independent exactly, and no score may fall short."""
TWICE = np.concatenate([GRID, GRID])
WITH_CONSTANT = np.insert(TWICE, 2, 7, axis=1)
EVERY = sorted(SCORES.items())


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("factors", [TWICE, WITH_CONSTANT], ids=["all vary", "one is constant"])
def test_the_factors_themselves_score_exactly_one(name: str, factors: np.ndarray) -> None:
    # SAP asks a tree on unseen rows about a factor without an order: a guess is seldom exactly 0.
    slack = 0.02 if name == "sap" else 1e-9
    assert SCORES[name](factors.astype(float), factors) == pytest.approx(1.0, abs=slack)


@pytest.mark.parametrize("images", [1000, 2000, 10_000])
@pytest.mark.parametrize("name", SCORES)
def test_the_factors_of_sprites_score_one(name: str, images: int) -> None:
    """With 40 orientations and 32 places, 20 bins and what chance tells made MIG 0.88."""
    factors = factors_of(np.random.default_rng(1).integers(COUNT, size=images))
    assert SCORES[name](factors.astype(np.float32), factors) > 0.99


@pytest.mark.parametrize("name", SCORES)
def test_a_constant_factor_counts_in_no_score(name: str) -> None:
    codes = turned(0.3) + 0.3 * NOISE
    without = SCORES[name](codes, FACTORS)
    beside = np.concatenate([FACTORS, np.full((len(FACTORS), 1), 3)], axis=1)
    assert SCORES[name](codes, beside) == pytest.approx(without, abs=1e-12)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("scale", [0.2, 100.0, [0.2, 100.0, 1.0, 1e-4]])
def test_neither_scale_nor_shift_of_a_latent_matters(name: str, scale: Any) -> None:
    codes = (turned(0.3) + 0.3 * NOISE)[:, [0, 1, 2, 3]]
    moved = codes * scale + [5.0, 0.0, -30.0, 1.0]
    # Rounding may turn a tie between two latents or two splits: by a vote in 400, not by more.
    assert SCORES[name](moved, FACTORS) == pytest.approx(SCORES[name](codes, FACTORS), abs=5e-3)


@pytest.mark.parametrize("name", SCORES)
def test_where_no_factor_varies_there_is_nothing_to_score(name: str) -> None:
    with pytest.raises(UserError, match="No factor"):
        SCORES[name](NOISE, np.ones_like(FACTORS))


@pytest.mark.parametrize("name", ["mig", "sap", "completeness", "disentanglement", "factor-vae"])
def test_a_single_latent_can_be_scored(name: str) -> None:
    assert 0 <= SCORES[name](PERFECT[:, :1], FACTORS) <= 1


def test_gaps_are_those_of_disentanglement_lib() -> None:
    """Its published formulas, written out: MIG of 20 bins, SAP of ordered factors; of 20 000 rows,
    where what chance tells is small."""
    random = np.random.default_rng(3)
    factors = np.stack([random.integers(0, n, 20_000) for n in (4, 6, 10)], axis=1)
    mixed = factors @ random.normal(size=(3, 5)) + random.normal(size=(20_000, 5))
    cut = [np.digitize(z, np.histogram(z, 20)[1][:-1]) for z in mixed.T]
    told = np.array([[mutual_info_score(v, z) for v in factors.T] for z in cut])
    ordered = np.sort(told, axis=0)[::-1]
    entropies = np.array([mutual_info_score(v, v) for v in factors.T])
    theirs = np.mean((ordered[0] - ordered[1]) / entropies)
    assert mutual_information_gap(mixed, factors) == pytest.approx(theirs, abs=2e-3)
    covariance = np.cov(mixed.T, factors.T, ddof=1)
    across, variances = covariance[:5, 5:], np.diag(covariance)
    squared = np.sort(across**2 / variances[:5, None] / variances[None, 5:], axis=0)[::-1]
    assert sap_score(mixed, factors) == pytest.approx(np.mean(squared[0] - squared[1]), abs=1e-9)


def test_a_dimension_collapses_by_its_share_not_by_its_size() -> None:
    random = np.random.default_rng(0)
    mu = random.normal(size=(500, 3)) * [1.0, 0.05, 0.01]
    logvar = np.log(np.array([0.1, 1.0, 1e-6])) * np.ones((500, 1))
    assert collapsed(mu, logvar).tolist() == [False, True, False]
    assert collapsed(1e-3 * mu, logvar + 2 * np.log(1e-3)).tolist() == [False, True, False]
    points = np.concatenate([1e-4 * mu, np.full((500, 1), 0.3)], axis=1).astype(np.float32)
    assert collapsed(points, None).tolist() == [False, False, False, True]


def test_what_a_collapsed_mean_whispers_is_not_scored() -> None:
    """Its mean follows a factor by a hair, which no decoder sees and a score without scale does."""
    means = np.concatenate([PERFECT[:, :1], 1e-3 * PERFECT[:, 1:]], axis=1)
    codes = Codes(means, means + NOISE * [1e-3, 1, 1, 1], np.array([False, True, True, True]))
    for found in codes.kinds().values():
        assert np.ptp(found, axis=0).astype(bool).tolist() == [True, False, False, False]
        assert mutual_information_gap(found, FACTORS) < 0.3


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


def test_the_spread_of_halves_is_the_standard_error() -> None:
    """Against the deviation of the score over fresh images, as many as were scored."""
    random = np.random.default_rng(5)

    def fresh() -> tuple[np.ndarray, np.ndarray]:
        factors = np.stack([random.integers(0, n, 600) for n in (5, 8)], axis=1)
        return factors @ [[1.0, 0.3], [0.1, 0.6]] + random.normal(size=factors.shape), factors

    over_images = np.std([sap_score(*fresh()) for _ in range(60)])
    spreads = [with_spread(*fresh(), (), seeds=4)[1]["sap"] for _ in range(4)]
    assert np.mean(spreads) == pytest.approx(over_images, rel=0.4)
