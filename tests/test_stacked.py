"""Layers learn one after the other, each alone, then all of them."""

from __future__ import annotations

import pytest
import torch

from tests.engine import make_loop, tiny
from tests.test_families import made
from vae_core.errors import UserError
from vae_core.training.events import Stepped, Validated
from vae_core.training.loop import Loop

BACKBONES = {
    "conv": {"channels": [4, 8], "hidden": 16},
    "mlp": {"hidden": [24, 12]},
}


def stacked(backbone: str, **changes: object) -> Loop:
    model = {"backbone": backbone, "options": BACKBONES[backbone]}
    return make_loop(tiny(family="stacked-denoising", model=model, **changes))


@pytest.mark.parametrize(("backbone", "layers"), [("conv", 4), ("mlp", 3)])
def test_layers_cover_the_network_and_mirror_each_other(backbone: str, layers: int) -> None:
    loop = stacked(backbone)
    found = loop.objective.layers
    assert len(found) == layers
    weights = [id(p) for layer in found for p in layer.parameters()]
    assert sorted(weights) == sorted(id(p) for p in loop.model.parameters())
    x = torch.rand(2, 1, 16, 16)
    code = x
    for layer in found:
        before, code = code, layer.inward(code)
        assert layer.outward(code).shape == before.shape
    torch.testing.assert_close(code, loop.model.encode(x).mode())
    for layer in reversed(found):
        code = layer.outward(code)
    torch.testing.assert_close(code, loop.model.decode(loop.model.encode(x).mode()))


def test_only_the_layer_whose_turn_it_is_moves() -> None:
    """Ten steps, 60 % for three layers: two steps each, then four of all."""
    loop = stacked("mlp", objective={"pretraining": 0.6}, train={"log_every": 1})
    moved = []
    before = [[p.clone() for p in layer.parameters()] for layer in loop.objective.layers]
    for event in loop.run():
        if isinstance(event, Stepped):
            now = [[p.clone() for p in layer.parameters()] for layer in loop.objective.layers]
            moved.append(
                [
                    any(not torch.equal(a, b) for a, b in zip(old, new, strict=True))
                    for old, new in zip(before, now, strict=True)
                ]
            )
            assert set(event.terms) == ({"layer"} if event.step <= 6 else {"recon"})
            before = now
        if isinstance(event, Validated):
            assert set(event.measurement.terms) == {"recon"}
    alone = [[place == turn for place in range(3)] for turn in range(3) for _ in range(2)]
    assert moved == [*alone, *[[True] * 3] * 4]


def test_every_layer_learns_to_undo_its_noise() -> None:
    loop = stacked("mlp", train={"epochs": 24, "log_every": 5, "learning_rate": 3e-3})
    seen = [e.terms["layer"] for e in loop.run() if isinstance(e, Stepped) and "layer" in e.terms]
    spell = len(seen) // 3
    for turn in range(3):
        assert seen[(turn + 1) * spell - 1] < 0.97 * seen[turn * spell]


def test_without_pretraining_it_is_a_denoising_autoencoder() -> None:
    loop = stacked("mlp", objective={"pretraining": 0.0}, train={"log_every": 1})
    assert all(set(e.terms) == {"recon"} for e in loop.run() if isinstance(e, Stepped))


@pytest.mark.parametrize("backbone", ["conv-bn", "resnet"])
def test_a_backbone_that_does_not_mirror_itself_is_refused(backbone: str) -> None:
    with pytest.raises(UserError, match=rf"model\.backbone: the two sides of '{backbone}' do not"):
        made("stacked-denoising", backbone=backbone, options={})
