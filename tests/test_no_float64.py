"""Devices without float64, such as Apple's: whatever runs there never asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from tests.engine import make_loop, tiny
from tests.test_families import FAMILIES, OBJECTIVE_SETTINGS
from vae_core.latent.encodings import encode_dataset
from vae_core.latent.grids import decode_vectors, posterior_spread, prior_pictures
from vae_core.latent.survey import survey
from vae_core.metrics import measure
from vae_core.training.events import Previewed, Stepped, Validated
from vae_core.types import Context


class WithoutFloat64(TorchFunctionMode):
    """The processor's memory in two halves: the model, and what is made for `device=…`, is on a
    device that refuses float64, until `.cpu()` brings it to the host. What is made for no device
    is on the host, and what comes from it stays there."""

    def __init__(self) -> None:
        super().__init__()
        self.host: dict[int, Tensor] = {}  # held, so that no other tensor gets the id of one

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        on_host = any(self.is_on_host(tensor) for tensor in given)
        on_host = on_host or not (given or kwargs.get("device"))
        if func is Tensor.cpu:
            copied = args[0].detach().clone()
            self.host[id(copied)] = copied
            return copied
        result = func(*args, **kwargs)
        for made in tree_leaves(result):
            if not isinstance(made, Tensor):
                continue
            if on_host and func is not Tensor.to:
                self.host[id(made)] = made
            elif made.dtype == torch.float64:
                raise TypeError(
                    "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't "
                    f"support float64 ({getattr(func, '__name__', func)})"
                )
        return result

    def is_on_host(self, tensor: Tensor) -> bool:
        return id(tensor) in self.host


def test_the_device_refuses_and_the_host_does_not() -> None:
    with WithoutFloat64():
        x = torch.ones(3, device="cpu")
        for ask in (x.double, lambda: x.to(torch.float64), lambda: x.sum(dtype=torch.float64)):
            with pytest.raises(TypeError, match="support float64"):
                ask()
        with pytest.raises(TypeError, match="support float64"):
            torch.zeros(3, dtype=torch.float64, device="cpu")
        assert x.cpu().double().sum().dtype == torch.float64


@pytest.mark.parametrize("family", FAMILIES)
def test_train_validate_preview_and_encode_without_it(family: str) -> None:
    config = tiny(
        family=family,
        data={"limit": 150},
        objective=OBJECTIVE_SETTINGS.get(family, {}),
        train={"epochs": 1, "gradient_clip": 10.0},
    )
    loop = make_loop(config)
    model, objective, dataset = loop.model, loop.objective, loop.dataset
    with WithoutFloat64():
        kinds = {type(event) for event in loop.run()}
        assert {Previewed, Stepped, Validated} <= kinds
        context = Context(loop.step, torch.Generator().manual_seed(0), train_images=100)
        assert np.isfinite(measure(model, objective, dataset.validation, context).total)
        encodings = encode_dataset(model, dataset, loop.step, 50)
        assert np.isfinite(encodings.mu).all()
        found = survey(model, objective, dataset.validation, (), "validation", context)
        assert np.isfinite(found.mu).all()
        assert decode_vectors(model, encodings.mu[:2]).dtype == np.uint8
        assert prior_pictures(model, 2).dtype == np.uint8
        x = torch.rand(1, *model.image_shape)
        assert np.isfinite(posterior_spread(model, x, draws=3)).all()
