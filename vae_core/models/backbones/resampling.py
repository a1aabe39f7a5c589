"""Convolutions that halve and double: kernel 4, stride 2, padding 1.

The transposed one is fast on CPUs where oneDNN's forward pass is slow (`python -m
benchmarks.upsampling`):

- where it makes few channels: 20 ms for 16→1 channels, 14×14→28×28, batch 512, where the same sum
  written as a small convolution takes 6 ms on two cores. The backward pass has no such weakness
  and is kept;
- where it sees few pixels, as in one picture under somebody's hand: 14.9 ms for 768→384 channels,
  one image of 4×4, where one product of matrices takes 6.8 ms on one core.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNEL, STRIDE, PADDING = 4, 2, 1
FEW_CHANNELS = 16  # one block of AVX-512; beyond it the native forward pass wins
FEW_PIXELS = 49  # of all images together: 7×7 of one; beyond it the product has no advantage


class Downsampling(nn.Conv2d):
    """[B, in, H, W] → [B, out, ⌊H/2⌋, ⌊W/2⌋]: what `Upsampling` leads back from."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool) -> None:
        super().__init__(in_channels, out_channels, KERNEL, STRIDE, PADDING, bias=bias)


class Upsampling(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` with kernel 4, stride 2, padding 1: the same weights, the same result.

    `extra` rows and columns restore sizes that were odd.
    """

    def __init__(
        self, in_channels: int, out_channels: int, extra: tuple[int, int] = (0, 0), *, bias: bool
    ) -> None:
        super().__init__(in_channels, out_channels, KERNEL, STRIDE, PADDING, extra, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[B, in, H, W] → [B, out, 2H + extra, 2W + extra]."""
        if not x.is_cpu or torch.compiler.is_compiling():
            return super().forward(x, output_size)
        if x.shape[0] * x.shape[2] * x.shape[3] <= FEW_PIXELS and not torch.is_grad_enabled():
            out = product(x, self.weight, self.output_padding)
            return out if self.bias is None else out + self.bias[:, None, None]
        if self.out_channels <= FEW_CHANNELS:
            if not torch.is_grad_enabled():  # `apply` inspects signatures for a tenth of a decode
                out = subpixel(x, self.weight, (self.output_padding[0], self.output_padding[1]))
                return out if self.bias is None else out + self.bias[:, None, None]
            pixels: Tensor = _Subpixel.apply(*self._autocast(x), self.output_padding)
            return pixels
        return super().forward(x, output_size)

    def _autocast(self, x: Tensor) -> tuple[Tensor | None, ...]:
        """x, weight and bias as autocast would give them to torch's own operator; it sees nothing
        of what `_Subpixel` keeps for its backward pass, which takes numbers of one type alone."""
        inputs = (x, self.weight, self.bias)
        if not torch.is_autocast_enabled("cpu"):
            return inputs
        dtype = torch.get_autocast_dtype("cpu")
        return tuple(None if each is None else each.to(dtype) for each in inputs)


def product(x: Tensor, weight: Tensor, extra: tuple[int, ...]) -> Tensor:
    """The transposed convolution as it is defined: each input pixel times the whole kernel, and
    what falls on one output pixel added up."""
    batch, inputs, height, width = x.shape
    outputs = weight.shape[1]
    kernels = weight.permute(0, 2, 3, 1).reshape(inputs, -1)  # no copy where weights are laid so
    patches = x.permute(0, 2, 3, 1).reshape(-1, inputs) @ kernels
    patches = patches.view(batch, height * width, KERNEL, KERNEL, outputs).permute(0, 4, 2, 3, 1)
    size = (STRIDE * height + extra[0], STRIDE * width + extra[1])
    columns = patches.reshape(batch, outputs * KERNEL**2, height * width)
    return F.fold(columns, size, KERNEL, padding=PADDING, stride=STRIDE)


def subpixel(x: Tensor, weight: Tensor, extra: tuple[int, int]) -> Tensor:
    """The transposed convolution as a 2×2 convolution that makes 4 pixels at a time."""
    return subpixel_convolution(x, subpixel_kernel(weight), None, extra)


def subpixel_kernel(weight: Tensor) -> Tensor:
    """Weights [in, out, 4, 4] of an `Upsampling` as those of a convolution, [4·out, in, 2, 2].

    Output pixel 2i + r - 1 sees the inputs i and i - 1 through the kernel's rows r and r + 2 (Shi
    et al. 2016, "Is the deconvolution layer the same as a convolutional layer?").
    """
    inputs, outputs = weight.shape[:2]
    kernel = weight.reshape(inputs, outputs, 2, 2, 2, 2).flip(2, 4).permute(3, 5, 1, 0, 2, 4)
    return kernel.reshape(4 * outputs, inputs, 2, 2)


def subpixel_convolution(
    x: Tensor, kernel: Tensor, bias: Tensor | None, extra: tuple[int, int]
) -> Tensor:
    """[B, in, H, W] → [B, out, 2H + extra, 2W + extra] by a `subpixel_kernel`; a bias is of the
    convolution, [4·out]."""
    pixels = F.conv2d(x, kernel, bias, padding=1)
    # Not `pixel_shuffle`, which wants the channels outermost: with those of a pixel side by side,
    # as they are stored, bringing the pixels into rows is 1.4 to 3.2 times as fast.
    batch, channels, rows, columns = pixels.shape
    whole = pixels.permute(0, 2, 3, 1).reshape(batch, rows, columns, 2, channels // 2)
    whole = whole.transpose(2, 3).reshape(batch, 2 * rows, 2 * columns, channels // 4)
    height, width = 2 * x.shape[2] + extra[0], 2 * x.shape[3] + extra[1]
    return whole[:, 1 : 1 + height, 1 : 1 + width].permute(0, 3, 1, 2)


class _Subpixel(torch.autograd.Function):
    """Forward as `subpixel`, backward as PyTorch's own; differentiable twice, and under vmap."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, extra: tuple[int, int]) -> Tensor:
        out = subpixel(x, weight, extra)
        return out if bias is None else out + bias[:, None, None]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])
        ctx.has_bias = inputs[2] is not None

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
        # The adjoint of a transposed convolution is the convolution with the same weights.
        _, dweight, _ = torch.ops.aten.convolution_backward(
            x, gradient, weight, None, (STRIDE,) * 2, (PADDING,) * 2, (1, 1), False, (0, 0), 1,
            (False, needs_weight, False),
        )  # fmt: skip
        dx = F.conv2d(gradient, weight, None, STRIDE, PADDING) if needs_x else None
        dbias = gradient.sum((0, 2, 3)) if ctx.has_bias and needs_bias else None
        return dx, dweight, dbias, None
