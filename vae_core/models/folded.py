"""A decoder made ready for one picture at a time: what depends on its weights alone is done once.

Batch normalisation is folded into the convolution before it (Jacob et al. 2018, section 3.2), and
the weights of transposed convolutions are laid out as the kernels read them. Otherwise each picture
would do that again: of 9 M weights it takes 7.7 ms, not 10.8 (`python -m benchmarks.decoding`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vae_core.models.backbones.resampling import (
    FEW_CHANNELS,
    Upsampling,
    subpixel_convolution,
    subpixel_kernel,
)
from vae_core.models.latent_model import LatentModel
from vae_core.torch_private import packed


@torch.no_grad()
def fold(model: LatentModel) -> None:
    """Change the decoder of a model in evaluation mode so that it decodes faster on a CPU.

    Pictures stay the same but for the rounding of floats. Afterwards the model can decode and
    encode, but not be trained or saved: the weights of its decoder are no parameters any more.
    """
    fold_norms(model)
    seen = _input_shapes(model)
    for layers in _sequences(model):
        for i, layer in enumerate(layers):
            if layer in seen:
                layers[i] = _laid_out(layer, seen[layer])


def fold_norms(model: LatentModel) -> None:
    """Fold what normalises by batches into the layers of the decoder before it, as `fold` does."""
    for layers in _sequences(model):
        _fold_norms(layers)


def _sequences(model: LatentModel) -> list[nn.Sequential]:
    return [each for each in model.decoder.modules() if isinstance(each, nn.Sequential)]


def _fold_norms(layers: nn.Sequential) -> None:
    for i, (layer, norm) in enumerate(pairwise(layers)):
        if isinstance(norm, nn.BatchNorm2d) and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            transposed = isinstance(layer, nn.ConvTranspose2d)
            layers[i], layers[i + 1] = fuse_conv_bn_eval(layer, norm, transposed), nn.Identity()


def _input_shapes(model: LatentModel) -> dict[nn.Module, torch.Size]:
    """What each transposed convolution of the decoder is given for one picture."""
    seen: dict[nn.Module, torch.Size] = {}

    def notice(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[layer] = inputs[0].shape

    layers = [each for each in model.decoder.modules() if isinstance(each, nn.ConvTranspose2d)]
    hooks = [layer.register_forward_pre_hook(notice) for layer in layers]
    model.decode(model.unflatten(torch.zeros(1, model.latent_size, device=model.device)))
    for hook in hooks:
        hook.remove()
    return seen


def _laid_out(layer: nn.Module, shape: torch.Size) -> nn.Module:
    """The layer with its weights laid out for inputs of `shape`; itself where nothing is gained."""
    if isinstance(layer, Upsampling) and layer.out_channels <= FEW_CHANNELS:
        return SubpixelUpsampling(layer)
    if isinstance(layer, nn.ConvTranspose2d) and (apply := packed(layer, shape)):
        return PackedUpsampling(apply)
    return layer


class SubpixelUpsampling(nn.Module):
    """An `Upsampling` to few channels with its kernel made once."""

    def __init__(self, layer: Upsampling) -> None:
        super().__init__()
        kernel = subpixel_kernel(layer.weight.detach())
        self.kernel = kernel.contiguous(memory_format=torch.channels_last)
        self.bias = None if layer.bias is None else layer.bias.detach().repeat(4)
        self.extra = (layer.output_padding[0], layer.output_padding[1])

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] → [B, out, 2H + extra, 2W + extra]."""
        return subpixel_convolution(x, self.kernel, self.bias, self.extra)


class PackedUpsampling(nn.Module):
    """A transposed convolution with its weights as oneDNN packs them."""

    def __init__(self, apply: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.apply_packed = apply

    def forward(self, x: Tensor) -> Tensor:
        """As of the convolution that was packed."""
        return self.apply_packed(x)
