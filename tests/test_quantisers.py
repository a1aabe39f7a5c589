"""Codebooks against the papers' equations, by hand."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

from tests.engine import make_loop, tiny
from vae_core.config import parse_config
from vae_core.errors import UserError
from vae_core.families import build, complete
from vae_core.families.codes import usage
from vae_core.families.fsq import FiniteScalarQuantiser
from vae_core.families.vq_vae import VectorQuantiser
from vae_core.models.quantised import QuantisedBottleneck, Quantiser
from vae_core.objective import MODEL
from vae_core.training.events import Stepped
from vae_core.types import Context


def made(family: str) -> tuple[Any, Any]:
    torch.manual_seed(0)
    config = parse_config({"family": family, "model": {"latent_dim": 6}})
    return build(complete(config), (1, 16, 16))


def places(*vectors: list[float]) -> torch.Tensor:
    """Vectors as one map of a single image, [1, dim, 1, n]."""
    return torch.tensor(vectors).T[None, :, None, :]


def two_codes(decay: float = 0.9, restart: float = 0.0) -> VectorQuantiser:
    quantiser = VectorQuantiser(2, 2, decay, restart)
    quantiser.codebook.copy_(torch.tensor([[0.0, 0.0], [10.0, 0.0]]))
    quantiser.counts.copy_(torch.tensor([4.0, 2.0]))
    quantiser.sums.copy_(quantiser.codebook * quantiser.counts[:, None])
    return quantiser


def test_every_place_takes_its_nearest_code() -> None:
    torch.manual_seed(0)
    quantiser, z = VectorQuantiser(7, 3, 0.9, 0.1), torch.randn(2, 3, 4, 5)
    rows = z.permute(0, 2, 3, 1).reshape(-1, 3)
    expected = torch.cdist(rows, quantiser.codebook).argmin(1).view(2, 4, 5)
    assert torch.equal(quantiser.indices(z), expected)
    assert torch.equal(quantiser(z)[1, :, 2, 3], quantiser.codebook[expected[1, 2, 3]])


def test_codes_follow_running_means_as_the_paper_says() -> None:
    """N ← γN + (1−γ)n, m ← γm + (1−γ)Σz, e = m/N, with three encodings near the first code."""
    quantiser = two_codes(decay=0.9, restart=0.0)
    z = places([1.0, 0.0], [2.0, 3.0], [0.0, 0.0], [9.0, 1.0])
    indices = quantiser.indices(z)
    assert indices.flatten().tolist() == [0, 0, 0, 1]
    quantiser.follow(z, indices)
    counts = [0.9 * 4 + 0.1 * 3, 0.9 * 2 + 0.1 * 1]
    sums = [[0.9 * 0 + 0.1 * 3, 0.1 * 3], [0.9 * 20 + 0.1 * 9, 0.1 * 1]]
    expected = torch.tensor(sums) / torch.tensor(counts)[:, None]
    torch.testing.assert_close(quantiser.counts, torch.tensor(counts))
    torch.testing.assert_close(quantiser.codebook, expected)


def test_a_code_alone_comes_to_the_mean_of_what_it_stands_for() -> None:
    quantiser = two_codes(decay=0.5, restart=0.0)
    z = places([1.0, 2.0], [3.0, 4.0])
    for _ in range(60):
        quantiser.follow(z, quantiser.indices(z))
    torch.testing.assert_close(quantiser.codebook[0], torch.tensor([2.0, 3.0]))
    assert torch.equal(quantiser.codebook[1], torch.tensor([10.0, 0.0]))  # nothing came near it


def test_a_dead_code_comes_back_to_life() -> None:
    quantiser = two_codes(decay=0.5, restart=0.3)
    z = places([-1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.0, -0.5])
    quantiser.follow(z, quantiser.indices(z))
    assert quantiser.codebook[1, 0] == 10  # 2·0.5 = 1 is not yet below 0.3 · 4/2
    quantiser.follow(z, quantiser.indices(z))
    assert quantiser.codebook[1].tolist() in z[0, :, 0].T.tolist()
    assert usage(quantiser.indices(z))[0] == 2
    assert float(quantiser.counts[1]) == 2.0  # an even use: it has time to prove itself


def test_restarts_bring_most_codes_into_use() -> None:
    """Learned on digits, with and without: what the encoder left behind at first comes back."""
    used = {}
    for restart in (0.0, 0.1):
        config = tiny(
            family="vq-vae",
            objective={"codes": 64, "decay": 0.9, "restart": restart},
            train={"epochs": 8, "learning_rate": 1e-2, "preview_every": 100},
        )
        events = list(make_loop(config).run())
        used[restart] = [e.terms["codes_used"] for e in events if isinstance(e, Stepped)][-1]
    assert used[0.1] > 48 and used[0.1] > 1.5 * used[0.0]


def test_the_codebook_starts_on_encodings() -> None:
    quantiser = VectorQuantiser(4, 2, 0.9, 0.1)
    z = places(*[[float(i), 100.0] for i in range(8)])
    quantiser.start(z)
    rows = z[0, :, 0].T.tolist()
    chosen = quantiser.codebook.tolist()
    assert all(code in rows for code in chosen) and len({tuple(code) for code in chosen}) == 4
    before = quantiser.codebook.clone()
    quantiser.start(z + 1)
    assert torch.equal(quantiser.codebook, before)


def test_more_codes_than_encodings_start_and_restart_without_harm() -> None:
    quantiser = VectorQuantiser(64, 2, 0.9, 0.5)
    z = places([1.0, 2.0], [3.0, 4.0])
    quantiser.start(z)
    for _ in range(5):
        quantiser.follow(z, quantiser.indices(z))
    assert quantiser.codebook.isfinite().all() and quantiser.counts.isfinite().all()
    torch.testing.assert_close(quantiser(z), z)


def test_codes_learn_only_while_training() -> None:
    torch.manual_seed(0)
    bottleneck = QuantisedBottleneck(3, VectorQuantiser(4, 2, 0.9, 0.1))
    maps = torch.randn(2, 3, 4, 4)
    bottleneck.train()(maps)
    before = bottleneck.quantiser.codebook.clone()
    bottleneck.eval()(maps)
    assert torch.equal(bottleneck.quantiser.codebook, before)
    bottleneck.train()(maps)
    assert not torch.equal(bottleneck.quantiser.codebook, before)


def test_codes_are_drawn_as_often_as_they_are_used() -> None:
    quantiser = two_codes()
    generator = torch.Generator().manual_seed(0)
    share = {t: quantiser.draw((20_000,), generator, t).float().mean() for t in (1.0, 0.5)}
    assert abs(share[1.0] - 1 / 3) < 0.01
    assert abs(share[0.5] - 1 / 5) < 0.01  # 2² of 4² + 2²


@pytest.mark.parametrize("levels", [(3,), (2, 2), (8, 5, 5), (4, 3, 2)])
def test_levels_are_as_many_as_asked_and_all_reached(levels: tuple[int, ...]) -> None:
    quantiser = FiniteScalarQuantiser(levels)
    assert quantiser.codes == math.prod(levels)
    line = torch.linspace(-50, 50, 4001)
    for i, count in enumerate(levels):
        features = torch.zeros(1, len(levels), 1, 4001)
        features[0, i, 0] = line
        values = quantiser(quantiser.bound(features))[0, i, 0].unique()
        assert len(values) == count
        middle = count // 2
        expected = (torch.arange(count) - middle) / middle
        torch.testing.assert_close(values, expected)


@pytest.mark.parametrize("levels", [(3, 2, 5)])
def test_finite_scalar_codes_are_numbered_without_gaps(levels: tuple[int, ...]) -> None:
    quantiser = FiniteScalarQuantiser(levels)
    numbers = torch.arange(30).view(1, 1, 30)
    vectors = quantiser.vectors(numbers)
    assert torch.equal(quantiser.indices(vectors), numbers)
    assert len({tuple(v) for v in vectors[0, :, 0].T.tolist()}) == 30


def test_zero_is_a_level_and_what_is_outside_goes_to_the_end() -> None:
    quantiser = FiniteScalarQuantiser((4, 5))
    assert quantiser(quantiser.bound(torch.zeros(1, 2, 1, 1))).flatten().tolist() == [0.0, 0.0]
    far = torch.tensor([9.0, -9.0]).view(1, 2, 1, 1)
    assert quantiser(far).flatten().tolist() == [0.5, -1.0]


@pytest.mark.parametrize(
    "quantiser", [VectorQuantiser(6, 3, 0.9, 0.1), FiniteScalarQuantiser((3, 4, 5))]
)
def test_gradients_pass_straight_through(quantiser: Quantiser) -> None:
    z = torch.randn(2, 3, 4, 4, requires_grad=True)
    seed = torch.randn(2, 3, 4, 4)
    (gradient,) = torch.autograd.grad(quantiser(z), z, seed)
    assert torch.equal(gradient, seed)


@pytest.mark.parametrize("family", ["vq-vae", "fsq"])
def test_quantising_decoded_codes_gives_them_back(family: str) -> None:
    model, _ = made(family)
    model(torch.rand(8, 1, 16, 16))  # the codebook starts
    model.eval()
    codes = torch.randint(model.quantiser.codes, (5, *model.places))
    z = model.quantiser.vectors(codes)
    assert torch.equal(model.quantiser.vectors(model.quantiser.indices(z)), z)
    v = model.flatten(z)
    assert v.shape == (5, model.latent_size)
    assert torch.equal(model.decode(model.unflatten(v)), model.decoder(z))
    near = z + 1e-4 * torch.randn_like(z)
    assert torch.equal(model.quantiser.indices(near), model.quantiser.indices(z))
    assert torch.equal(model.decode(near), model.decode(z))


def test_usage_counts_codes_and_their_perplexity() -> None:
    used, perplexity = usage(torch.tensor([[3, 3, 3, 7]]))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert used == 2 and float(perplexity) == pytest.approx(math.exp(entropy))
    assert float(usage(torch.arange(10))[1]) == pytest.approx(10)


def test_the_terms_of_a_vector_quantised_autoencoder() -> None:
    """Code length is places · log K; commitment a squared distance that moves the encoder alone."""
    model, objective = made("vq-vae")
    x = torch.rand(3, 1, 16, 16)
    output = model(x)
    terms = objective.losses(x, output, Context(0))[MODEL]
    places = math.prod(model.places)
    assert terms["kl"].value.tolist() == pytest.approx([places * math.log(256)] * 3)
    encoded, z = output.posterior.continuous, output.posterior.z
    torch.testing.assert_close(terms["commitment"].value, ((encoded - z) ** 2).sum((1, 2, 3)))
    assert terms["commitment"].weight == 0.25
    (gradient,) = torch.autograd.grad(terms["commitment"].value.sum(), encoded, retain_graph=True)
    torch.testing.assert_close(gradient, 2 * (encoded - z))
    assert terms["perplexity"].weight == terms["codes_used"].weight == 0
    assert 1 <= float(terms["perplexity"].value[0]) <= float(terms["codes_used"].value[0]) <= 256


def test_all_combinations_of_levels_come_out_of_numbers() -> None:
    quantiser = FiniteScalarQuantiser((2, 3))
    vectors = quantiser.vectors(torch.arange(6).view(1, 1, 6))[0, :, 0].T
    expected = itertools.product((-1.0, 0.0, 1.0), (-1.0, 0.0))
    assert sorted(vectors.tolist()) == sorted([b, a] for a, b in expected)


@pytest.mark.parametrize(
    ("family", "objective", "sentence"),
    [
        ("vq-vae", {"codes": 0}, r"objective\.codes: .*greater than or equal to 2 \(it is 0\)"),
        ("vq-vae", {"halvings": 5}, r"objective\.halvings: 5 are too many.*8×8 at most 3 times"),
        ("fsq", {"levels": [8, 5]}, r"objective\.levels: 2 levels for 4 latent dimensions"),
        ("fsq", {"levels": [8, 5, 1, 5]}, r"objective\.levels: each has to be 2 or more"),
        ("fsq", {"levels": [99_999] * 4}, r"model\.latent_dim: 4 dimensions make more codes"),
    ],
)
def test_what_cannot_be_quantised_is_refused_by_name(
    family: str, objective: dict[str, Any], sentence: str
) -> None:
    values = {"family": family, "objective": objective, "model": {"latent_dim": 4}}
    with pytest.raises(UserError, match=sentence):
        build(complete(parse_config(values)), (1, 8, 8))
