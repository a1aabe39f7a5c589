"""One table over all families: what every one of them has to hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from tests.engine import make_loop, tiny, trained
from vae_core.config import parse_config
from vae_core.errors import UserError
from vae_core.families import build, complete, families
from vae_core.loading import load_run
from vae_core.objectives.objective import MODEL
from vae_core.training.events import Checkpoint, Stepped
from vae_core.types import Context, total

FAMILIES = [entry.name for entry in families]
SHAPES = [(1, 8, 8), (1, 28, 28), (1, 9, 13), (3, 31, 45), (3, 64, 64)]

everywhere = pytest.mark.parametrize("family", FAMILIES)


def made(family: str, shape: Any = (1, 16, 16), **model: Any) -> Any:
    torch.manual_seed(0)
    values = {"family": family, "model": {"latent_dim": 6, **model}}
    return build(complete(parse_config(values)), shape)


@everywhere
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(family: str, shape: tuple[int, int, int]) -> None:
    model, objective = made(family, shape=shape)
    x = torch.rand(3, *shape)
    output = model(x, torch.Generator().manual_seed(0))
    assert output.x_logits.shape == x.shape
    assert model.flatten(output.z).shape == (3, model.latent_size)
    assert model.picture(output.x_logits).shape == x.shape
    z = model.sample_prior(2)
    torch.testing.assert_close(model.unflatten(model.flatten(z)), z)
    assert model.flatten(z).shape == (2, model.latent_size)
    for terms in objective.losses(x, output, Context(0)).values():
        assert all(term.value.shape == (3,) for term in terms.values())


@everywhere
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "gaussian-optimal"])
def test_steps_lower_the_loss_and_every_weight_gets_a_gradient(
    family: str, likelihood: str
) -> None:
    model, objective = made(family, likelihood=likelihood)
    x = torch.rand(8, 1, 16, 16)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for step in range(15):
        output = model(x, torch.Generator().manual_seed(1))
        loss = total(objective.losses(x, output, Context(step))[MODEL])
        optimizer.zero_grad()
        loss.backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


@everywhere
def test_evaluation_is_deterministic(family: str) -> None:
    model, _ = made(family)
    model.eval()
    x = torch.rand(2, 1, 16, 16)
    first, second = (model(x, torch.Generator().manual_seed(3)).x_logits for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(model.encode(x).mode(), model.encode(x).mode())


@everywhere
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian-optimal"])
def test_weights_survive_a_round_trip(family: str, likelihood: str) -> None:
    first, _ = made(family, likelihood=likelihood)
    second, _ = made(family, likelihood=likelihood)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.zero_()
    second.load_state_dict(load(save(dict(first.state_dict()))))
    z = first.sample_prior(4)
    assert torch.equal(first.decode(z), second.decode(z))


@everywhere
@pytest.mark.parametrize("after", [3, 5, 7])
def test_resume_equals_uninterrupted_training(family: str, after: int) -> None:
    """Stopped inside an epoch and at its end, with every state going through a file."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    config = tiny(family=family, train={"checkpoint_every": after})
    whole = make_loop(config)
    events = list(whole.run())
    part = make_loop(config)
    state = None
    for event in part.run():
        if isinstance(event, Checkpoint) and event.step == after:
            state = _through_a_file(event.state)
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
    recorded = {e.step: e.terms for e in events if isinstance(e, Stepped)}
    assert all(recorded[e.step] == e.terms for e in later if isinstance(e, Stepped))


def _through_a_file(state: Any) -> Any:
    import io

    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@everywhere
def test_a_run_is_rebuilt_from_its_folder_alone(family: str, tmp_path: Path) -> None:
    run = trained(tmp_path, family=family)
    loaded = load_run(run)
    assert loaded.step == run.status().step == 10
    assert loaded.card.image_shape == (1, 16, 16)
    again = load_run(run)
    z = loaded.model.sample_prior(3)
    assert torch.equal(loaded.model.decode(z), again.model.decode(z))
    assert not loaded.model.training


def test_autoencoders_have_no_kl_and_vaes_do() -> None:
    x = torch.rand(2, 1, 16, 16)
    assert made("autoencoder")[0].encode(x).kl() is None
    kl = made("vae")[0].encode(x).kl()
    assert kl.shape == (2, 6) and (kl >= 0).all()


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
