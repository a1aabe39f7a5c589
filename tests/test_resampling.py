"""Our transposed convolution is PyTorch's, to rounding, with all its derivatives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vae_core.models.backbones.resampling import FEW_CHANNELS, FEW_PIXELS, Upsampling, product


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("extra", [(0, 0), (1, 0), (1, 1)])
def test_equals_the_native_layer(bias: bool, extra: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = Upsampling(5, 3, extra, bias=bias).double()
    x = torch.randn(2, 5, 7, 6, dtype=torch.double, requires_grad=True)
    ours, native = layer(x), nn.ConvTranspose2d.forward(layer, x)
    torch.testing.assert_close(ours, native)
    parameters = [x, *layer.parameters()]
    seed = torch.randn_like(ours)
    torch.testing.assert_close(
        torch.autograd.grad(ours, parameters, seed), torch.autograd.grad(native, parameters, seed)
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("extra", [(0, 0), (1, 0), (1, 1)])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_few_pixels_without_gradients_equal_the_native_layer(
    bias: bool, extra: tuple[int, int], memory: torch.memory_format
) -> None:
    torch.manual_seed(0)
    layer = Upsampling(5, 20, extra, bias=bias).double().to(memory_format=memory)
    x = torch.randn(2, 5, 4, 6, dtype=torch.double)
    with torch.inference_mode():
        ours, native = layer(x), nn.ConvTranspose2d.forward(layer, x)
        torch.testing.assert_close(ours, native)
        torch.testing.assert_close(product(x, layer.weight, extra), native - (layer(0 * x)))


def test_can_be_differentiated_twice_and_under_vmap() -> None:
    torch.manual_seed(0)
    layer = Upsampling(3, 2, bias=True).double()
    x = torch.randn(2, 3, 4, 5, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradgradcheck(layer, (x,))

    weights = {name: torch.stack([p, 2 * p]) for name, p in layer.state_dict().items()}
    stacked = torch.func.vmap(lambda w: torch.func.functional_call(layer, w, (x.detach(),)))
    torch.testing.assert_close(stacked(weights)[1], 2 * layer(x))


def test_wide_layers_over_many_pixels_take_the_native_way(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def native(self: nn.Module, x: torch.Tensor, size: object = None) -> torch.Tensor:
        called.append(x)
        return x

    monkeypatch.setattr(nn.ConvTranspose2d, "forward", native)
    x = torch.zeros(1, 2, 4, 4)
    Upsampling(2, FEW_CHANNELS + 1, bias=False)(x)
    assert len(called) == 1
    Upsampling(2, FEW_CHANNELS, bias=False)(x)
    assert len(called) == 1
    with torch.no_grad():
        Upsampling(2, FEW_CHANNELS + 1, bias=False)(torch.zeros(1, 2, 1, FEW_PIXELS))
        assert len(called) == 1
        Upsampling(2, FEW_CHANNELS + 1, bias=False)(torch.zeros(1, 2, 1, FEW_PIXELS + 1))
    assert len(called) == 2
