"""Priors that are fitted to a run's encodings: they find what is there, and are kept in the run."""

from __future__ import annotations

import json
import math
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from tests.commands import vae_core
from tests.engine import trained
from vae_core.data import no_progress
from vae_core.errors import UserError
from vae_core.latent.encodings import load_encodings
from vae_core.latent.priors import NotLearned, priors, sample, suitable
from vae_core.latent.priors.autoregressive import CodeModel, frequency_nats, learn
from vae_core.latent.priors.gaussian_mixture import Mixture, fit
from vae_core.loading import LoadedRun, load_run
from vae_core.locations import DEFAULT_STORE
from vae_core.runs import Store
from vae_core.runs.derived import derived_folder


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    return load_run(trained(tmp_path_factory.mktemp("vae")))


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    """A tiny VQ-VAE: 16 codes on maps of 4×4."""
    run = trained(
        tmp_path_factory.mktemp("vq"), family="vq-vae", objective={"codes": 16, "halvings": 2}
    )
    return load_run(run)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("dims", [2, 40])
def test_a_known_mixture_is_found_again(dims: int) -> None:
    """Three far groups of known shares; with 40 dimensions the components are diagonal."""
    means = torch.zeros(3, dims)
    means[0, 0], means[1, 0], means[2, 1] = -8.0, 8.0, 8.0
    shapes = torch.eye(dims).repeat(3, 1, 1) * 0.5
    if dims == 2:
        shapes[1] = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    weights = torch.tensor([0.5, 0.3, 0.2])
    torch.manual_seed(0)
    truth = MixtureSameFamily(Categorical(weights), MultivariateNormal(means, scale_tril=shapes))
    found = fit(truth.sample((6000,)).numpy(), components=3)
    order = torch.cdist(means, found.means).argmin(1)
    torch.testing.assert_close(found.weights[order], weights, atol=0.03, rtol=0)
    torch.testing.assert_close(found.means[order], means, atol=0.15, rtol=0)
    factors = found.factors[order]
    covariances = factors @ factors.mT if dims == 2 else torch.diag_embed(factors**2)
    torch.testing.assert_close(covariances, shapes @ shapes.mT, atol=0.12, rtol=0)


@pytest.mark.parametrize("name", ["mnist-vae", "mnist-beta-vae", "sprites-vae", "mnist-ae"])
def test_draws_vary_as_much_as_what_the_decoder_was_trained_on(name: str) -> None:
    """By dimension, collapsed ones too: Var μ + mean σ², and the covariances of q(z) as a whole."""
    encodings = load_encodings(Store(DEFAULT_STORE).get(name))
    mu, logvar = encodings.mu.astype(np.float64), encodings.logvar
    width = 0.0 if logvar is None else np.exp(logvar.astype(np.float64)).mean(0)
    mixture = fit(encodings.mu, logvar)
    drawn = mixture.sample(40_000, seeded(), 1.0).double().numpy()
    expected = mu.var(0) + width
    # Four standard errors of a variance of 40 000 draws whose tails are those of a normal.
    np.testing.assert_allclose(drawn.var(0), expected, rtol=4 * (2 / 40_000) ** 0.5)
    np.testing.assert_allclose(drawn.mean(0), mu.mean(0), atol=4 * (expected.max() / 40_000) ** 0.5)
    whole = np.cov(mu.T) + np.diag(np.broadcast_to(width, mu.shape[1]))
    np.testing.assert_allclose(np.cov(drawn.T), whole, atol=0.03 * expected.max())


@pytest.mark.parametrize("dims", [3, 40])
def test_every_component_has_the_width_of_its_own_images(dims: int) -> None:
    """Two clouds, one of sure images and one of unsure ones."""
    mu = 0.1 * np.random.default_rng(7).normal(size=(2000, dims))
    mu[:, 0] += np.repeat([-5.0, 5.0], 1000)
    logvar = np.repeat(np.log([0.04, 1.0]), 1000)[:, None] * np.ones(dims)
    drawn = fit(mu, logvar, components=2).sample(40_000, seeded(), 1.0)
    left, right = drawn[drawn[:, 0] < 0], drawn[drawn[:, 0] > 0]
    torch.testing.assert_close(left.var(0), torch.full((dims,), 0.05), rtol=0.06, atol=0)
    torch.testing.assert_close(right.var(0), torch.full((dims,), 1.01), rtol=0.06, atol=0)


def test_a_mixture_fitted_in_an_older_way_is_not_taken(vae: LoadedRun) -> None:
    """Such a file has the step of the encodings and no version, or an earlier one."""
    from vae_core.latent.priors import gaussian_mixture
    from vae_core.latent.priors.prior import load_prior

    encodings = load_encodings(vae.run)
    older = fit(encodings.mu)
    sample(vae.run, vae.model, "gaussian-mixture", 4, seeded())
    for stamp in ({}, {"version": "1"}):
        tensors = {name: part.contiguous() for name, part in vars(older).items()}
        path = "prior-gaussian-mixture.safetensors"
        derived_folder(vae.run).write_bytes(
            path, save(tensors, {"step": str(encodings.step)} | stamp)
        )
        drawn = sample(vae.run, vae.model, "gaussian-mixture", 400, seeded())
        expected = fit(encodings.mu, encodings.logvar).sample(400, seeded(), 1.0)
        torch.testing.assert_close(drawn, expected)
        assert load_prior(vae.run, "gaussian-mixture", gaussian_mixture.VERSION) is not None


def test_what_was_learned_before_versions_were_written_is_still_taken(coded: LoadedRun) -> None:
    from vae_core.latent.priors.prior import load_prior

    step = str(load_encodings(coded.run).step)
    coded.run.write_bytes("prior-old.safetensors", save({"a": torch.ones(2)}, {"step": step}))
    assert load_prior(coded.run, "old") is not None and load_prior(coded.run, "old", 2) is None


def test_a_mixture_is_drawn_as_it_says() -> None:
    factors = torch.tensor([[[1.0, 0.0], [0.8, 0.6]], [[0.1, 0.0], [0.0, 0.1]]])
    mixture = Mixture(torch.tensor([0.75, 0.25]), torch.tensor([[5.0, 0], [-5.0, 0]]), factors)
    drawn = mixture.sample(40_000, seeded(), 1.0)
    right = drawn[drawn[:, 0] > 0]
    assert len(right) / len(drawn) == pytest.approx(0.75, abs=0.01)
    expected = factors[0] @ factors[0].T
    torch.testing.assert_close(right.T.cov(), expected, atol=0.03, rtol=0)
    cold = mixture.sample(40_000, seeded(), 0.5)
    cold = cold[cold[:, 0] > 0]
    torch.testing.assert_close(cold.T.cov(), expected / 4, atol=0.01, rtol=0)


@pytest.mark.parametrize("mu", [np.zeros((50, 3)), np.eye(3)[[0, 0, 1]], np.ones((2, 64))])
def test_few_or_equal_encodings_give_a_mixture_without_a_warning(mu: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = fit(mu.astype(np.float32)).sample(5, seeded(), 1.0)
    assert drawn.isfinite().all()
    assert (drawn - torch.from_numpy(mu).float().mean(0)).abs().max() < 5


@pytest.mark.parametrize("prior", ["model", "gaussian-mixture"])
def test_drawing_needs_only_the_run(vae: LoadedRun, prior: str) -> None:
    first, second = (sample(vae.run, vae.model, prior, 6, seeded()) for _ in range(2))
    assert first.shape == (6, 4) and torch.equal(first, second)
    assert not torch.equal(first, sample(vae.run, vae.model, prior, 6, seeded(1)))
    assert vae.model.decode(first).shape == (6, 1, 16, 16)


def test_a_mixture_is_kept_until_the_encodings_are_others(
    vae: LoadedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vae_core.latent.priors import gaussian_mixture, prior

    before = sample(vae.run, vae.model, "gaussian-mixture", 4, seeded())
    fits: list[int] = []
    monkeypatch.setattr(
        gaussian_mixture,
        "fit",
        lambda mu, logvar: fits.append(len(mu)) or fit(mu, logvar, components=1),
    )
    assert torch.equal(sample(vae.run, vae.model, "gaussian-mixture", 4, seeded()), before)
    assert fits == []
    monkeypatch.setattr(prior, "encoded_step", lambda run: -1)
    sample(vae.run, vae.model, "gaussian-mixture", 4, seeded())
    assert fits == [len(load_encodings(vae.run).mu)]


def test_a_damaged_file_is_fitted_again(vae: LoadedRun) -> None:
    sample(vae.run, vae.model, "gaussian-mixture", 4, seeded())
    kept = derived_folder(vae.run).file("prior-gaussian-mixture.safetensors")
    kept.write_bytes(b"no safetensors")
    drawn = sample(vae.run, vae.model, "gaussian-mixture", 4, seeded())
    encodings = load_encodings(vae.run)
    expected = fit(encodings.mu, encodings.logvar).sample(4, seeded(), 1.0)
    torch.testing.assert_close(drawn, expected)


def test_priors_over_codes_are_offered_where_there_are_codes(
    vae: LoadedRun, coded: LoadedRun
) -> None:
    assert suitable(vae.model) == ["model", "gaussian-mixture"]
    assert suitable(coded.model) == [entry.name for entry in priors]
    with pytest.raises(UserError, match="'code-frequencies' draws codes, and run 'tiny' has none"):
        sample(vae.run, vae.model, "code-frequencies", 1)


def test_codes_are_drawn_as_often_as_the_encodings_have_them(coded: LoadedRun) -> None:
    model: Any = coded.model
    seen = model.quantiser.indices(model.unflatten(torch.from_numpy(load_encodings(coded.run).mu)))
    drawn = model.quantiser.indices(sample(coded.run, model, "code-frequencies", 4000, seeded()))
    assert drawn.shape == (4000, *model.places)
    for row, column in ((0, 0), (1, 2), (3, 3)):
        shares = [
            codes[:, row, column].bincount(minlength=16) / len(codes) for codes in (seen, drawn)
        ]
        torch.testing.assert_close(*shares, atol=0.04, rtol=0)


def test_colder_codes_are_the_likelier_ones(coded: LoadedRun) -> None:
    model: Any = coded.model
    seen = model.quantiser.indices(model.unflatten(torch.from_numpy(load_encodings(coded.run).mu)))
    drawn = model.quantiser.indices(
        sample(coded.run, model, "code-frequencies", 50, seeded(), 0.01)
    )
    counts = seen[:, 1, 1].bincount()
    assert (counts[drawn[:, 1, 1]] >= 0.9 * counts.max()).all()


def test_an_autoregressive_prior_is_learned_once_and_drawn_from(coded: LoadedRun) -> None:
    with pytest.raises(NotLearned, match="`python -m vae_core prior tiny` learns one"):
        sample(coded.run, coded.model, "autoregressive", 2)
    told: list[tuple[str, float | None]] = []
    lengths = learn(coded.run, coded.model, 4, progress=lambda *said: told.append(said))
    ends = [re.search(r"epoch (\d) of 4: ([\d.]+) nats", message) for message, _ in told]
    reported = {int(found[1]): float(found[2]) for found in ends if found}
    assert list(reported) == [1, 2, 3, 4]
    assert lengths.autoregressive == pytest.approx(min(reported.values()), abs=0.01)
    assert told[-1][1] == 1 and {share for _, share in told} == {0, 0.25, 0.5, 0.75, 1}
    assert lengths.uniform == pytest.approx(16 * math.log(16))
    assert lengths.frequencies < lengths.uniform
    first, second = (
        sample(coded.run, coded.model, "autoregressive", 3, seeded()) for _ in range(2)
    )
    assert torch.equal(first, second) and coded.model.decode(first).shape == (3, 1, 16, 16)


def test_learning_a_prior_leaves_the_random_state_alone(coded: LoadedRun) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    learn(coded.run, coded.model, 1)
    assert torch.equal(torch.rand(3), expected)


def test_a_code_depends_on_those_before_it_alone() -> None:
    torch.manual_seed(0)
    network = CodeModel(5, 6)
    codes = torch.randint(5, (2, 6))
    changed = codes.clone()
    changed[:, 3] = (codes[:, 3] + 1) % 5
    before, after = network(codes), network(changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])
    logs = before.log_softmax(2).gather(2, codes[:, :, None]).sum((1, 2))
    torch.testing.assert_close(network.nll(codes), -logs)


def test_a_network_learns_what_frequencies_cannot() -> None:
    """Every row repeats one code: half a bit a place by itself, all of it known from the first."""
    from vae_core.latent.priors.autoregressive import _train

    torch.manual_seed(0)
    codes = torch.randint(2, (400, 1)).expand(-1, 6).contiguous()
    network = CodeModel(2, 6, width=16)
    best = _train(network, codes[:300], codes[300:], 12, no_progress)
    assert best == pytest.approx(math.log(2), abs=0.1)
    assert frequency_nats(codes[:300], codes[300:]) == pytest.approx(6 * math.log(2), abs=0.1)
    drawn = network.sample(200, seeded(), 1.0)
    assert float((drawn == drawn[:, :1]).float().mean()) > 0.97
    assert 0.3 < float(drawn[:, 0].float().mean()) < 0.7


def test_frequencies_count_every_place_by_itself() -> None:
    seen, held = torch.tensor([[0, 1], [0, 1], [0, 0]]), torch.tensor([[0, 1]])
    expected = -math.log(4 / 5) - math.log(3 / 5)
    assert frequency_nats(seen, held) == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_is_positive(vae: LoadedRun, temperature: float) -> None:
    with pytest.raises(UserError, match="temperature has to be above 0"):
        sample(vae.run, vae.model, "gaussian-mixture", 1, temperature=temperature)


def test_a_run_without_encodings_says_so(vae: LoadedRun, tmp_path: Path) -> None:
    from vae_core.runs import Run

    with pytest.raises(UserError, match="has no encodings yet"):
        sample(Run(tmp_path), vae.model, "gaussian-mixture", 1)


def test_learning_over_codes_needs_codes(vae: LoadedRun) -> None:
    with pytest.raises(UserError, match="Run 'tiny' has no codes"):
        learn(vae.run, vae.model)


def test_the_commands_learn_a_prior_and_draw_from_it(coded: LoadedRun, tmp_path: Path) -> None:
    store, picture = ("--store", str(coded.run.path.parent)), tmp_path / "drawn.png"

    learned = vae_core("prior", "tiny", "--epochs", "1", "--json", *store)
    lengths = json.loads(learned.stdout)
    assert lengths["uniform"] == pytest.approx(16 * math.log(16))
    assert 0 < lengths["autoregressive"] < 2 * lengths["uniform"]
    assert "epoch 1 of 1: " in learned.stderr
    six = ("--prior", "autoregressive", "-n", "6", "--out", str(picture))
    drawn = vae_core("sample", "tiny", *six, *store)
    assert drawn.returncode == 0 and "6 pictures of tiny" in drawn.stdout
    with Image.open(picture) as image:
        assert image.size == (2 * 16, 3 * 16)
