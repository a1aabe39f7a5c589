"""One table over all families: what every one of them has to hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from tests.engine import make_loop, tiny, trained
from vae_core.config import RunConfig, parse_config
from vae_core.errors import UserError
from vae_core.families import build, complete, families
from vae_core.families.adversary import DISCRIMINATOR
from vae_core.loading import load_run
from vae_core.models import LatentModel
from vae_core.models.posterior import GaussianPosterior
from vae_core.objective import MODEL, Objective
from vae_core.runs import DataCard
from vae_core.training.events import Checkpoint, Stepped, Validated
from vae_core.types import Context, LossTerms, total

FAMILIES = [entry.name for entry in families]
SHAPES = [(1, 16, 16), (3, 16, 16), (1, 13, 19), (3, 13, 19)]
MODEL_SETTINGS = {"latent_dim": 4, "options": {"channels": [8, 16], "hidden": 16}}
OBJECTIVE_SETTINGS = {
    "factor-vae": {"critic_units": 16},
    "capacity": {"gamma": 10.0},
    "aae": {"discriminator_units": 16},
    "vae-gan": {"discriminator_channels": 4},
}
"""Small where the defaults are large, and calm where fifteen steps are too few for them."""

everywhere = pytest.mark.parametrize("family", FAMILIES)


def settings(family: str, **model: Any) -> RunConfig:
    objective = OBJECTIVE_SETTINGS.get(family, {})
    values = {"family": family, "model": MODEL_SETTINGS | model, "objective": objective}
    return complete(parse_config(values))


def made(
    family: str, shape: tuple[int, int, int] = (1, 16, 16), **model: Any
) -> tuple[LatentModel, Objective]:
    """A small model of a family for images with three labels, and its objective."""
    torch.manual_seed(0)
    card = DataCard(
        dataset="drawn", image_shape=shape, n_train=100, n_validation=10, label_names=tuple("abc")
    )
    return build(settings(family, **model), card)


def at(step: int = 0, batch: int = 8) -> Context:
    """A moment of training on images whose labels are 0, 1, 2, 0, …"""
    noise, labels = torch.Generator().manual_seed(1), torch.arange(batch) % 3
    return Context(step, noise, labels=labels, train_images=100)


def learns(losses: dict[str, LossTerms]) -> torch.Tensor:
    """What all players together minimise."""
    return sum((total(terms) for terms in losses.values()), start=torch.zeros(()))


@everywhere
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_gradients_and_learning(family: str, shape: tuple[int, int, int]) -> None:
    """Every size and colour: what is logged is declared, every weight learns, the loss falls."""
    model, objective = made(family, shape)
    x = torch.rand(8, *shape)
    optimizers = {
        player: torch.optim.Adam(parameters, 3e-3)
        for player, parameters in objective.players(model).items()
    }
    falling = []
    for step in range(15):
        output = objective(model, x, at(step))
        losses = objective.losses(x, output, at(step))
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        left = len(losses)
        for player, terms in losses.items():
            left -= 1
            parameters = objective.players(model)[player]
            total(terms).backward(inputs=parameters, retain_graph=left > 0)
        if step == 0:
            draws = len(output.x_logits) // len(x)
            assert output.x_logits.shape == (draws * 8, *shape)
            assert model.flatten(output.z).shape == (draws * 8, model.latent_size)
            logged = {name: term for terms in losses.values() for name, term in terms.items()}
            assert all(term.value.shape == (8,) for term in logged.values())
            assert all(term.value.isfinite().all() for term in logged.values())
            assert set(logged) <= set(families[family].terms)
            for name, parameter in [*model.named_parameters(), *objective.named_parameters()]:
                assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        for player, optimizer in optimizers.items():
            if player != DISCRIMINATOR:  # after a step it would measure the model by another scale
                optimizer.step()
        falling.append(float(total(losses[MODEL]).detach()))
    assert falling[-1] < falling[0]
    z = model.sample_prior(2)
    assert model.picture(model.decode(z)).shape == (2, *shape)
    torch.testing.assert_close(model.flatten(model.unflatten(model.flatten(z))), model.flatten(z))


POINTS = {
    "autoencoder", "contractive", "denoising", "k-sparse", "rae", "sparse", "stacked-denoising",
}  # fmt: skip
CODED = {"fsq", "vq-vae"}


@everywhere
def test_the_density_of_the_prior_is_that_of_what_it_draws(family: str) -> None:
    """log p(z) where there is one; else the sentence that says why there is none."""
    model = made(family)[0].eval()
    prior = model.prior()
    assert (prior is None) == (family in POINTS | CODED) == bool(model.no_density)
    if prior is None:
        return
    z = model.sample_prior(400, torch.Generator().manual_seed(3))
    if family == "vamp":
        # Tight components far apart, so that N(0, I) would be far off.
        with torch.no_grad():
            model.bottleneck.mu.weight.mul_(100)  # type: ignore[union-attr, operator]
        z, prior = model.sample_prior(400, torch.Generator().manual_seed(3)), model.prior()
        each = Independent(Normal(prior.mu, (0.5 * prior.logvar).exp()), 1)
        expected = MixtureSameFamily(Categorical(torch.ones(len(prior.mu))), each).log_prob(z)
    else:
        expected = Normal(0.0, 1.0).log_prob(model.flatten(z)).sum(1)
    found = prior.log_prob(model.flatten(z))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


@everywhere
def test_evaluation_is_deterministic(family: str) -> None:
    model, objective = made(family)
    model.eval(), objective.eval()
    x = torch.rand(8, 1, 16, 16)
    first, second = (objective(model, x, at()).x_logits for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(model.flatten(model.encode(x).mode()), model.flatten(model.encode(x).mode()))


@everywhere
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian-optimal"])
def test_weights_survive_a_round_trip(family: str, likelihood: str) -> None:
    if family == "sigma-vae":
        likelihood = "gaussian-optimal"
    first, _ = made(family, likelihood=likelihood)
    second, _ = made(family, likelihood=likelihood)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.zero_()
    second.load_state_dict(load(save(dict(first.state_dict()))))
    z = first.eval().sample_prior(4, torch.Generator().manual_seed(0))
    assert torch.equal(first.decode(z), second.eval().decode(z))


@everywhere
def test_no_divergence_where_the_posterior_is_the_prior(family: str) -> None:
    model, objective = made(family)
    if not isinstance(model.encode(torch.rand(2, 1, 16, 16)), GaussianPosterior):
        return
    with torch.no_grad():
        for parameter in model.bottleneck.parameters():
            parameter.zero_()
    x = torch.rand(8, 1, 16, 16)
    terms = objective.losses(x, objective(model, x, at()), at())[MODEL]
    torch.testing.assert_close(terms["kl"].value, torch.zeros(8))


@everywhere
def test_the_app_can_explain_it(family: str) -> None:
    entry = families[family]
    assert entry.blurb.endswith(".") and entry.when.endswith(".")
    assert "recon" in entry.terms
    weights = [quantity.weight for quantity in entry.terms.values() if quantity.weight]
    assert len(set(weights)) == len(weights)
    for name, quantity in entry.terms.items():
        assert quantity.label and quantity.unit
        if quantity.weight:
            assert rf"\underset{{3}}{{{quantity.weight}}}" in entry.formula_with({name: 3}, str)
    assert entry.formula.count("{") == entry.formula.count("}")
    assert entry.formula_with({}, str) == entry.formula


def resumptions() -> list[Any]:
    """Inside an epoch for all; at its end and after it where states differ in kind."""
    thoroughly = ("vae", "aae", "factor-vae", "stacked-denoising")
    return [(f, 2) for f in FAMILIES] + [(f, after) for f in thoroughly for after in (3, 4)]


@pytest.mark.parametrize(("family", "after"), resumptions())
def test_resume_equals_uninterrupted_training(family: str, after: int) -> None:
    """Stopped inside an epoch and at its end, with every state going through a file."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    config = tiny(
        family=family,
        data={"limit": 180},
        objective=OBJECTIVE_SETTINGS.get(family, {}),
        train={"checkpoint_every": after, "preview_every": 100},
    )
    whole = make_loop(config)
    events = list(whole.run())
    part = make_loop(config)
    state = None
    for event in part.run():
        if isinstance(event, Checkpoint) and event.step == after:
            state = through_a_file(event.state)
            break
    assert state is not None
    resumed = make_loop(config, state)
    assert resumed.step == after
    later = list(resumed.run())
    torch.set_num_threads(threads)
    for (name, a), b in zip(
        whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    for (name, a), b in zip(
        whole.objective.state_dict().items(), resumed.objective.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    recorded = {e.step: e.terms for e in events if isinstance(e, Stepped)}
    assert all(recorded[e.step] == e.terms for e in later if isinstance(e, Stepped))
    measured = {e.step: e.measurement.terms for e in events if isinstance(e, Validated)}
    assert all(measured[e.step] == e.measurement.terms for e in later if isinstance(e, Validated))


def through_a_file(state: Any) -> Any:
    """A training state as it comes back from a save."""
    import io

    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@everywhere
def test_a_run_is_rebuilt_from_its_folder_alone(family: str, tmp_path: Path) -> None:
    objective = OBJECTIVE_SETTINGS.get(family, {})
    run = trained(tmp_path, family=family, objective=objective, data={"limit": 150})
    loaded = load_run(run)
    assert loaded.step == run.status().step == 6
    assert loaded.card.image_shape == (1, 16, 16)
    again = load_run(run)
    z = loaded.model.sample_prior(3)
    assert torch.equal(loaded.model.decode(z), again.model.decode(z))
    assert set(run.summary()) >= {"recon", "active_units"}
    assert not loaded.model.training


@everywhere
def test_a_variant_is_one_file_of_its_name(family: str) -> None:
    """Registration, options and objective lie in one file; variants may share an objective, and
    `networks` puts it on the backbone's own network."""
    home = f"vae_core.families.{family.replace('-', '_')}"
    entry, (_, objective) = families[family], made(family)
    source = Path(*home.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    assert f'families.register(\n    "{family}",' in source
    assert entry.build.__module__ in {home, "vae_core.families.networks"}
    own = {cls.__module__ for cls in (entry.options, type(objective))} - {home}
    shared = {"vae_core.settings", "vae_core.objective"}
    assert own <= shared | {"vae_core.families.vae", "vae_core.families.codes"}


@everywhere
def test_the_encoder_returns_what_the_model_says_and_the_objective_needs(family: str) -> None:
    model, objective = made(family)
    posterior = model.encode(torch.rand(2, 1, 16, 16))
    assert type(posterior) is model.posterior and isinstance(posterior, objective.needs)
    assert posterior.mode().shape == posterior.sample().shape
    known = posterior.log_variance()
    assert known is None or known.shape == posterior.mode().shape


def test_an_objective_that_needs_another_posterior_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By name, before anything is trained: a density is not to be had from points."""
    autoencoder, vae = families["autoencoder"], families["vae"]

    def mixed(config: Any, card: Any, options: Any) -> Any:
        return autoencoder.build(config, card, None)[0], vae.build(config, card, options)[1]

    monkeypatch.setitem(families._entries, "vae", replace(vae, build=mixed))
    sentence = "family 'vae' needs a DensityPosterior, and the encoder .* returns a PointPosterior"
    with pytest.raises(TypeError, match=sentence):
        made("vae")


def test_autoencoders_have_no_kl_and_vaes_do() -> None:
    x = torch.rand(2, 1, 16, 16)
    assert made("autoencoder")[0].encode(x).kl() is None
    kl = made("vae")[0].encode(x).kl()
    assert kl is not None and kl.shape == (2, 4) and (kl >= 0).all()


def test_images_below_eight_pixels_are_refused() -> None:
    with pytest.raises(UserError, match=r"at least 8×8"):
        made("vae", shape=(1, 7, 28))


def test_more_stages_than_the_image_can_be_halved_are_refused() -> None:
    with pytest.raises(UserError, match=r"model\.options\.channels: 5 stages are too many"):
        made("vae", shape=(1, 16, 16), options={"channels": [4] * 5})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"family": "vea"}, "no family 'vea'.*Did you mean 'vae'"),
        ({"model": {"backbone": "cnov"}}, "no backbone 'cnov'.*Did you mean 'conv'"),
        ({"model": {"likelihood": "poisson"}}, "no likelihood 'poisson'"),
        ({"objective": {"beat": 2}}, r"objective\.beat.*Did you mean 'objective\.beta'"),
        ({"objective": {"beta": -1}}, r"objective\.beta: .*greater than or equal to 0"),
        ({"model": {"options": {"hiden": 3}}}, r"model\.options\.hiden.*hidden"),
        ({"family": "autoencoder", "objective": {"beta": 1}}, r"objective\.beta"),
    ],
)
def test_settings_that_do_not_fit_are_named(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        complete(parse_config(values))


@pytest.mark.parametrize(
    "family", ["beta-tcvae", "factor-vae", "dip-vae", "info-vae", "wae", "sparse"]
)
def test_families_that_compare_images_refuse_a_batch_of_one(family: str) -> None:
    objective = {"penalty": "kl"} if family == "sparse" else {}
    config = settings(family).updated({"train": {"batch_size": 1}, "objective": objective})
    with pytest.raises(UserError, match=r"train\.batch_size: .* compares the images of a batch"):
        build(config, (1, 16, 16))


def test_sigma_vae_refuses_a_likelihood_of_its_own() -> None:
    with pytest.raises(UserError, match=r"model\.likelihood: σ-VAE finds σ by itself.*'bernoulli'"):
        made("sigma-vae", likelihood="bernoulli")
