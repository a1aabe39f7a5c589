"""Images of any height, width and number of channels, and padding that does not count: every
family, every backbone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.test_families import OBJECTIVE_SETTINGS, at
from vae_core.config import parse_config
from vae_core.data import ArrayImages, ImageSet
from vae_core.data.batches import mask_at
from vae_core.errors import UserError
from vae_core.families import build, complete, families
from vae_core.latent.survey import survey
from vae_core.metrics.measure import measure
from vae_core.models import LatentModel, backbones, likelihoods
from vae_core.objective import MODEL, Objective
from vae_core.runs import DataCard
from vae_core.types import total

CPU = torch.device("cpu")
SHAPES = [(3, 13, 17), (1, 12, 41), (1, 100, 400), (5, 64, 48)]
SMALL: dict[str, dict[str, Any]] = {"mlp": {"hidden": [16]}}
"""Options that keep each backbone small; those of the others are channels."""

REFUSED = {
    "contractive": {"conv-bn", "deep-conv"},
    "stacked-denoising": {"conv-bn", "deep-conv", "resnet"},
    **{family: {"mlp"} for family in ("fsq", "hierarchical", "spatial-vae", "vq-vae")},
}
"""Backbones that a family does not take, whatever the shape."""


def made(family: str, backbone: str, shape: tuple[int, int, int]) -> tuple[LatentModel, Objective]:
    torch.manual_seed(0)
    model = {
        "backbone": backbone,
        "latent_dim": 4,
        "options": SMALL.get(backbone, {"channels": [4, 8]}),
    }
    objective = OBJECTIVE_SETTINGS.get(family, {})
    config = complete(parse_config({"family": family, "model": model, "objective": objective}))
    card = DataCard(
        dataset="drawn", image_shape=shape, n_train=100, n_validation=10, label_names=tuple("abc")
    )
    return build(config, card)


@pytest.mark.parametrize("family", [entry.name for entry in families])
@pytest.mark.parametrize("backbone", [entry.name for entry in backbones])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_any_family_learns_any_shape(
    family: str, backbone: str, shape: tuple[int, int, int]
) -> None:
    if backbone in REFUSED.get(family, ()):
        with pytest.raises(UserError, match=r"^model\.backbone: "):
            made(family, backbone, shape)
        return
    model, objective = made(family, backbone, shape)
    x = torch.rand(2, *shape)
    output = objective(model, x, at(0, 2))
    draws = len(output.x_logits) // 2
    assert output.x_logits.shape == (2 * draws, *shape)
    loss = total(objective.losses(x, output, at(0, 2))[MODEL])
    assert loss.isfinite()
    loss.backward()
    assert model.picture(model.decode(model.sample_prior(2))).shape == (2, *shape)


# --- padding ------------------------------------------------------------------------------------

BOXES = np.array([[2, 0, 10, 14], [0, 3, 12, 11], [0, 0, 12, 14], [5, 6, 7, 8]], np.int16)


def padded(seed: int = 0) -> ImageSet:
    """Images whose padding is noise of its own for each seed, and whose pictures are the same."""
    pictures = np.random.default_rng(5).integers(0, 256, (4, 1, 12, 14), np.uint8)
    images = np.random.default_rng(seed).integers(0, 256, (4, 1, 12, 14), np.uint8)
    for picture, image, (top, left, bottom, right) in zip(pictures, images, BOXES, strict=True):
        image[:, top:bottom, left:right] = picture[:, top:bottom, left:right]
    return ImageSet(ArrayImages(images), np.arange(4) % 3, boxes=BOXES)


def test_a_mask_is_one_inside_its_box() -> None:
    mask = mask_at(padded(), np.array([1, 3]), CPU)
    assert mask is not None and mask.shape == (2, 1, 12, 14)
    assert mask.sum((1, 2, 3)).tolist() == [12 * 8, 2 * 2]
    assert mask[0, 0, :, 3:11].min() == 1 and mask[1, 0, 5:7, 6:8].min() == 1
    assert mask_at(replace(padded(), boxes=None), np.array([0]), CPU) is None


@pytest.mark.parametrize("name", [entry.name for entry in likelihoods])
def test_nats_are_those_of_the_picture_alone(name: str) -> None:
    likelihood = likelihoods[name].build(parse_config({}).model).eval()
    x, logits = torch.rand(4, 2, 12, 14), torch.randn(4, likelihood.outputs(2), 12, 14)
    mask = mask_at(padded(), slice(0, 4), CPU)
    found = likelihood.nll(logits, x, mask)
    for i, (top, left, bottom, right) in enumerate(BOXES.tolist()):
        inside = (slice(i, i + 1), slice(None), slice(top, bottom), slice(left, right))
        torch.testing.assert_close(found[i : i + 1], likelihood.nll(logits[inside], x[inside]))


@pytest.mark.parametrize(
    ("name", "sigma"), [("gaussian-optimal", 0.1), ("laplace-optimal", 0.1 * 2**0.5)]
)
def test_the_noise_that_is_learned_is_that_of_the_pictures(name: str, sigma: float) -> None:
    likelihood = likelihoods[name].build(parse_config({}).model).train()
    x, mask = torch.full((4, 1, 12, 14), 0.5), mask_at(padded(), slice(0, 4), CPU)
    assert mask is not None
    likelihood.nll((x + 0.1 * mask + 9 * (1 - mask)).logit(1e-6), x, mask)
    assert likelihood.noise == pytest.approx(sigma, rel=1e-3)


@pytest.mark.parametrize("family", [entry.name for entry in families])
def test_no_family_learns_padding(family: str) -> None:
    model, objective = made(family, "conv", (1, 12, 14))
    part = padded()
    mask = mask_at(part, slice(0, 4), CPU)
    assert mask is not None
    x, context = torch.rand(4, 1, 12, 14), replace(at(0, 4), mask=mask)
    output = objective(model, x, context)
    output.x_logits.retain_grad()
    total(objective.losses(x, output, context)[MODEL]).backward()
    gradient = output.x_logits.grad
    assert gradient is not None
    outside = (1 - mask).repeat(len(gradient) // 4, 1, 1, 1)
    assert (gradient * outside).abs().max() == 0 and gradient.abs().max() > 0


def test_measuring_and_scoring_leave_padding_out() -> None:
    """Whatever the decoder makes of it, and whatever was filled in."""
    model, objective = made("vae", "conv", (1, 12, 14))
    whole = replace(padded(), boxes=None)
    areas = (BOXES[:, 2] - BOXES[:, 0]) * (BOXES[:, 3] - BOXES[:, 1])
    found = measure(model, objective, padded(), at(0))
    assert found.values == pytest.approx(areas.mean())
    assert found.terms["recon"] < 0.8 * measure(model, objective, whole, at(0)).terms["recon"]
    each = survey(model, objective, padded(), (), "train", at(0)).recon
    assert each is not None and (np.argsort(each) == np.argsort(areas)).all()
    x = torch.from_numpy(padded().images.gather(np.arange(4))).float() / 255
    mask = mask_at(padded(), slice(0, 4), CPU)
    assert mask is not None
    logits = model.decode(model.encode(x).mode())
    zeroed = model.likelihood.nll(logits * mask, x * mask) - model.likelihood.nll(
        logits * 0, x * 0
    ) * (1 - mask).mean((1, 2, 3))
    torch.testing.assert_close(model.likelihood.nll(logits, x, mask), zeroed)
