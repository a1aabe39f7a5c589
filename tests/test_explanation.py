"""An image's cost place by place adds up to what the likelihood and the posterior say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine import built_in, tiny, trained
from vae_core.data.batches import as_floats
from vae_core.latent.explanation import explain
from vae_core.loading import load_run


@pytest.mark.parametrize(
    "likelihood", ["bernoulli", "gaussian", "gaussian-optimal", "gaussian-pixel"]
)
def test_the_places_add_up_to_the_whole(tmp_path: Path, likelihood: str) -> None:
    model = load_run(trained(tmp_path, model={"likelihood": likelihood})).model
    images = built_in(tiny().data).validation.images.gather(np.arange(5))
    found = explain(model, images)
    with torch.inference_mode():
        x = as_floats(images, model.device)
        posterior = model.encode(x)
        whole = model.likelihood.nll(model.decode(posterior.mode()), x).numpy()
        rate = posterior.kl(model.prior())
    assert found.loss.shape == (5, 16, 16) and found.reconstruction.shape == images.shape
    assert np.allclose(found.loss.sum(axis=(1, 2)), whole, rtol=1e-4, atol=1e-3)
    assert rate is not None and found.kl is not None
    assert np.allclose(found.kl.sum(1), rate.sum(1).numpy(), rtol=1e-5)


def test_the_loss_lies_where_the_picture_was_changed(tmp_path: Path) -> None:
    model = load_run(trained(tmp_path)).model
    image = built_in(tiny().data).validation.images.gather(np.arange(1))
    spoiled = image.copy()
    spoiled[0, 0, 0, :3] = 255
    more = explain(model, spoiled).loss[0] - explain(model, image).loss[0]
    assert set(np.argsort(more, axis=None)[-3:]) == {0, 1, 2}


def test_a_model_that_is_told_labels_is_told_them(tmp_path: Path) -> None:
    model = load_run(trained(tmp_path, family="conditional-vae")).model
    part = built_in(tiny().data).validation
    assert part.labels is not None
    images = part.images.gather(np.arange(4))
    right, wrong = (explain(model, images, (part.labels[:4] + i) % 10) for i in (0, 1))
    assert not np.allclose(right.loss, wrong.loss)


def test_padding_costs_nothing(tmp_path: Path) -> None:
    model = load_run(trained(tmp_path)).model
    image = built_in(tiny().data).validation.images.gather(np.arange(2))
    mask = torch.ones(2, 1, 16, 16)
    mask[:, :, :4] = 0
    whole, inside = explain(model, image), explain(model, image, mask=mask)
    assert (inside.loss[:, :4] == 0).all()
    assert np.array_equal(inside.loss[:, 4:], whole.loss[:, 4:])
