"""The likelihood of a run: by which command, under which prior, and what is kept of it."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from tests.commands import vae_core
from tests.engine import trained
from vae_core.child import in_process
from vae_core.errors import Stopped, UserError
from vae_core.evaluation import likelihood
from vae_core.evaluation.likelihood import Asked, evaluate_likelihood, kept_likelihood
from vae_core.latent.priors import priors
from vae_core.latent.priors.autoregressive import AutoregressivePrior, learn
from vae_core.latent.priors.codes import unseen_share, with_unseen
from vae_core.latent.priors.gaussian_mixture import Mixture
from vae_core.loading import load_part, load_run
from vae_core.runs import Run


@pytest.fixture
def vae(tmp_path: Path) -> Run:
    return trained(tmp_path)


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A tiny VQ-VAE: 16 codes on maps of 4×4, as in tests/test_priors.py."""
    objective = {"codes": 16, "halvings": 2}
    return trained(tmp_path_factory.mktemp("vq"), family="vq-vae", objective=objective)


def evaluated(run: Run, *options: str) -> dict[str, Any]:
    done = vae_core("evaluate", run.id, "--store", str(run.path.parent), "--json", *options)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


# --- the command ----------------------------------------------------------------------------------


def test_the_command_adds_the_likelihood_to_what_it_tells(vae: Run) -> None:
    plain, weighed = evaluated(vae), evaluated(vae, "--k", "64")
    added = {"nll", "nll_se", "k", "effective_draws", "nll_prior", "dequantised"}
    assert added <= weighed.keys() - plain.keys()
    assert weighed["k"] == 64 and weighed["nll_prior"] == "model" and not weighed["dequantised"]
    assert weighed["elbo"] == plain["elbo"] and weighed["images"] == plain["images"]
    assert weighed["nll"] < weighed["nll_of_one_draw"]
    assert weighed["nll_of_one_draw"] == pytest.approx(-plain["elbo"], abs=1.0)
    bits = weighed["nll"] / 256 / math.log(2)
    assert weighed["bits_per_dim"] == pytest.approx(bits) != plain["bits_per_dim"]
    assert weighed["bits_per_dim_of"] == "nll"
    assert 1 < weighed["effective_draws"] < 64


def test_the_first_images_alone_are_measured_and_that_is_said(vae: Run) -> None:
    few = evaluated(vae, "--k", "3", "--images", "7", "--draws-at-once", "2")
    part = load_part(vae, "validation")[1]
    assert few["images"] == 7 and few["measured_on"] == f"first 7 of {len(part)} validation images"
    kept = kept_likelihood(vae, Asked(3, images=7))
    assert kept is not None and kept.images == 7 and kept.measured_on == few["measured_on"]
    assert kept.nll == few["nll"]
    assert kept.nll_se == pytest.approx(kept.weighed.log_p.std(ddof=1) / math.sqrt(7))
    assert evaluated(vae, "--images", "7")["elbo"] == few["elbo"]


def test_a_density_is_measured_on_dequantised_levels(tmp_path: Path) -> None:
    run = trained(tmp_path, model={"likelihood": "gaussian-optimal"}, train={"epochs": 1})
    found = evaluated(run, "--k", "4")
    assert found["dequantised"] and "(level + u)/256" in found["nll_notes"][0]
    bits = found["nll"] / 256 / math.log(2) + 8
    assert found["bits_per_dim"] == pytest.approx(bits)


def test_bits_of_black_and_white_are_those_of_two_levels_whoever_measures(tmp_path: Path) -> None:
    """A code of 8-bit pixels, under a density too: no figure is 8 bits from the other, or below
    0."""
    model, data = {"likelihood": "continuous-bernoulli"}, {"binarise": "static"}
    run = trained(tmp_path, model=model, data=data, train={"epochs": 1})
    plain, weighed = evaluated(run), evaluated(run, "--k", "4")
    assert weighed["dequantised"] and weighed["bits_per_dim"] > 0
    assert weighed["bits_per_dim"] == pytest.approx(plain["bits_per_dim"], abs=0.5)


@pytest.mark.parametrize(
    ("family", "options", "said"),
    [
        ("autoencoder", ("--k", "5"), "puts each image on one point"),
        ("vae", ("--k", "5", "--prior", "autoregressive"), "this model has none"),
        ("vae", ("--k", "5", "--prior", "nope"), "There is no prior 'nope'"),
        ("vae", ("--k", "5", "--split", "test"), "has no test images"),
        ("vq-vae", ("--k", "5", "--prior", "model"), "has no codes"),
    ],
)
def test_what_has_no_likelihood_is_refused_in_a_sentence(
    tmp_path: Path, family: str, options: tuple[str, ...], said: str
) -> None:
    objective = {"vq-vae": {"codes": 16, "halvings": 2}}.get(family, {})
    run = trained(tmp_path, "refused", family=family, objective=objective, train={"epochs": 1})
    done = vae_core("evaluate", run.id, "--store", str(tmp_path), *options)
    assert done.returncode == 2 and said in done.stderr
    assert sum("error:" in line for line in done.stderr.splitlines()) == 1
    assert said in done.stderr.splitlines()[-1], "nothing stands behind the sentence"


# --- what is kept ---------------------------------------------------------------------------------


def test_what_was_weighed_is_kept_until_the_weights_are_others(
    vae: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(5)
    assert kept_likelihood(vae, asked) is None
    found = evaluate_likelihood(vae, asked)

    def refuse(*args: Any) -> None:
        raise AssertionError("it was weighed again")

    with monkeypatch.context() as patch:
        patch.setattr(likelihood, "weigh", refuse)
        again = evaluate_likelihood(vae, asked)
        assert again.report() == found.report() and again.step == found.step
        np.testing.assert_array_equal(again.weighed.log_p, found.weighed.log_p)
        for other in (Asked(6), Asked(5, seed=1), Asked(5, images=3)):
            assert kept_likelihood(vae, other) is None
    whole = bytearray(vae.read("model.safetensors"))
    whole[-1] ^= 1
    vae.write_bytes("model.safetensors", bytes(whole))
    assert kept_likelihood(vae, asked) is None


def test_it_can_be_stopped_and_keeps_nothing_then(vae: Run) -> None:
    def stop(message: str, share: float | None) -> None:
        if message.startswith("Weighing"):
            raise Stopped(message)

    with pytest.raises(Stopped):
        evaluate_likelihood(vae, Asked(50), progress=stop)
    assert kept_likelihood(vae, Asked(50)) is None


def test_a_process_beside_this_one_weighs_and_keeps(vae: Run) -> None:
    said: list[str] = []
    command = ["evaluate", vae.id, "--k", "9", "--images", "20"]
    in_process(command, vae, lambda message, share: said.append(message))
    found = kept_likelihood(vae, Asked(9, images=20))
    assert found is not None and found.images == 20
    assert any(message.startswith("Weighing draws") for message in said)


# --- priors that say how likely latents are -------------------------------------------------------


def test_a_mixture_is_a_density() -> None:
    """It integrates to 1 over the plane, and independent deviations are a diagonal factor."""
    torch.manual_seed(0)
    factors = torch.tensor([[[0.5, 0.0], [0.6, 0.3]], [[1.0, 0.0], [0.0, 0.4]]])
    mixture = Mixture(torch.tensor([0.3, 0.7]), torch.randn(2, 2), factors)
    line = torch.linspace(-7, 7, 561)
    v = torch.cartesian_prod(line, line)
    mass = mixture.log_prob(v).exp().sum() * float(line[1] - line[0]) ** 2
    assert float(mass) == pytest.approx(1, abs=1e-3)
    truth = MixtureSameFamily(
        Categorical(mixture.weights), MultivariateNormal(mixture.means, scale_tril=factors)
    )
    torch.testing.assert_close(mixture.log_prob(v[:50]), truth.log_prob(v[:50]))
    deviations = torch.tensor([[0.5, 0.3], [1.0, 0.4]])
    flat = Mixture(mixture.weights, mixture.means, deviations)
    full = Mixture(mixture.weights, mixture.means, torch.diag_embed(deviations))
    torch.testing.assert_close(flat.log_prob(v[:50]), full.log_prob(v[:50]))


def test_a_mixture_fitted_afterwards_weighs_in_place_of_the_models_own(vae: Run) -> None:
    own, fitted = (evaluated(vae, "--k", "40", *more) for more in ((), ("--prior", MIXTURE)))
    assert fitted["nll_prior"] == MIXTURE and fitted["nll"] != own["nll"]
    assert fitted["recon"] == own["recon"]
    loaded = load_run(vae)
    z = loaded.model.sample_prior(5)
    log_p = priors[MIXTURE].build(vae, loaded.model).log_prob(z)  # type: ignore[attr-defined]
    assert log_p.shape == (5,) and bool(log_p.isfinite().all())


MIXTURE = "gaussian-mixture"


def test_unseen_codes_share_what_seen_ones_leave() -> None:
    """By Good's estimate, and the shares of all codes add up to 1."""
    counts = torch.tensor([[6.0, 3.0, 1.0, 0.0], [5.0, 5.0, 0.0, 0.0]])
    unseen = unseen_share(counts)
    torch.testing.assert_close(unseen, torch.tensor([0.1, 1 / 11]))
    log_p = (counts / 10).log()
    every = with_unseen(torch.cat([log_p, torch.full((2, 2), -math.inf)], 1), unseen[:, None], 6)
    torch.testing.assert_close(every.exp().sum(1), torch.ones(2))
    torch.testing.assert_close(every[:, -1], (unseen / 6).log())


@pytest.mark.parametrize("name", ["code-frequencies", "autoregressive"])
def test_the_lengths_of_all_codes_are_those_of_a_distribution(coded: Run, name: str) -> None:
    """Σ p over what two places may hold, given the others, is their probability without them: the
    same whatever they hold, for the last two places of the map."""
    loaded = load_run(coded)
    model: Any = loaded.model
    learn(coded, model, epochs=2)
    prior: Any = priors[name].build(coded, model)
    first = model.encode(torch.rand(1, 1, 16, 16)).indices.flatten(1)
    pairs = torch.tensor(list(itertools.product(range(16), repeat=2)))

    def log_p(codes: Tensor) -> Tensor:
        return prior.log_prob(model.quantiser.vectors(codes.view(-1, *model.places))).double()

    whole = torch.cat([first[:, :-2].expand(256, -1), pairs], 1)
    total = torch.logsumexp(log_p(whole), 0)
    one = torch.cat([first[:, :-1].expand(16, -1), torch.arange(16)[:, None]], 1)
    last = torch.logsumexp(log_p(one), 0)
    assert bool(log_p(whole).isfinite().all())
    assert float(total) < 0 and float(last) < float(total)
    if name == "code-frequencies":  # places are independent: one place's shares are divided out
        vocabulary, counts = prior.frequencies
        share = (counts[-2] / counts[-2].sum())[vocabulary == first[0, -2]]
        share = share if len(share) else torch.zeros(1)
        epsilon = float(unseen_share(counts)[-2])
        expected = math.log((1 - epsilon) * float(share) + epsilon / 16)
        assert float(last - total) == pytest.approx(expected, abs=1e-3)
    else:
        assert isinstance(prior, AutoregressivePrior)
        network, vocabulary = prior._learned
        places = torch.searchsorted(vocabulary, first).clamp_max(len(vocabulary) - 1)
        known = bool(vocabulary[places[0, -2]] == first[0, -2])
        nats = -float(network.place_nll(places).detach()[0, -2]) if known else -math.inf
        epsilon = float(prior._unseen)
        expected = math.log((1 - epsilon) * math.exp(nats) + epsilon / 16)
        assert float(last - total) == pytest.approx(expected, abs=1e-3)


def test_codes_cost_their_length_under_a_learned_prior(coded: Run) -> None:
    """−log p(x) ≤ −log p(x|c) − log p(c), one draw says all, and every prior has its own length."""
    found = evaluated(coded, "--k", "50")
    assert found["k"] == 1 and found["nll_prior"] == "autoregressive"
    assert found["nll"] == pytest.approx(found["recon"] + found["code_length"], abs=0.01)
    frequencies = evaluated(coded, "--k", "1", "--prior", "code-frequencies")
    assert frequencies["recon"] == found["recon"]
    assert 0 < found["code_length"] < 16 * math.log(16)
    assert frequencies["code_length"] != found["code_length"]
    assert "fitted to training images" in found["nll_notes"][0]


def test_numbers_that_are_none_are_refused(vae: Run) -> None:
    for asked in (Asked(0), Asked(5, images=0)):
        with pytest.raises(UserError, match="has to be 1 or more"):
            evaluate_likelihood(vae, asked)
