"""How well single latent dimensions stand for single known factors.

Every score takes codes [N, L] (posterior means, or samples) and factors [N, F] (integers), and
returns a number in [0, 1] that is 1 for codes that are the factors themselves. Scale and shift of
a latent do not matter, a latent that never varies says nothing, and the mean is over the factors
that vary; where none does, or none has two values that recur, a score raises a `UserError`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch

from vae_core.data import Progress, no_progress
from vae_core.data.batches import labelled
from vae_core.data.dataset import ImageSet
from vae_core.errors import UserError
from vae_core.models import LatentModel

BATCH = 256

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

    A half varies about the whole by as much as the whole does about the truth.

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


BINS = 20
"""Cuts of a continuous code: Locatello et al., Challenging Common Assumptions (2019)."""


def mutual_information_gap(codes: np.ndarray, factors: np.ndarray) -> float:
    """By how much the best latent tells more of a factor than the second best does.

    MIG = 1/F · Σ_k (I(z_j₁; v_k) − I(z_j₂; v_k)) / H(v_k), the mean over factors that vary. A code
    that takes no more values than a factor does is taken by its values, any other is cut into bins
    of equal width: in 20 bins the 40 orientations of a sprite would tell less than they do. What
    independent codes would seem to tell by chance, E[I] ≈ (|z| − 1)(|v| − 1) / 2N nats, is taken
    off I and H: with 2000 images and factors of 40 and 32 values it is 0.3 nats, a tenth of H.
    A single latent has nothing beside it, so its gap is all that it tells.

    Source: Chen et al., Isolating Sources of Disentanglement in VAEs (2018), equation 6; chance:
    Vinh, Epps and Bailey, Information Theoretic Measures for Clusterings Comparison (2010).
    """
    told = np.array([informations(column, factors) for column in codes.T])
    return float(np.mean(gaps(told)))


def gaps(scores: np.ndarray) -> np.ndarray:
    """The best score of every factor less the second best, [L, F] → [F]; a lone latent's all."""
    second, best = np.sort(np.vstack([scores, np.zeros(scores.shape[1])]), axis=0)[-2:]
    return best - second


def informations(code: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """I(z; v)/H(v) beyond chance of one latent [N] and each factor that varies, in [0, 1]."""
    factors = factors[:, varied(factors)]
    cut = discrete(code, max(len(np.unique(v)) for v in factors.T))
    if np.ptp(cut) == 0:
        return np.zeros(factors.shape[1])
    shares = []
    for v in factors.T:
        chance = expected_information(cut, v)
        known, whole = mutual_information(cut, v), entropy(v)
        # A factor that never repeats is told by chance as much as by itself.
        share = (known - chance) / (whole - chance) if whole - chance > 1e-9 else 0.0
        shares.append(min(1.0, max(0.0, share)))
    return np.array(shares)


def mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """I(a; b) = H(a) + H(b) − H(a, b) in nats, of two rows of integers [N]."""
    both = np.unique(np.stack([a, b]), axis=1, return_inverse=True)[1]
    return max(0.0, entropy(a) + entropy(b) - entropy(both.ravel()))


def expected_information(a: np.ndarray, b: np.ndarray) -> float:
    """The mean of I(a; b) in nats over all orders of b: what is told by chance, exactly."""
    from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

    table = contingency_matrix(a, b, sparse=True).astype(np.int64)
    return float(expected_mutual_information(table, len(a)))


def entropy(values: np.ndarray) -> float:
    """H in nats of the integers [N] as they occur."""
    shares = np.unique(values, return_counts=True)[1] / len(values)
    return float(-(shares * np.log(shares)).sum())


def discrete(code: np.ndarray, few: int) -> np.ndarray:
    """A code [N] as integers: which of its values where they are no more than `few`, else which of
    `BINS` of equal width."""
    values, which = np.unique(code, return_inverse=True)
    if len(values) <= few:
        return which.ravel()
    return np.digitize(code, np.histogram_bin_edges(code, BINS)[1:-1])


def sap_score(
    codes: np.ndarray, factors: np.ndarray, categorical: Collection[int] = (), seed: int = 0
) -> float:
    """By how much the best latent predicts a factor better than the second best does.

    The score of latent i for an ordered factor j is their squared correlation; for a `categorical`
    one it is the balanced accuracy on unseen rows of thresholds on that latent, scaled so that
    guessing scores 0. SAP is the mean over factors that vary of the gap between the two best
    latents.

    Source: Kumar, Sattigeri and Balakrishnan, Variational Inference of Disentangled Latent
    Concepts (2018), section 3.
    """

    def score(z: np.ndarray, k: int) -> float:
        if np.ptp(z) == 0:
            return 0.0
        v = factors[:, k]
        return _thresholds(z, v, seed) if k in categorical else np.corrcoef(z, v)[0, 1] ** 2

    scores = [[score(z, k) for k in varied(factors)] for z in codes.T]
    return float(np.mean(gaps(np.array(scores))))


def _thresholds(z: np.ndarray, v: np.ndarray, seed: int) -> float:
    """Balanced accuracy of a tree on one number, 0 for a guess and 1 for no error."""
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import train_test_split
    from sklearn.tree import DecisionTreeClassifier

    _, which, counts = np.unique(v, return_inverse=True, return_counts=True)
    twice = counts[which] > 1  # what occurs once cannot be both learned and asked for
    if (counts > 1).sum() < 2:
        return 0.0
    known, unseen, v_known, v_unseen = train_test_split(
        z[twice, None], v[twice], test_size=0.5, random_state=seed, stratify=v[twice]
    )
    tree = DecisionTreeClassifier(
        max_leaf_nodes=len(counts), class_weight="balanced", random_state=seed
    )
    predicted = tree.fit(known, v_known).predict(unseen)
    return max(0.0, float(balanced_accuracy_score(v_unseen, predicted, adjusted=True)))


TREES = 20


@dataclass(frozen=True)
class Dci:
    """disentanglement: each latent stands for one factor. completeness: each factor is held by
    one latent. informativeness: the factors can be read from the codes. All in [0, 1]."""

    disentanglement: float
    completeness: float
    informativeness: float


def dci(
    codes: np.ndarray, factors: np.ndarray, categorical: Collection[int] = (), seed: int = 0
) -> Dci:
    """The three scores, from random forests that predict each factor from all latents.

    With R_ij the importance of latent i for factor j: D_i = 1 − H_F(R_i· normalised), averaged
    with each latent's share of all importance; C_j = 1 − H_L(R_·j normalised), averaged over the
    factors that vary. Informativeness is 1 − the error on unseen rows over that of the best
    constant: root mean squares of an ordered factor, wrong answers of a categorical one.

    Source: Eastwood and Williams, A Framework for the Quantitative Evaluation of Disentangled
    Representations (2018), section 2.
    """
    fitted = [_fit(codes, factors[:, k], k in categorical, seed) for k in varied(factors)]
    importance = np.stack([each[0] for each in fitted], axis=1)  # [L, F]
    share = importance.sum(axis=1) / max(importance.sum(), 1e-12)
    return Dci(
        disentanglement=float(share @ _concentration(importance)),
        completeness=float(np.mean(_concentration(importance.T))),
        informativeness=float(np.mean([each[1] for each in fitted])),
    )


def _concentration(rows: np.ndarray) -> np.ndarray:
    """1 − entropy of each row, normalised, to the base of its length; 0 for an empty row."""
    totals = rows.sum(axis=1, keepdims=True)
    p = np.divide(rows, totals, out=np.zeros_like(rows), where=totals > 0)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    base = np.log(max(2, rows.shape[1]))  # all of a row of one lies in one place
    return (totals[:, 0] > 0) * (1 + (p * logs).sum(axis=1) / base)


def _fit(
    codes: np.ndarray, v: np.ndarray, categorical: bool, seed: int
) -> tuple[np.ndarray, float]:
    """Importances [L] of a forest that predicts v, and how well it does on unseen rows."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.model_selection import train_test_split

    known, unseen, v_known, v_unseen = train_test_split(codes, v, test_size=0.5, random_state=seed)
    kind = RandomForestClassifier if categorical else RandomForestRegressor
    # Every split may use every latent: forced onto others, it would find them important.
    forest = kind(TREES, max_features=None, random_state=seed).fit(known, v_known)
    predicted = forest.predict(unseen)
    if categorical:
        values, counts = np.unique(v_known, return_counts=True)
        error, constant = predicted != v_unseen, values[counts.argmax()] != v_unseen
        ratio = error.mean() / max(constant.mean(), 1e-12)
    else:
        error, constant = predicted - v_unseen, v_known.mean() - v_unseen
        ratio = np.sqrt((error**2).mean() / max((constant**2).mean(), 1e-12))
    return forest.feature_importances_, max(0.0, 1.0 - float(ratio))


POINTS, PAIRS = 500, 64


def beta_vae_score(codes: np.ndarray, factors: np.ndarray, seed: int = 0) -> float:
    """Accuracy on unseen points of a linear classifier of the factor that pairs share.

    A point is the mean of |z₁ − z₂| over `PAIRS` pairs of rows that have one factor in common.
    Guessing scores 1/F. Codes are scaled to unit deviation first, so that the classifier does
    not depend on their size.

    Source: Higgins et al., β-VAE (2017), section 3.
    """
    from sklearn.linear_model import LogisticRegression

    scaled, groups, rng = standardised(codes), Groups(factors), np.random.default_rng(seed)
    if len(groups.factors) == 1:
        return 1.0  # there is nothing else to guess

    def draw() -> tuple[np.ndarray, np.ndarray]:
        """Points [POINTS, L] and the factor of each."""
        chosen = rng.choice(groups.factors, POINTS)
        rows = np.stack([groups.draw(factor, PAIRS, 2, rng) for factor in chosen])
        return np.abs(scaled[rows[..., 0]] - scaled[rows[..., 1]]).mean(axis=1), chosen

    classifier = LogisticRegression(C=100.0, max_iter=2000).fit(*draw())
    return float(classifier.score(*draw()))


VOTES, ROWS = 800, 64


def factor_vae_score(codes: np.ndarray, factors: np.ndarray, seed: int = 0) -> float:
    """Accuracy of a majority vote that tells from the stillest latent which factor was fixed.

    For each vote one factor is fixed, `ROWS` rows are drawn, and the latent with the smallest
    variance over them is noted, each scaled by its deviation over all rows. Half of the votes
    decide which factor each latent stands for; the other half are counted. Guessing scores 1/F.
    A latent that never varies is always the stillest and left out; one that varies by less than
    the posterior is wide is for the caller to leave out (`collapsed`).

    Source: Kim and Mnih, Disentangling by Factorising (2018), section 4.
    """
    groups = Groups(factors)
    scaled = standardised(codes)
    scaled = scaled[:, np.ptp(scaled, axis=0) > 0]
    if scaled.shape[1] == 0:
        return 1 / len(groups.factors)
    rng = np.random.default_rng(seed)

    def table() -> np.ndarray:
        """How often each latent was the stillest while each factor was fixed, [L, F]."""
        counts = np.zeros((scaled.shape[1], factors.shape[1]), int)
        for factor in rng.choice(groups.factors, VOTES):
            stillest = scaled[groups.draw(factor, 1, ROWS, rng)[0]].var(axis=0).argmin()
            counts[stillest, factor] += 1
        return counts

    stands_for = table().argmax(axis=1)
    counted = table()
    return float(counted[np.arange(len(counted)), stands_for].sum() / counted.sum())


def varied(factors: np.ndarray) -> np.ndarray:
    """Which factors [N, F] take more than one value, ascending [≤ F]: every score is about these.
    It is a `UserError` when none does."""
    found = np.flatnonzero((factors != factors[:1]).any(axis=0))
    if len(found) == 0:
        raise UserError("No factor varies among these images, so there is nothing to score.")
    return found


def standardised(codes: np.ndarray) -> np.ndarray:
    """Codes [N, L] at mean 0 and deviation 1 each; 0 where a latent never varies."""
    centred = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    centred[:, np.ptp(codes, axis=0) == 0] = 0.0
    deviation = centred.std(axis=0)
    return centred / np.where(deviation > 0, deviation, 1.0)


class Groups:
    """The rows of each factor by their value; values that occur once are left out. `factors` are
    those with more than one value."""

    def __init__(self, factors: np.ndarray) -> None:
        self._groups = [_by_value(v) for v in factors.T]
        self.factors = [k for k, (_, starts, _) in enumerate(self._groups) if len(starts) > 1]
        if not self.factors:
            raise UserError(
                "No factor has two values that recur among these images; score more images."
            )

    def draw(self, factor: int, sets: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """`sets` sets of rows [sets, size]; those of a set share one value of `factor`."""
        rows, starts, counts = self._groups[factor]
        value = rng.integers(len(starts), size=sets)
        places = (rng.random((sets, size)) * counts[value, None]).astype(int)
        return rows[starts[value, None] + places]


def _by_value(v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows sorted by value [N]; where each value begins and how often it occurs, if twice."""
    _, starts, counts = np.unique(np.sort(v), return_index=True, return_counts=True)
    return np.argsort(v, kind="stable"), starts[counts > 1], counts[counts > 1]


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
