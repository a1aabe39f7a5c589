"""An ONNX pair: graphs of operations, which onnxruntime computes. Nothing in them executes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_core.errors import UserError
from vae_core.extras import extra
from vae_core.families.footprint import require_memory_for
from vae_core.halves.kind import DECODER, ENCODER, Given, kinds
from vae_core.models import Halves

ENDINGS = (".onnx",)
UNKNOWN_LABEL = -1
"""For graphs of conditional models, as this program exports them."""


@kinds.register(
    "onnx",
    label="ONNX",
    blurb="encoder.onnx and decoder.onnx, or a decoder alone; onnxruntime computes them.",
    endings=ENDINGS,
)
def onnx(given: Given) -> Halves:
    """x → z, or μ and log σ²; z → picture. What else they ask for may be labels alone.

    Raises:
        UserError: for no graph, one that reads files beside it, or is too large.
    """
    decoder = given.half(DECODER, ENDINGS)
    if decoder is None:
        raise UserError("There is no decoder.onnx, which draws the pictures.")
    data = given.half(ENCODER, ENDINGS)
    encode, decode = None if data is None else Graph(ENCODER, data), Graph(DECODER, decoder)
    shown = (None,) * 4 if encode is None else encode.shape
    if len(shown) != 4:
        raise UserError(f"encoder.onnx takes {len(shown)} axes; images have 4: [B, C, H, W].")
    sides = (shown[1], shown[2], shown[3])
    return Halves(encode, lambda z: decode(z)[0], decode.shape[1:], sides)


class Graph:
    """One graph as a function of one tensor; `shape` is of its input, None for sides left open."""

    def __init__(self, half: str, data: bytes) -> None:
        self.half = half
        _require_plain(half, data)
        runtime = extra("onnxruntime", "onnx", "An ONNX network")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4
        try:
            self.session = runtime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has a class for each of its complaints
            raise _no_network(half, error) from None
        first, *others = self.session.get_inputs()
        self.input, self.shape = first.name, _sides(first.shape)
        self.labels = [each.name for each in others if each.type == "tensor(int64)"]
        if first.type != "tensor(float)" or len(self.labels) < len(others):
            asked = ", ".join(f"{each.name} {each.type}" for each in (first, *others)[:5])
            raise UserError(
                f"{half}.onnx asks for {asked}; it may ask for one float32 tensor, and for labels."
            )

    def __call__(self, values: Tensor) -> tuple[Tensor, ...]:
        rows = values.detach().cpu().contiguous().numpy().astype(np.float32)
        batch = self.shape[0] or len(rows)  # a graph may be for so many at once and no others
        starts = range(0, len(rows), batch)
        pieces = [self._run(rows[start : start + batch], batch) for start in starts]
        found = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
        return tuple(torch.from_numpy(part).to(values.device) for part in found)

    def _run(self, rows: np.ndarray, batch: int) -> list[np.ndarray]:
        """The first outputs for at most `batch` rows, filled up with zeros to so many."""
        filled = np.zeros((batch, *rows.shape[1:]), np.float32)
        filled[: len(rows)] = rows
        inputs = {self.input: filled}
        inputs |= dict.fromkeys(self.labels, np.full(batch, UNKNOWN_LABEL, np.int64))
        try:
            found = self.session.run(None, inputs)
        except Exception as error:  # as above
            raise _no_network(self.half, error) from None
        return [np.asarray(part)[: len(rows)] for part in found[:2]]


def _sides(shape: list[Any]) -> tuple[int | None, ...]:
    return tuple(side if isinstance(side, int) else None for side in shape)


def _require_plain(half: str, data: bytes) -> None:
    """Refuse a graph that reads other files, or whose values fill the memory."""
    library = extra("onnx", "onnx", "An ONNX network")
    shapes = extra("onnx.shape_inference", "onnx", "An ONNX network")
    try:
        model = library.load_model_from_string(data)
    except Exception as error:  # protobuf's own classes differ between its versions
        raise _no_network(half, error) from None
    tensors = [m for m in _messages(model) if m.DESCRIPTOR.name == "TensorProto"]
    if any(tensor.data_location == library.TensorProto.EXTERNAL for tensor in tensors):
        raise UserError(
            f"{half}.onnx keeps weights in files beside it; save it as one file and bring it again."
        )
    sizes = [math.prod(tensor.dims) for tensor in tensors]
    try:
        known = shapes.infer_shapes(model, data_prop=True).graph
    except Exception as error:  # a graph that makes no sense
        raise _no_network(half, error) from None
    for value in (*known.value_info, *known.output):
        sides = value.type.tensor_type.shape.dim
        sizes.append(math.prod(max(1, side.dim_value) for side in sides))
    require_memory_for(4 * max(sizes, default=0))


def _messages(message: Any) -> Iterator[Any]:
    """A protobuf message's inner messages, however deep."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if hasattr(value, "append") or hasattr(value, "add") else (value,):
                yield inner
                yield from _messages(inner)


def _no_network(half: str, error: Exception) -> UserError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return UserError(f"{half}.onnx cannot be used: {reason[:200].rstrip('.')}.")
