"""The weights of a model and its objective in a file of tensors: whether they fit, and values.

Those of the objective have names that begin with `OBJECTIVE`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vae_core.runs import OBJECTIVE, Tensors

DTYPES = {
    torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.int64: "I64",
    torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


def require_weights(file: Tensors, model: nn.Module, objective: nn.Module) -> bool:
    """Refuse weights that are not exactly those of the model, before any is read.

    Returns:
        Whether those of the objective are there, too, as early versions did not write them.

    Raises:
        ValueError: naming the first that does not fit.
    """
    wanted = dict(model.state_dict())
    own = {OBJECTIVE + name: tensor for name, tensor in objective.state_dict().items()}
    has_own = bool(own) and any(name in file for name in own)
    wanted |= own if has_own else {}
    for name, tensor in wanted.items():
        file.require(name, DTYPES[tensor.dtype], tuple(tensor.shape))
    if strange := file.specs.keys() - wanted.keys():
        raise ValueError(f"it has {min(strange)[:80]}, which this model has not")
    return has_own


def read_weights(file: Tensors, module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """The weights and buffers of a module that `require_weights` found there."""
    specs = {name: file.specs[prefix + name] for name in module.state_dict()}
    return {
        name: torch.from_numpy(file.array(prefix + name, spec.dtype, spec.shape))
        for name, spec in specs.items()
    }


def load_weights(file: Tensors, model: nn.Module, objective: nn.Module) -> None:
    """Give both modules the weights of a file; an objective that has none there keeps its own.

    Raises:
        ValueError: as `require_weights`.
    """
    has_own = require_weights(file, model, objective)
    model.load_state_dict(read_weights(file, model, ""))
    if has_own:
        objective.load_state_dict(read_weights(file, objective, OBJECTIVE))
