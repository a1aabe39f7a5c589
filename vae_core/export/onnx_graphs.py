"""The encoder and the decoder as ONNX, compared with PyTorch before they leave."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from torch import nn

from vae_core.errors import UserError
from vae_core.export.networks import DecoderHalf, EncoderHalf, Inputs, first, traced, try_inputs
from vae_core.export.source import Export, Source, formats
from vae_core.extras import extra
from vae_core.models import LatentModel

TOLERANCE = 1e-4
"""The largest difference allowed, in units of the largest value where that is above 1."""

LABELLED = (
    'Both graphs take the label of each image as a second input, "label": int64 [B], counted from '
    "0 as in the data set; −1 where it is not known."
)

DIALLED = (
    'Both graphs take {name} as a second input, "{key}": float32 [B], between {low:g} and {high:g}.'
)


def _told(model: LatentModel) -> str:
    """What a person should know of the second input; "" where there is none."""
    if (dial := model.dial) is not None:
        return DIALLED.format(name=dial.name, key=dial.key, low=dial.low, high=dial.high)
    return LABELLED if model.labels else ""


CHECKED = 7  # another batch size than the traced one, which shows that it is dynamic


@formats.register(
    "onnx",
    label="ONNX",
    blurb="Encoder and decoder for any ONNX runtime, checked against PyTorch; any batch size.",
    order=60,
)
def onnx(source: Source) -> Export:
    """encoder.onnx: x → mu, logvar. decoder.onnx: z → x_hat. A note says how well they agree.

    Both take what a model is told too: "label" int64 [B] where it is a conditional one, the value
    of its dial where it has one.

    Raises:
        UserError: when the ONNX libraries are missing, or a graph disagrees with PyTorch.
    """
    for module in ("onnx", "onnxscript", "onnxruntime"):
        extra(module, "onnx", "The ONNX export")
    model = source.loaded.model
    x, z = try_inputs(model, CHECKED)
    halves = {
        "encoder": (EncoderHalf(model).eval(), x, ("mu", "logvar")),
        "decoder": (DecoderHalf(model).eval(), z, ("x_hat",)),
    }
    files, worst = {}, 0.0
    for name, (half, inputs, results) in halves.items():
        source.progress(f"Writing the {name} as ONNX", None)
        files[f"{name}.onnx"] = _graph(half, first(inputs), results)
        difference = _difference(files[f"{name}.onnx"], half, inputs)
        if not difference <= TOLERANCE:
            raise UserError(
                f"The {name}'s ONNX graph differs from PyTorch by {difference:.1e}, more than "
                f"{TOLERANCE:.0e}; nothing was exported. Take the Python module instead."
            )
        worst = max(worst, difference)
    note = f"onnxruntime and PyTorch agree to {worst:.1e} (at most 1e-4 allowed)."
    return Export(files, f"{note} {_told(model)}".strip())


def _graph(half: nn.Module, inputs: Inputs, results: tuple[str, ...]) -> bytes:
    program = traced(half, inputs)
    count = len(program.graph_signature.user_outputs)
    # The exporter warns of versions of operators that nobody asked for.
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        graph: Any = torch.onnx.export(
            program,
            tuple(inputs.values()),
            dynamo=True,
            input_names=list(inputs),
            output_names=list(results[:count]),
            verbose=False,
        )
    finally:
        logger.setLevel(level)
    data: bytes = graph.model_proto.SerializeToString()
    return data


def _difference(graph: bytes, half: nn.Module, inputs: Inputs) -> float:
    """How far onnxruntime and PyTorch are apart on `inputs`, relative to values above 1."""
    runtime = extra("onnxruntime", "onnx", "The ONNX export")
    session = runtime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    theirs = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    with torch.inference_mode():
        result = half(*inputs.values())
    ours = [part.numpy() for part in (result if isinstance(result, tuple) else (result,))]
    return max(
        float(np.abs(a - b).max() / max(1.0, np.abs(a).max()))
        for a, b in zip(ours, theirs, strict=True)
    )
