"""A decoder made ready for serving shows the same pictures."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from latent_workbench.live.models import load_model
from tests.engine import trained
from tests.test_families import FAMILIES, SHAPES, made
from vae_core.latent.grids import decode_vectors
from vae_core.loading import load_run
from vae_core.models import LatentModel
from vae_core.models.folded import PackedUpsampling, SubpixelUpsampling, fold

NARROW = {"channels": [8, 16]}
WIDE = {"channels": [24, 20]}
"""More than the few channels that are written as small convolutions."""

BACKBONES: dict[str, tuple[str, dict[str, Any]]] = {
    "few": ("conv", NARROW | {"hidden": 16}),
    "many": ("conv", WIDE | {"hidden": 16}),
    "without bias": ("conv", WIDE | {"hidden": 16, "bias": False}),
    "normalised": ("conv-bn", WIDE),
    "normalised after": ("conv-bn", WIDE | {"normalise": "after"}),
    "deep": ("deep-conv", WIDE),
    "residual": ("resnet", WIDE),
}


def used(model: LatentModel) -> LatentModel:
    """The model as after a training: its batch norms have seen something, its layers have biases.
    What it decodes has contrast, else nothing could differ."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0.0, 0.3, generator=generator)  # type: ignore[union-attr]
                layer.running_var.uniform_(0.3, 3.0, generator=generator)  # type: ignore[union-attr]
                layer.weight.uniform_(0.5, 2.0, generator=generator)
                layer.bias.normal_(0.0, 0.3, generator=generator)
    return model.eval().to(memory_format=torch.channels_last)


def assert_same(model: LatentModel, served: LatentModel, label: int | None = None) -> None:
    """Logits alike to the noise of floats, pictures within a level, for one latent and for many."""
    if label is not None:
        told = torch.tensor([label])
        model, served = model.conditioned(told), served.conditioned(told)
    generator = torch.Generator().manual_seed(2)
    for n in (1, 3, 40):
        v = 2 * torch.randn(n, model.latent_size, generator=generator)
        with torch.inference_mode():
            before, after = model.decode(model.unflatten(v)), served.decode(served.unflatten(v))
        assert before.std() > 1e-3
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4 * float(before.abs().max()))
        a, b = (decode_vectors(m, v.numpy()).astype(int) for m in (model, served))
        assert np.abs(a - b).max() <= 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_shows_the_same(family: str, shape: tuple[int, int, int]) -> None:
    model = used(made(family, shape)[0])
    served = copy.deepcopy(model)
    fold(served)
    assert_same(model, served, label=1 if model.labels else None)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_shows_the_same(backbone: str, shape: tuple[int, int, int]) -> None:
    name, options = BACKBONES[backbone]
    for family in ("vae", "spatial-vae", "hierarchical"):
        model = used(made(family, shape, backbone=name, options=options)[0])
        served = copy.deepcopy(model)
        fold(served)
        assert_same(model, served)


def kinds(model: LatentModel) -> set[type[nn.Module]]:
    return {type(layer) for layer in model.decoder.modules()}


def test_what_hangs_on_weights_alone_is_done_once() -> None:
    """Else each picture pays for batch norms, for making kernels and for laying weights out."""
    model = used(made("vae", backbone="conv-bn", options=WIDE)[0])
    assert nn.BatchNorm2d in kinds(model)
    fold(model)
    packs = torch.backends.cpu.get_cpu_capability().startswith("AVX")
    assert nn.BatchNorm2d not in kinds(model)
    assert (PackedUpsampling if packs else nn.ConvTranspose2d) in kinds(model)
    assert (nn.ConvTranspose2d if packs else PackedUpsampling) not in kinds(model)
    model = used(made("vae", options=NARROW | {"hidden": 16})[0])
    fold(model)
    assert SubpixelUpsampling in kinds(model)


def test_a_processor_that_packs_nothing_decodes_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "DEFAULT")
    model = used(made("vae", backbone="conv-bn", options=WIDE)[0])
    served = copy.deepcopy(model)
    fold(served)
    assert PackedUpsampling not in kinds(served) and nn.BatchNorm2d not in kinds(served)
    assert_same(model, served)


def test_the_server_decodes_with_folded_models(tmp_path: Path) -> None:
    run = trained(tmp_path)
    served = load_model(run)
    assert SubpixelUpsampling in kinds(served)
    assert_same(load_run(run).model, served)
