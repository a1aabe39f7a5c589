"""The parts of the rate against closed forms: linear-Gaussian models, of which all are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from tests.engine import built_in, tiny
from vae_core.families import build
from vae_core.families.full_covariance import FullCovariancePosterior
from vae_core.metrics import decomposition
from vae_core.metrics.decomposition import (
    Decomposition,
    affordable,
    decompose,
    gaussian_total_correlation,
    posteriors,
)
from vae_core.models import DensityPosterior, GaussianMixture, GaussianPosterior
from vae_core.run_data import data_card

N, DRAWS = 6000, 1500
MAP = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 0.7]])
WIDTH = torch.tensor([0.5, 0.4, 0.6])
"""x ~ N(0, I), q(z|x) = N(Ax, diag(WIDTH²)), so that q(z) = N(0, A·Aᵀ + diag(WIDTH²))."""

TILT = torch.tensor([[0.5, 0.0, 0.0], [0.2, 0.4, 0.0], [-0.3, 0.1, 0.3]])
"""A Cholesky factor, for posteriors that tilt."""


def means(n: int = N) -> Tensor:
    return torch.randn(n, 2, generator=Generator().manual_seed(0)) @ MAP.T


def diagonal(n: int = N, size: int = 250) -> list[DensityPosterior]:
    return [GaussianPosterior(mu, (2 * WIDTH.log()).expand_as(mu)) for mu in means(n).split(size)]


def tilted() -> list[DensityPosterior]:
    return [FullCovariancePosterior(mu, TILT.expand(len(mu), 3, 3)) for mu in means().split(250)]


def closed_form(within: Tensor) -> dict[str, float]:
    """Every part, with the covariance of the posteriors."""
    whole = MAP @ MAP.T + within
    variance = whole.diagonal()
    return {
        "mutual_information": float(0.5 * (whole.logdet() - within.logdet())),
        "marginal_kl": float(0.5 * (variance.sum() - 3 - whole.logdet())),
        "total_correlation": float(0.5 * (variance.log().sum() - whole.logdet())),
        "dimension_wise_kl": float(0.5 * (variance - 1 - variance.log()).sum()),
    }


@pytest.mark.parametrize(
    ("blocks", "within"),
    [(diagonal(), WIDTH.square().diag()), (tilted(), TILT @ TILT.T)],
    ids=["diagonal", "full covariance"],
)
def test_every_part_is_the_closed_form_and_lies_in_its_range(
    blocks: list[DensityPosterior], within: Tensor
) -> None:
    found = decompose(blocks, None, DRAWS, generator=Generator().manual_seed(1))
    assert (found.images, found.draws, found.dims, found.batch) == (N, DRAWS, 3, N)
    known = closed_form(within)
    for name, expected in known.items():
        part = getattr(found, name)
        assert part.value == pytest.approx(expected, abs=4 * part.se), name
        assert part.se < 0.04 and part.low is not None and part.high is not None
        assert part.low - 4 * part.se < expected < part.high + 4 * part.se, name
        assert part.high - part.low < 0.1, name
    assert found.rate.value == pytest.approx(
        known["mutual_information"] + known["marginal_kl"], abs=4 * found.rate.se
    )


def test_of_every_dimension_by_itself() -> None:
    found = decompose(diagonal(), None, DRAWS, generator=Generator().manual_seed(2))
    variance = (MAP @ MAP.T).diagonal() + WIDTH.square()
    assert found.information_per_dim is not None and found.kl_per_dim is not None
    np.testing.assert_allclose(
        found.information_per_dim, (0.5 * variance.log() - WIDTH.log()).numpy(), atol=0.08
    )
    np.testing.assert_allclose(
        found.kl_per_dim, (0.5 * (variance - 1 - variance.log())).numpy(), atol=0.08
    )


def test_the_parts_add_up_under_any_prior() -> None:
    """A learned Gaussian prior shifts the KL of q(z), which has a closed form, and nothing else."""
    centre, deviation = torch.tensor([0.5, -1.0, 0.0]), torch.tensor([1.5, 1.0, 0.7])
    prior = GaussianMixture(centre[None], 2 * deviation.log()[None])
    found = decompose(diagonal(), prior, DRAWS, generator=Generator().manual_seed(3))
    whole = MAP @ MAP.T + WIDTH.square().diag()
    q = torch.distributions.MultivariateNormal(torch.zeros(3), whole)
    p = torch.distributions.MultivariateNormal(centre, deviation.square().diag())
    expected = float(torch.distributions.kl_divergence(q, p))
    assert found.marginal_kl.value == pytest.approx(expected, abs=4 * found.marginal_kl.se)
    assert found.rate.value == pytest.approx(
        found.mutual_information.value + found.marginal_kl.value, abs=1e-4
    )
    assert found.total_correlation is not None and found.dimension_wise_kl is not None
    assert found.marginal_kl.value == pytest.approx(
        found.total_correlation.value + found.dimension_wise_kl.value, abs=1e-4
    )
    two = GaussianMixture(torch.tensor([[-1.0] * 3, [1.0] * 3]), torch.zeros(2, 3))
    mixed = decompose(diagonal(500), two, 500, generator=Generator().manual_seed(3))
    assert mixed.rate.value == pytest.approx(
        mixed.mutual_information.value + mixed.marginal_kl.value, abs=1e-4
    )


def test_images_that_are_told_apart_for_sure_reach_log_n_and_no_more() -> None:
    mu = 100 * torch.randn(300, 4, generator=Generator().manual_seed(0))
    narrow: list[DensityPosterior] = [GaussianPosterior(mu, torch.full_like(mu, -8.0))]
    found = decompose(narrow, None).mutual_information
    assert found.value == found.low == pytest.approx(math.log(300), abs=1e-4)
    assert found.high is not None and found.high > 1000  # of all images it may be anything


def test_what_has_collapsed_tells_nothing_and_costs_nothing() -> None:
    zeros = torch.zeros(400, 3)
    blocks: list[DensityPosterior] = [GaussianPosterior(z, z) for z in zeros.split(100)]
    for estimator in ("full", "stratified"):
        found = decompose(blocks, None, estimator=estimator)  # type: ignore[arg-type]
        for name in closed_form(WIDTH.diag()):
            assert getattr(found, name).value == pytest.approx(0.0, abs=1e-5)


def test_the_bias_of_minibatches_is_what_is_said_of_it() -> None:
    """Weighted: each density a log N too small, so information one too large, TC D − 1, and
    dimension-wise KL D too small. Stratified has none here."""
    zeros = torch.zeros(400, 3)
    blocks: list[DensityPosterior] = [GaussianPosterior(z, z) for z in zeros.split(100)]
    found = decompose(blocks, None, estimator="weighted", images=5000)
    assert (found.images, found.batch) == (400, 100)
    log_n = math.log(5000)
    assert found.mutual_information.value == pytest.approx(log_n, abs=1e-4)
    assert found.total_correlation is not None and found.dimension_wise_kl is not None
    assert found.total_correlation.value == pytest.approx(2 * log_n, abs=1e-4)
    assert found.dimension_wise_kl.value == pytest.approx(-3 * log_n, abs=1e-4)


def test_memory_is_bounded_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    pairs = decomposition._pairs

    def watched(block: DensityPosterior, z: Tensor) -> tuple[Tensor, Tensor | None]:
        nonlocal largest
        joint, single = pairs(block, z)
        assert single is not None
        largest = max(largest, single.numel())
        return joint, single

    monkeypatch.setattr(decomposition, "_pairs", watched)
    found: list[Decomposition] = []
    for at_once, size in ((1 << 22, 500), (10_000, 7)):
        monkeypatch.setattr(decomposition, "AT_ONCE", at_once)
        monkeypatch.setattr(decomposition, "BATCH", size)
        # The draws have to be the same ones, however they are split.
        whole = GaussianPosterior(means(500), (2 * WIDTH.log()).expand(500, 3))
        z = whole.sample(Generator().manual_seed(0))
        split = (t.split(size) for t in (whole.mu, whole.logvar, z))
        parts = [_Fixed(*each) for each in zip(*split, strict=True)]
        largest = 0
        found.append(decompose(parts, None, 300))
        assert largest <= at_once
    first, second = found
    for name in closed_form(WIDTH.diag()):
        assert getattr(first, name).value == pytest.approx(getattr(second, name).value, abs=1e-5)


class _Fixed(GaussianPosterior):
    """A posterior whose draw is chosen."""

    def __init__(self, mu: Tensor, logvar: Tensor, z: Tensor) -> None:
        super().__init__(mu, logvar)
        object.__setattr__(self, "_z", z)

    def sample(self, generator: Generator | None = None) -> Tensor:
        drawn: Tensor = self._z  # type: ignore[attr-defined]
        return drawn


def test_more_dimensions_take_fewer_images() -> None:
    assert affordable(50_000, 10) == (10_000, 2_000)
    images, draws = affordable(50_000, 4096)
    assert 2 <= draws < images < 10_000 and images * draws * 4096 <= decomposition.WORK
    assert affordable(1, 10) == (2, 2)


@pytest.mark.parametrize("family", ["hierarchical", "full-covariance", "vamp", "autoencoder"])
def test_of_every_kind_of_posterior(family: str) -> None:
    """Of a hierarchy the coarsest level, whose posterior depends on the image alone; of points
    nothing."""
    config = tiny(family=family)
    dataset = built_in(config.data)
    torch.manual_seed(0)
    model, _ = build(config, data_card(dataset))
    found = posteriors(model.eval(), dataset.validation)
    if family == "autoencoder":
        assert found is None
        return
    assert found is not None
    parts = decompose(found, model.prior(), generator=Generator().manual_seed(0))
    first = model.latent_shapes[0]
    assert parts.dims == math.prod(first) <= model.latent_size
    assert parts.images == len(dataset.validation)
    told = parts.mutual_information  # of an untrained network hardly anything
    assert -4 * told.se <= told.value <= math.log(parts.images)
    assert parts.total_correlation is not None and math.isfinite(parts.total_correlation.value)
    assert parts.rate.value == pytest.approx(
        parts.mutual_information.value + parts.marginal_kl.value, abs=1e-3
    )


def test_the_total_correlation_of_a_gaussian() -> None:
    random = np.random.default_rng(0)
    z = random.normal(size=(100_000, 2)) @ np.linalg.cholesky([[1, 0.8], [0.8, 1]]).T
    codes = np.concatenate(
        [3 * z + 1, random.normal(size=(100_000, 1)), np.full((100_000, 1), 2)], 1
    )
    expected = -0.5 * math.log(1 - 0.8**2)
    assert gaussian_total_correlation(codes) == pytest.approx(expected, abs=0.01)
    assert gaussian_total_correlation(codes[:, :1]) == 0.0
    assert gaussian_total_correlation(codes[:, [0, 0]]) > 10


def test_posteriors_that_are_too_large_are_those_of_fewer_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tiny(family="full-covariance")
    dataset = built_in(config.data)
    model, _ = build(config, data_card(dataset))
    monkeypatch.setattr(decomposition, "BATCH", 64)
    monkeypatch.setattr(decomposition, "MOST_HELD", 64 * (4 + 16) * 4 + 1)
    found = posteriors(model.eval(), dataset.train)
    assert found is not None and [len(each.mode()) for each in found] == [64, 64]
