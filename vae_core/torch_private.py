"""All that is used of PyTorch beyond what it documents. `tests/test_private.py` says what moved."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["cpu_computes_bf16", "packed", "set_up_compiler", "tree_leaves", "tree_map"]


def set_up_compiler(recompile_limit: int) -> None:
    """Let `torch.compile` compile that many kinds of calls, and let graphs be shared."""
    import torch._dynamo  # 150 MB that a run needs only where it is compiled
    import torch._functorch.config

    torch._dynamo.config.recompile_limit = recompile_limit
    torch._dynamo.config.accumulated_recompile_limit = recompile_limit
    torch._functorch.config.donated_buffer = False  # players may share a graph, which is then kept


def cpu_computes_bf16() -> bool:
    """Whether this processor multiplies in bf16; torch emulates it elsewhere, slower than fp32."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    onednn = torch.backends.mkldnn.is_available()
    return onednn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def packed(layer: nn.ConvTranspose2d, shape: Sequence[int]) -> Callable[[Tensor], Tensor] | None:
    """A transposed convolution as a function, its weights laid out once as oneDNN reads them for
    inputs of `shape`; for others it is as exact, and slower. None where nothing is gained.

    It is what `torch.compile` with frozen weights does, without a compiler.
    """
    if not torch.backends.mkldnn.is_available():
        return None
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return None  # elsewhere never measured
    padding, extra = [*layer.padding], [*layer.output_padding]
    stride, dilation, groups = [*layer.stride], [*layer.dilation], layer.groups
    weight = torch.ops.mkldnn._reorder_convolution_transpose_weight(
        layer.weight.detach(), padding, extra, stride, dilation, groups, [*shape]
    )
    bias = None if layer.bias is None else layer.bias.detach()

    def apply(x: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(
            x, weight, bias, padding, extra, stride, dilation, groups, "none", [], ""
        )
        return out

    return apply
