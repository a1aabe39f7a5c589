"""Every backbone, on every size of image, with the number of weights that was published."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from vae_core.config import parse_config
from vae_core.errors import UserError
from vae_core.families import build, complete
from vae_core.models import LatentModel, backbones
from vae_core.models.backbones import trunks
from vae_core.models.backbones.trunk import automatic_channels, halved

BACKBONES = [entry.name for entry in backbones]
TRUNKS = [entry.name for entry in trunks]
SHAPES = [(1, 8, 8), (1, 28, 28), (1, 9, 13), (3, 31, 45), (3, 64, 64), (2, 100, 400), (16, 13, 17)]


def made(backbone: str, shape: tuple[int, int, int], **model: Any) -> LatentModel:
    torch.manual_seed(0)
    config = parse_config({"model": {"backbone": backbone, "latent_dim": 6, **model}})
    return build(complete(config), shape)[0]


def weights(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("shape", SHAPES)
def test_any_size_comes_back(backbone: str, shape: tuple[int, int, int]) -> None:
    model = made(backbone, shape)
    output = model(torch.rand(1, *shape))
    assert output.x_logits.shape == (1, *shape)
    assert output.x_logits.isfinite().all()


@pytest.mark.parametrize("backbone", TRUNKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_stage_of_a_trunk_has_the_shapes_it_states(
    backbone: str, shape: tuple[int, int, int]
) -> None:
    entry = trunks[backbone]
    trunk = entry.build(shape, entry.parse_options({}, ""), 2)
    assert len(trunk.inwards) == len(trunk.outwards) == len(trunk.shapes) - 1 >= 2
    x = torch.rand(2, *shape)
    for layers, maps in zip(trunk.inwards, trunk.shapes[1:], strict=True):
        x = nn.Sequential(*layers)(x)
        assert x.shape == (2, *maps)
    for layers, maps in zip(reversed(trunk.outwards), trunk.shapes[-2::-1], strict=True):
        x = nn.Sequential(*layers)(x)
        assert x.shape == (2, *maps)


@pytest.mark.parametrize("backbone", TRUNKS)
@pytest.mark.parametrize("family", ["spatial-vae", "vq-vae", "hierarchical"])
def test_every_trunk_carries_latents_on_maps(family: str, backbone: str) -> None:
    shape = (3, 31, 45)
    config = parse_config({"family": family, "model": {"backbone": backbone, "latent_dim": 2}})
    model = build(complete(config), shape)[0]
    z = model.sample_prior(2)
    assert model.decode(z).shape == (2, *shape)
    assert model(torch.rand(1, *shape)).x_logits.shape == (1, *shape)


def test_trunks_are_backbones_with_the_same_options() -> None:
    for trunk in trunks:
        backbone = backbones[trunk.name]
        assert (backbone.options, backbone.label) == (trunk.options, trunk.label)


def test_the_cifar_network_has_the_published_weights() -> None:
    model = made("conv-bn", (3, 32, 32), latent_dim=128)
    assert weights(model.encoder, model.bottleneck) == 2_407_168
    assert weights(model.decoder) == 1_625_475


def test_the_faces_network_has_the_published_shapes() -> None:
    """Five stages of kernel 3 with biases and batch normalisation, counted layer by layer."""
    model = made("deep-conv", (3, 64, 64), latent_dim=128)
    widths = (3, 32, 64, 128, 256, 512)
    stages = sum(9 * a * b + b + 2 * b for a, b in pairwise(widths))
    features = 512 * 2 * 2
    assert weights(model.encoder) == stages
    assert weights(model.bottleneck) == 2 * (features * 128 + 128)
    back = sum(9 * a * b + b + 2 * b for a, b in pairwise((512, 256, 128, 64, 32, 32)))
    assert weights(model.decoder) == 128 * features + features + back + 9 * 32 * 3 + 3
    assert [type(layer).__name__ for layer in model.decoder][-4:] == [
        "ConvTranspose2d", "BatchNorm2d", "LeakyReLU", "Conv2d",
    ]  # fmt: skip


def test_the_dsprites_networks_have_the_published_shapes() -> None:
    shared = made("conv", (1, 64, 64), latent_dim=10, options={"channels": [32, 32, 64, 64]})
    convolutions = sum(16 * a * b + b for a, b in pairwise((1, 32, 32, 64, 64)))
    assert weights(shared.encoder) == convolutions + 1024 * 256 + 256

    options = {"channels": [32] * 4, "hidden": 256, "hidden_layers": 2}
    burgess = made("conv", (1, 64, 64), latent_dim=10, options=options)
    convolutions = sum(16 * a * b + b for a, b in pairwise((1, 32, 32, 32, 32)))
    hidden = 512 * 256 + 256 + 256 * 256 + 256
    assert weights(burgess.encoder) == convolutions + hidden
    back = sum(16 * a * b + b for a, b in pairwise((32, 32, 32, 32, 1)))
    assert weights(burgess.decoder) == 11 * 256 + 257 * 256 + 257 * 512 + back

    options = {
        "hidden": [1200, 1200],
        "decoder_hidden": [1200] * 3,
        "decoder_activation": "tanh",
    }
    higgins = made("mlp", (1, 64, 64), latent_dim=10, options=options)
    assert weights(higgins.encoder) == 4097 * 1200 + 1201 * 1200
    assert weights(higgins.decoder) == 11 * 1200 + 2 * 1201 * 1200 + 1201 * 4096
    kinds = [type(layer).__name__ for layer in higgins.encoder]
    assert kinds.count("ReLU") == 2 and kinds.count("Tanh") == 0
    assert [type(layer).__name__ for layer in higgins.decoder].count("Tanh") == 3


@pytest.mark.parametrize("backbone", ["conv-bn", "deep-conv"])
def test_one_image_alone_can_be_learned_from(backbone: str) -> None:
    """The last batch of an epoch may hold a single image."""
    for shape in SHAPES[:3]:
        made(backbone, shape).train()(torch.rand(1, *shape)).x_logits.sum().backward()


def test_a_residual_block_begins_and_ends_on_the_stream() -> None:
    """With zero weights it is the identity: nothing stands on the way of x."""
    from vae_core.models.backbones.resnet import ResidualBlock

    block = ResidualBlock(6)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(2, 6, 4, 4)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("width", range(1, 70))
def test_groups_of_a_normalisation_divide_any_width(width: int) -> None:
    from vae_core.models.backbones.resnet import activated

    norm, _ = activated(width)
    assert isinstance(norm, nn.GroupNorm)
    assert width % norm.num_groups == 0
    assert norm.num_groups == 1 or width // norm.num_groups >= 4


@pytest.mark.parametrize("backbone", TRUNKS)
def test_too_many_stages_are_refused_by_name(backbone: str) -> None:
    sentence = r"model\.options\.channels: 5 stages are too many for images of 8×8.*at most [23]"
    with pytest.raises(UserError, match=sentence):
        made(backbone, (1, 8, 8), options={"channels": [4] * 5})


def test_sides_are_halved_upwards_or_downwards() -> None:
    assert halved((1, 13, 9), (4, 5), up=True) == ((1, 13, 9), (4, 7, 5), (5, 4, 3))
    assert halved((1, 13, 9), (4, 5), up=False) == ((1, 13, 9), (4, 6, 4), (5, 3, 2))


@pytest.mark.parametrize(
    ("side", "stages", "expected"),
    [
        (8, 1, (3,)),
        (28, 1, (3, 5, 7)),
        (64, 1, (3, 5, 7, 7)),
        (28, 4, (3, 5, 7, 7)),
        (8, 9, (3, 5, 7)),
    ],
)
def test_stages_follow_the_size_and_what_is_asked(
    side: int, stages: int, expected: tuple[int, ...]
) -> None:
    """Down to below 6, or further where more are asked for, as far as the image goes."""
    assert automatic_channels((1, side, side), (3, 5, 7), 6, stages) == expected


def test_the_mlp_has_as_many_layers_as_it_is_given() -> None:
    options = {"hidden": [200, 200], "activation": "tanh"}
    model = made("mlp", (1, 28, 28), options=options)
    assert weights(model.encoder) == 785 * 200 + 201 * 200
    assert weights(model.decoder) == 7 * 200 + 201 * 200 + 201 * math.prod((1, 28, 28))
