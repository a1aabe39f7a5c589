"""All that is used of PyTorch beyond what it documents. `tests/test_private.py` says what moved."""

from __future__ import annotations


def set_up_compiler(recompile_limit: int) -> None:
    """Let `torch.compile` compile that many kinds of calls, and let graphs be shared."""
    import torch._dynamo  # 150 MB that a run needs only where it is compiled
    import torch._functorch.config

    torch._dynamo.config.recompile_limit = recompile_limit
    torch._dynamo.config.accumulated_recompile_limit = recompile_limit
    torch._functorch.config.donated_buffer = False  # players may share a graph, which is then kept
