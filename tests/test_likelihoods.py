"""What logits mean: closed forms, known numbers, and what every likelihood has to hold."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import ContinuousBernoulli, Laplace, Normal

from tests.engine import trained
from tests.test_families import FAMILIES, at, learns, made
from vae_core.config import ModelConfig
from vae_core.errors import UserError
from vae_core.export import Source, export
from vae_core.export.networks import DecoderHalf, traced
from vae_core.latent.explanation import explain
from vae_core.loading import load_run
from vae_core.models import backbones
from vae_core.models.folded import fold
from vae_core.models.likelihoods import (
    Gaussian,
    Likelihood,
    OptimalGaussian,
    likelihoods,
    resolve_likelihood,
    settings_of,
)
from vae_core.models.likelihoods.continuous_bernoulli import (
    continuous_bernoulli_mean,
    log_normaliser,
)
from vae_core.models.likelihoods.gaussian import PixelGaussian
from vae_core.models.likelihoods.laplace import OptimalLaplace
from vae_core.models.likelihoods.logistic import LEVELS, level_log_probability
from vae_core.objective import MODEL
from vae_core.score_images import baseline
from vae_core.types import total

NAMES = [entry.name for entry in likelihoods]
DISCRETE = ["discretised-logistic", "logistic-mixture"]
WIDE = ["gaussian-pixel", "logistic-mixture"]
"""Those that ask the decoder for more than a picture."""

everyone = pytest.mark.parametrize("name", NAMES)


def likelihood(name: str, **settings: Any) -> Likelihood:
    made = likelihoods[name].build(ModelConfig(likelihood=name, **settings)).eval()
    if hasattr(made, "variance"):
        made.variance.fill_(0.01)
    return made


def logits_of(one: Likelihood, *shape: int, spread: float = 1.0) -> Tensor:
    """Random logits for images [B, C, H, W]."""
    batch, channels, *sides = shape
    noise = torch.Generator().manual_seed(batch)
    return spread * torch.randn(batch, one.outputs(channels), *sides, generator=noise)


def levels() -> Tensor:
    """Every level as an image of one pixel, [256, 1, 1, 1]."""
    return (torch.arange(LEVELS) / (LEVELS - 1)).view(-1, 1, 1, 1)


def test_auto_is_bernoulli_for_grey_and_a_learned_sigma_for_colour() -> None:
    assert resolve_likelihood("auto", 1) == "bernoulli"
    assert resolve_likelihood("auto", 3) == "gaussian-optimal"
    assert resolve_likelihood("gaussian", 3) == "gaussian"


def test_identity_output_undoes_the_normalisation() -> None:
    config = ModelConfig(output="identity", pixel_mean=0.1307, pixel_std=0.3081)
    x = torch.rand(2, 1, 8, 8)
    logits = (x - 0.1307) / 0.3081
    torch.testing.assert_close(Gaussian(config).mean(logits), x)


# --- a scale that is found from the errors --------------------------------------------------------


def test_optimal_sigma_learns_the_noise_of_the_data() -> None:
    """Images of a known noise around the decoder's mean: the kept variance is that noise."""
    generator = torch.Generator().manual_seed(0)
    likelihood = OptimalGaussian(ModelConfig(output="identity"))
    mean = torch.full((64, 3, 16, 16), 0.5)
    for _ in range(50):
        noise = 0.2 * torch.randn(mean.shape, generator=generator)
        likelihood.nll(mean, mean + noise)
    assert float(likelihood.variance) == pytest.approx(0.04, rel=0.01)


def test_optimal_sigma_measures_single_images_with_the_kept_variance() -> None:
    likelihood = OptimalGaussian(ModelConfig(output="identity"))
    mean = torch.full((4, 1, 8, 8), 0.5)
    likelihood.nll(mean, mean + 0.1)
    kept = float(likelihood.variance)
    likelihood.eval()
    together = likelihood.nll(mean, torch.rand(4, 1, 8, 8, generator=torch.Generator()))
    assert together.shape == (4,)
    assert float(likelihood.variance) == kept == pytest.approx(0.01)


@pytest.mark.parametrize("kind", [OptimalGaussian, OptimalLaplace])
def test_a_perfect_copy_stays_finite(kind: type[OptimalGaussian | OptimalLaplace]) -> None:
    likelihood = kind(ModelConfig(output="identity"))
    x = torch.rand(2, 1, 8, 8)
    assert likelihood.nll(x, x).isfinite().all()


def test_the_scale_that_laplace_finds_is_the_likeliest() -> None:
    """In training its nats are those of torch's distribution at the best of all scales, and the
    errors' own standard deviation is what it keeps."""
    one = OptimalLaplace(ModelConfig(output="identity")).double()
    mean = torch.full((200, 1, 16, 16), 0.5, dtype=torch.float64)
    x = Laplace(0.5, 0.1).expand(mean.shape).sample().double()
    found = float(one.nll(mean, x).sum())
    scales = [0.07, 0.09, 0.098, 0.102, 0.11, 0.13]
    others = [-float(Laplace(mean, scale).log_prob(x).sum()) for scale in scales]
    best = float((x - mean).abs().mean())
    assert found == pytest.approx(-float(Laplace(mean, best).log_prob(x).sum()), rel=1e-6)
    assert found < min(others)
    assert one.noise == pytest.approx(math.sqrt(2) * 0.1, rel=0.02)


# --- closed forms ---------------------------------------------------------------------------------


def test_nats_are_those_of_torch_distributions() -> None:
    x = torch.rand(3, 2, 4, 5)
    for name, of in {
        "gaussian": lambda m: Normal(m, 0.2),
        "laplace": lambda m: Laplace(m, 0.2 / math.sqrt(2)),
        "gaussian-optimal": lambda m: Normal(m, 0.1),
        "laplace-optimal": lambda m: Laplace(m, 0.1 / math.sqrt(2)),
    }.items():
        one = likelihood(name, sigma=0.2)
        logits = logits_of(one, 3, 2, 4, 5)
        expected = -of(logits.sigmoid()).log_prob(x).flatten(1).sum(1)
        torch.testing.assert_close(one.nll(logits, x), expected)
    one = PixelGaussian(ModelConfig())
    logits = logits_of(one, 3, 2, 4, 5)
    normal = Normal(logits[:, :2].sigmoid(), (0.5 * one.logvar(logits)).exp())
    torch.testing.assert_close(one.nll(logits, x), -normal.log_prob(x).flatten(1).sum(1))


def test_the_variance_of_a_pixel_is_bounded_and_always_has_a_gradient() -> None:
    one = PixelGaussian(ModelConfig())
    raw = torch.tensor([-60.0, -20.0, 0.0, 20.0, 60.0]).view(-1, 1, 1, 1).requires_grad_()
    logvar = one.logvar(torch.cat([torch.zeros_like(raw), raw], 1))
    assert (logvar >= one.FLOOR).all() and (logvar <= one.CEILING + 1e-5).all()
    assert (logvar.diff(dim=0) >= 0).all()
    assert float(logvar[2].detach()) == pytest.approx(one.START, abs=0.03)
    logvar[1:4].sum().backward()
    assert raw.grad is not None and (raw.grad[1:4] > 0).all()


def test_the_continuous_bernoulli_is_that_of_torch() -> None:
    """In double, where torch's own is told to leave its closed form close to one half alone."""
    logits = torch.linspace(-12, 12, 481, dtype=torch.float64)
    x = torch.rand(481, dtype=torch.float64)
    known = ContinuousBernoulli(logits=logits, lims=(0.4999, 0.5001))
    one = likelihood("continuous-bernoulli")
    found = one.nll(logits.view(-1, 1, 1, 1), x.view(-1, 1, 1, 1))
    torch.testing.assert_close(found, -known.log_prob(x), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(continuous_bernoulli_mean(logits), known.mean, rtol=1e-7, atol=1e-7)


def test_the_normaliser_is_smooth_through_one_half() -> None:
    """Where the closed form is 0/0: its value is log 2, the mean one half, and across the seam
    between series and closed form neither value nor slope jumps."""
    zero = torch.zeros(1, requires_grad=True)
    log_normaliser(zero).sum().backward()
    assert zero.grad is not None and float(zero.grad) == 0
    zero = zero.detach()
    assert float(log_normaliser(zero)) == pytest.approx(math.log(2))
    assert float(continuous_bernoulli_mean(zero)) == 0.5
    near = torch.linspace(0.4999, 0.5001, 21, dtype=torch.float64, requires_grad=True)
    value, mean = log_normaliser(near), continuous_bernoulli_mean(near)
    (slope,) = torch.autograd.grad(value.sum(), near)
    # The expectation is where the slope of −log p over the logit is 0: λ less that of log C.
    torch.testing.assert_close(mean, near.sigmoid() - slope, rtol=0, atol=1e-8)
    assert float(mean.diff().min()) > 0 and float(slope.diff().min()) > 0


@pytest.mark.parametrize("logit", [-90.0, -3.0, -0.4, 0.0, 1e-3, 0.49, 0.51, 8.0, 90.0])
def test_the_continuous_bernoulli_integrates_to_one(logit: float) -> None:
    nodes, weights = (torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(200))
    x, weights = 0.5 + 0.5 * nodes, 0.5 * weights
    logits = torch.full((200, 1, 1, 1), logit, dtype=torch.float64)
    p = (-likelihood("continuous-bernoulli").nll(logits, x.view(-1, 1, 1, 1))).exp()
    assert float((p * weights).sum()) == pytest.approx(1, abs=1e-9)
    mean = float(continuous_bernoulli_mean(logits[0]))
    assert float((p * x * weights).sum()) == pytest.approx(mean, abs=1e-9)


@pytest.mark.parametrize("middle", [-2.0, 0.0, 0.3, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("log_scale", [-7.5, -5.0, -2.0, 1.0, 6.0])
def test_levels_have_probabilities_that_sum_to_one(middle: float, log_scale: float) -> None:
    """In single precision, from narrower than a step to far wider than the scale; against the
    difference of the distribution function in double where that can be told."""
    at, width = torch.tensor(middle), torch.tensor(log_scale)
    log_p = level_log_probability(levels().flatten(), at, width)
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=2e-5)
    edges = torch.arange(-1, LEVELS, dtype=torch.float64).add(0.5) / (LEVELS - 1)
    edges[0], edges[-1] = -math.inf, math.inf
    exact = torch.sigmoid((edges - middle) / math.exp(log_scale)).diff()
    told = exact > 1e-9
    torch.testing.assert_close(log_p[told], exact[told].log().float(), rtol=1e-4, atol=1e-4)
    assert log_p.isfinite().all()


def test_tails_of_levels_do_not_vanish() -> None:
    """A level a thousand scales away: −log p is the distance; a difference of sigmoids is 0."""
    log_p = level_log_probability(torch.tensor(0.5), torch.tensor(0.0), torch.tensor(-7.6))
    s = math.exp(-7.6)
    step = 1 / 255
    expected = -(0.5 - step / 2) / s + math.log1p(-math.exp(-step / s))
    assert float(log_p) == pytest.approx(expected, rel=1e-4) and expected < -900


@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities_of_all_levels_sum_to_one(name: str) -> None:
    one = likelihood(name, mixture=3)
    logits = logits_of(one, 1, 1, 1, 1, spread=2.0).expand(LEVELS, -1, 1, 1)
    p = (-one.nll(logits, levels())).exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-5)
    assert float((p * levels().flatten()).sum()) == pytest.approx(
        float(one.mean(logits[:1])), abs=0.5 / 255
    )


def test_colours_are_bound_to_each_other_and_still_sum_to_one() -> None:
    """Over all 2¹⁶ pairs of the levels of two channels; and the coupling moves the second one."""
    one = likelihood("logistic-mixture", mixture=2)
    logits = logits_of(one, 1, 2, 1, 1)
    logits[:, 3:5] = logits[:, 9:11] = -3.0  # both scales of both components: wide enough to see
    grid = torch.cartesian_prod(levels().flatten(), levels().flatten())[..., None, None]
    p = (-one.nll(logits.expand(len(grid), -1, 1, 1), grid)).exp().view(LEVELS, LEVELS)
    assert float(p.sum()) == pytest.approx(1, abs=1e-4)
    scale = levels().flatten()
    second = (p * scale).sum(1) / p.sum(1).clamp_min(1e-30)
    believed = p.sum(1) > 1e-4
    assert float(second[believed].max() - second[believed].min()) > 0.05
    expected = torch.stack([(p.sum(1) * scale).sum(), (p.sum(0) * scale).sum()])
    torch.testing.assert_close(one.mean(logits).flatten(), expected, rtol=0, atol=2e-2)


def test_a_mixture_of_one_is_the_logistic_of_the_paper() -> None:
    """On the scale [−1, 1] of Salimans et al.: middle, log scale and the pull of red on green."""
    one = likelihood("logistic-mixture", mixture=1)
    raw = torch.tensor([0.7, 0.2, -0.4, 0.1, -2.0, -1.5, -2.5, 0.6, -0.3, 0.9]).double()
    x = torch.tensor([100, 30, 240]).double() / 255
    wide = 2 * x - 1
    slopes = raw[7:].tanh()
    middle = raw[1:4].clone()
    middle[1] += slopes[0] * wide[0]
    middle[2] += slopes[1] * wide[0] + slopes[2] * wide[1]
    scale = raw[4:7].exp()
    cdf = [torch.sigmoid((wide + half - middle) / scale) for half in (1 / 255, -1 / 255)]
    expected = -(cdf[0] - cdf[1]).log().sum()
    found = one.nll(raw.view(1, -1, 1, 1), x.view(1, 3, 1, 1))
    torch.testing.assert_close(found, expected[None], rtol=1e-4, atol=1e-4)
    assert one.outputs(3) == 10 and likelihood("logistic-mixture").outputs(3) == 100


# --- what every likelihood holds ------------------------------------------------------------------


@everyone
def test_draws_have_the_mean_that_is_shown(name: str) -> None:
    """20 000 of every pixel, within five standard errors; the same ones from the same seed."""
    one = likelihood(name, sigma=0.05, mixture=3)
    logits = logits_of(one, 1, 1, 2, 2, spread=0.7)
    many = logits.expand(20_000, -1, -1, -1)
    draws = one.sample(many, torch.Generator().manual_seed(1))
    assert draws.shape == (20_000, 1, 2, 2)
    assert torch.equal(draws, one.sample(many, torch.Generator().manual_seed(1)))
    error = draws.std(0) / math.sqrt(len(draws))
    near = (draws.mean(0) - one.mean(logits)[0]).abs()
    assert (near < 5 * error + 0.5 / 255 * (name in DISCRETE)).all()
    if name in DISCRETE:
        torch.testing.assert_close((draws * 255).round() / 255, draws)
        assert len(draws.unique()) > 20


@everyone
def test_draws_are_those_that_the_nats_are_of(name: str) -> None:
    """The mean −log p of draws is the entropy, and no other logits explain them better."""
    one = likelihood(name, sigma=0.2, mixture=2)
    logits = logits_of(one, 1, 3, 2, 2, spread=0.5)
    many = logits.expand(4000, -1, -1, -1)
    x = one.sample(many, torch.Generator().manual_seed(2))
    own = one.nll(many, x)
    for seed in range(3):
        other = logits + 0.3 * torch.randn(
            logits.shape, generator=torch.Generator().manual_seed(seed)
        )
        assert float(own.mean()) < float(one.nll(other.expand(4000, -1, -1, -1), x).mean())


@everyone
def test_gradients_are_finite_at_extremes(name: str) -> None:
    one = likelihood(name).train()
    for size in (1e-6, 1.0, 80.0, 1e4):
        logits = logits_of(one, 6, 2, 3, 3, spread=size).requires_grad_()
        x = torch.rand(6, 2, 3, 3)
        x[:2], x[2:4] = 0.0, 1.0
        nll = one.nll(logits, x)
        nll.sum().backward()
        assert nll.isfinite().all()
        assert logits.grad is not None and logits.grad.isfinite().all()
        logits = torch.zeros_like(logits).requires_grad_()
        (one.nll(logits, x).sum() + one.mean(logits).sum()).backward()
        assert logits.grad is not None and logits.grad.isfinite().all()


@everyone
def test_a_picture_is_one_channel_a_colour(name: str) -> None:
    for channels in (1, 2, 3, 5):
        one = likelihood(name)
        logits = logits_of(one, 2, channels, 4, 5)
        assert one.mean(logits).shape == one.sample(logits).shape == (2, channels, 4, 5)
        assert one.nll(logits, torch.rand(2, channels, 4, 5)).shape == (2,)
        assert (one.outputs(channels) > channels) is (name in WIDE)


# --- in models ------------------------------------------------------------------------------------

FREE = [name for name in FAMILIES if name != "sigma-vae"]


@pytest.mark.parametrize("family", FREE)
def test_every_family_learns_under_a_decoder_that_puts_out_more(family: str) -> None:
    """In colour, with sides that do not halve: pictures keep their shape, every weight has a
    gradient, the loss falls."""
    shape = (3, 13, 19)
    model, objective = made(family, shape, likelihood="logistic-mixture", mixture=2)
    x = torch.randint(0, 256, (8, *shape)) / 255
    optimizer = torch.optim.Adam(objective.players(model)[MODEL], 3e-3)
    falling = []
    for step in range(8):
        losses = objective.losses(x, objective(model, x, at(step + 14)), at(step + 14))
        optimizer.zero_grad()
        learns(losses).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        falling.append(float(total(losses[MODEL]).detach()))
    assert falling[-1] < falling[0]
    model.eval()
    z = model.sample_prior(2)
    logits = model.decode(z)
    assert logits.shape == (2, 20, 13, 19) and model.picture(logits).shape == (2, *shape)
    served = copy.deepcopy(model)
    fold(served)
    torch.testing.assert_close(served.picture(served.decode(z)), model.picture(logits))


@pytest.mark.parametrize("backbone", [entry.name for entry in backbones])
def test_the_encoder_is_the_same_whatever_the_decoder_puts_out(backbone: str) -> None:
    """A likelihood that asks for no more changes no weight that a seed gives; one that asks for
    more changes none of the encoder's."""
    plain, same, wide = (
        made("vae", (3, 16, 16), backbone=backbone, options={}, likelihood=name)[0]
        for name in ("gaussian-optimal", "laplace", "gaussian-pixel")
    )
    for ours, theirs in zip(plain.parameters(), same.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(plain.encoder.parameters(), wide.encoder.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert wide.decode(torch.zeros(1, 4)).shape == (1, 6, 16, 16)


@pytest.mark.parametrize("family", ["given", "pythae", "autoencoder-kl"])
def test_a_brought_network_gives_pictures_and_nothing_else(family: str) -> None:
    with pytest.raises(UserError, match=r"model\.likelihood: logistic-mixture takes more than a"):
        made(family, likelihood="logistic-mixture")


@everyone
def test_a_run_trains_is_measured_loaded_and_explained(name: str, tmp_path: Path) -> None:
    """From the loop to the explorer's pictures; the bits are those of what the nats are."""
    model = {"likelihood": name, "mixture": 2}
    run = trained(tmp_path, name, model=model, data={"limit": 100}, train={"epochs": 1})
    loaded, summary = load_run(run), run.summary()
    one = loaded.model.likelihood
    bits = summary["nats_per_pixel"] / math.log(2) + 8 * one.is_density
    assert summary["bits_per_dim"] == pytest.approx(bits)
    assert summary["is_density"] is one.is_density is (name not in ("bernoulli", *DISCRETE))
    assert summary["incomparable"] == one.incomparable and summary["sigma"] == one.noise
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 16, 16), np.uint8)
    found = explain(loaded.model, images)
    x = torch.from_numpy(images).float() / 255
    with torch.inference_mode():
        whole = one.nll(loaded.model.decode(loaded.model.encode(x).mode()), x)
    np.testing.assert_allclose(found.loss.sum((1, 2)), whole, rtol=1e-4)
    assert found.reconstruction.shape == images.shape
    # What pixels alone explain is held against the ELBO: levels are no chances either.
    pixels = baseline(run).reference.pixels
    assert pixels is not None and pixels.density is (name != "bernoulli")


@everyone
def test_what_is_exported_is_the_picture(name: str) -> None:
    """Traced, which the Python module and the graphs are written from."""
    model = made("vae", (3, 16, 16), likelihood=name, mixture=2)[0].eval()
    half, z = DecoderHalf(model), torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    program = traced(half, {"z": z[:2]})
    with torch.inference_mode():
        torch.testing.assert_close(program.module()(z), half(z))


def test_what_is_exported_of_a_mixture_runs_elsewhere(tmp_path: Path) -> None:
    from onnxruntime import InferenceSession

    model = {"likelihood": "logistic-mixture", "mixture": 2}
    run = trained(tmp_path, model=model, data={"limit": 100}, train={"epochs": 1})
    network = load_run(run).model
    z = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network.picture(network.decode(z)).numpy()
    decoder = InferenceSession(export(Source(run), "onnx").files["decoder.onnx"])
    np.testing.assert_allclose(decoder.run(["x_hat"], {"z": z.numpy()})[0], expected, atol=1e-5)
    files = export(Source(run), "python").files
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
    written: dict[str, Any] = {"__file__": str(tmp_path / "model.py"), "__name__": "model"}
    exec(files["model.py"].decode(), written)
    np.testing.assert_allclose(written["decode"](z), expected, atol=1e-5)


def test_settings_count_where_they_are_taken() -> None:
    """Likelihoods without a mixture are the same run whatever its number is."""
    assert settings_of("gaussian") == settings_of("laplace") == ("sigma",)
    assert settings_of("logistic-mixture") == ("mixture",)
    assert settings_of("bernoulli") == settings_of("auto") == ()
