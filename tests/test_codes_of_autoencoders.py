"""Contractive and sparse codes are so after a real training, whatever their scale."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch.nn import functional

from tests.test_families import made
from tests.test_learning import trained
from vae_core.config import parse_config
from vae_core.data.batches import as_floats
from vae_core.errors import UserError
from vae_core.families import build, complete
from vae_core.families.contractive import squared_jacobian_norm
from vae_core.families.k_sparse import KLargest
from vae_core.families.sparse import LEAK, NonNegative
from vae_core.loading import load_run
from vae_core.models import LatentModel
from vae_core.runs import DataCard, Store


@dataclass(frozen=True)
class Learned:
    """Of 90 unseen digits: nats, codes [N, D], ‖∂z/∂x‖² over their variance, decoder's norm."""

    recon: float
    z: torch.Tensor
    relative_jacobian: float
    variance: float
    decoder: float


@functools.cache
def learned(family: str, latents: int, **objective: Any) -> Learned:
    loop, measured = trained(family, objective, latents, epochs=10)
    part = loop.dataset.validation
    x = as_floats(part.images.gather(np.arange(len(part))), torch.device("cpu")).requires_grad_()
    z = loop.model.encode(x).mode()
    variance = float(z.detach().var(0).sum())
    norm = float(squared_jacobian_norm(x, z).detach().mean())
    weights = [w for name, w in loop.model.decoder.named_parameters() if name.endswith("weight")]
    size = float(sum(w.detach().square().sum() for w in weights).sqrt())  # type: ignore[union-attr]
    return Learned(measured.terms["recon"], z.detach(), norm / variance, variance, size)


def test_contraction_makes_codes_still_and_not_small() -> None:
    free, some, much = (learned("contractive", 5, weight=w) for w in (0.0, 0.1, 10.0))
    assert some.relative_jacobian < 0.7 * free.relative_jacobian
    assert much.relative_jacobian < 0.7 * some.relative_jacobian
    assert much.recon < 1.05 * free.recon
    assert 0.2 < much.variance / free.variance < 2
    assert much.decoder < 1.25 * free.decoder


def test_the_absolute_norm_is_met_by_smaller_codes() -> None:
    """What runs did before: λ · ‖J‖² falls with the codes' variance."""
    free = learned("contractive", 5, weight=0.0)
    much = learned("contractive", 5, weight=10.0, measure="absolute")
    assert much.variance < 0.1 * free.variance


def test_l1_silences_units_exactly_and_leaves_the_others_their_size() -> None:
    free, sparse = (learned("sparse", 32, weight=w) for w in (0.0, 0.5))
    silent = (sparse.z == 0).float().mean()
    assert silent > 0.5 and silent > (free.z == 0).float().mean() + 0.2
    assert (sparse.z >= 0).all()
    assert sparse.recon < 1.05 * free.recon
    assert sparse.decoder < 1.25 * free.decoder
    speaking = [float(each.z[each.z > 0].mean()) for each in (free, sparse)]
    assert 0.5 < speaking[1] / speaking[0] < 3
    assert int((sparse.z != 0).any(0).sum()) > 12, "most units speak for some image"


def test_kl_lets_units_fire_for_few_images() -> None:
    some, much = (learned("sparse", 32, weight=w, penalty="kl") for w in (0.1, 10.0))

    def share(z: torch.Tensor) -> float:
        return float((z.mean(0).square() / z.square().mean(0)).mean())

    assert share(some.z) > 0.25
    assert 0.02 < share(much.z) < 0.12, "ρ is 0.05"


def test_k_codes_speak_and_all_others_are_zero() -> None:
    free, sparse = learned("sparse", 32, weight=0.0), learned("k-sparse", 32, k=8)
    assert int((sparse.z != 0).sum(1).max()) <= 8
    assert float((sparse.z == 0).float().mean()) >= 0.75
    assert sparse.recon < 1.07 * free.recon
    assert sparse.decoder < 1.25 * free.decoder
    assert int((sparse.z != 0).any(0).sum()) > 16, "different images have different units"


# --- ranges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("codes", [NonNegative(), KLargest(2)])
def test_silent_units_hear_a_little(codes: NonNegative) -> None:
    z = torch.tensor([[1.0, -1.0, 3.0, 2.0]], requires_grad=True)
    out = codes(z)
    expected = [[1.0, 0.0, 3.0, 2.0]] if type(codes) is NonNegative else [[0.0, 0.0, 3.0, 2.0]]
    assert out.tolist() == expected
    with torch.no_grad():
        assert torch.equal(codes(z), out)
    out.sum().backward()
    assert z.grad is not None
    torch.testing.assert_close(z.grad, torch.where(out > 0, 1.0, LEAK))


@pytest.mark.parametrize(
    ("family", "objective"), [("sparse", {}), ("sparse", {"penalty": "kl"}), ("k-sparse", {"k": 2})]
)
def test_what_is_moved_out_of_range_shows_the_nearest_code(
    family: str, objective: dict[str, Any]
) -> None:
    """Latent tools move everywhere; a picture belongs to a code that the encoder can give."""
    config = parse_config({"family": family, "model": {"latent_dim": 4}, "objective": objective})
    torch.manual_seed(0)
    model, _ = build(complete(config), (1, 16, 16))
    z = model.encode(torch.rand(5, 1, 16, 16)).mode()
    torch.testing.assert_close(model.decode(z), model.decoder(z))
    outside = torch.tensor([[-1.0, 5.0, 0.5, 0.2]])
    inside = {"kl": [0.0, 1.0, 0.5, 0.2]}.get(objective.get("penalty", ""), [0.0, 5.0, 0.5, 0.2])
    inside = [0.0, 5.0, 0.5, 0.0] if family == "k-sparse" else inside
    torch.testing.assert_close(model.decode(outside), model.decoder(torch.tensor([inside])))
    assert model.latent_note.endswith(".")
    assert made("autoencoder")[0].latent_note == ""


def test_more_speaking_units_than_there_are_is_refused() -> None:
    config = parse_config({"family": "k-sparse", "model": {"latent_dim": 4}, "objective": {"k": 5}})
    with pytest.raises(UserError, match=r"objective\.k: 5 units cannot speak.* 4 latent dim"):
        build(complete(config), (1, 16, 16))


# --- runs from before -----------------------------------------------------------------------------


def stored(tmp_path: Path, family: str, objective: dict[str, Any]) -> LatentModel:
    """A run as it was stored before there was `measure`, and its model loaded."""
    config = complete(parse_config({"family": family, "model": {"latent_dim": 4}}))
    card = DataCard(dataset="digits", image_shape=(1, 16, 16), n_train=10, n_validation=2)
    run = Store(tmp_path).create("old", config.model_copy(update={"objective": objective}))
    run.write_json("data.json", card)
    torch.manual_seed(3)
    model, _ = build(run.config(), card)
    run.write_bytes("model.safetensors", save(dict(model.state_dict()), {"step": "7"}))
    loaded = load_run(run)
    assert complete(run.config()).objective["measure"] == "absolute"
    return loaded.model


def test_codes_of_earlier_sparse_runs_are_what_they_were(tmp_path: Path) -> None:
    objective = {"penalty": "l1", "weight": 1.0, "target": 0.05}
    model = stored(tmp_path, "sparse", objective)
    x = torch.rand(6, 1, 16, 16)
    plain = functional.linear(model.encoder(x), model.bottleneck.z.weight, model.bottleneck.z.bias)
    z = model.encode(x).mode()
    torch.testing.assert_close(z, plain)
    assert (z < 0).any()
    torch.testing.assert_close(model.decode(z), model.decoder(plain))


def test_earlier_contractive_runs_go_on_with_their_norm(tmp_path: Path) -> None:
    stored(tmp_path, "contractive", {"weight": 0.1})
    _, objective = build(Store(tmp_path).get("old").config(), (1, 16, 16))
    assert objective.options.weight == 0.1 and objective.options.measure == "absolute"


def test_a_configuration_without_any_setting_takes_the_defaults(tmp_path: Path) -> None:
    run = Store(tmp_path).create("bare", parse_config({"family": "sparse"}))
    assert complete(run.config()).objective["measure"] == "relative"
