"""The model as a Python file that needs nothing of this project."""

from __future__ import annotations

import re
from typing import Any

from safetensors.torch import save
from torch import Tensor

from vae_core.export.networks import EXAMPLES, DecoderHalf, EncoderHalf, traced, try_inputs
from vae_core.export.source import Export, Source, formats
from vae_core.models import LatentModel

MODULE = '''"""Encoder and decoder of the run {run}, written out operation by operation.

Exported by the latent workbench from step {step}. Needs torch and safetensors, and
weights.safetensors beside this file.

    from model import decode, encode

    {returns} = encode(x{told})  # x: floats in [0, 1], [B, {shape}]; [B, {latent}] each
    x_hat = decode(mu{told})  # pictures in [0, 1], [B, {shape}]{about}
"""

from math import inf, nan  # noqa: F401
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import device  # noqa: F401

IMAGE_SHAPE = {image_shape}
LATENT_SIZE = {latent}

w = load_file(Path(__file__).with_name("weights.safetensors"))


@torch.inference_mode()
def encode(x{told}):
{encoder}


@torch.inference_mode()
def decode(z{told}):
{decoder}


if __name__ == "__main__":
    pictures = decode(torch.randn(16, LATENT_SIZE){tried})
    print(f"16 samples of the prior: {{tuple(pictures.shape)}}, "
          f"from {{pictures.min():.3f}} to {{pictures.max():.3f}}")
'''

LABELLED = """

label: int64 [B], counted from 0 as in the data set; -1 where it is not known."""
DIALLED = """

{key}: float32 [B], between {low:g} and {high:g}."""


def _told(model: LatentModel) -> dict[str, str]:
    """How the module names what a model is told, what it says of it, and what it tries it with."""
    if model.labels:
        return {"told": ", label", "about": LABELLED, "tried": ", torch.full((16,), -1)"}
    if (dial := model.dial) is not None:
        about = DIALLED.format(key=dial.key, low=dial.low, high=dial.high)
        tried = f", torch.full((16,), {dial.usual!r})"
        return {"told": f", {dial.key}", "about": about, "tried": tried}
    return {"told": "", "about": "", "tried": ""}


@formats.register(
    "python",
    label="Python module",
    blurb="The network as plain PyTorch lines with its weights; needs torch and safetensors only.",
    order=70,
)
def python(source: Source) -> Export:
    """model.py with `encode` and `decode`, and weights.safetensors."""
    model = source.loaded.model
    x, z = try_inputs(model, EXAMPLES)
    source.progress("Writing the network out", None)
    encoder = traced(EncoderHalf(model), x)
    decoder = traced(DecoderHalf(model), z)
    returns = "mu, logvar" if len(encoder.graph_signature.user_outputs) > 1 else "(mu,)"
    text = MODULE.format(
        run=source.run.id,
        step=source.loaded.step,
        returns=returns,
        **_told(model),
        shape=", ".join(map(str, model.image_shape)),
        image_shape=tuple(model.image_shape),
        latent=model.latent_size,
        encoder=_body(encoder, "return {}", [*x]),
        decoder=_body(decoder, "return {}[0]", [*z]),
    )
    weights = _weights(encoder) | _weights(decoder)
    files = {"model.py": text.encode(), "weights.safetensors": save(weights)}
    return Export(files, "Run it with: python model.py")


def _body(program: Any, last: str, arguments: list[str]) -> str:
    """The lines of a program: weights and arguments by their names, no `x = None` to free memory
    early."""
    lines = program.graph.python_code("self").src.split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith("def ")) + 1
    names = {spec.arg.name: spec.target for spec in _tensors(program)}
    pattern = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in names) or r"(?!)")
    body = [line.split(";  ")[0].rstrip() for line in lines[start:] if line.strip()]
    body = [re.sub(r"\bgiven\b", arguments[-1], line) for line in body]
    body = [pattern.sub(lambda hit: f'w["{_name(names[hit[0]])}"]', line) for line in body]
    result = body[-1].strip().removeprefix("return ")
    return "\n".join([*body[:-1], "    " + last.format(result)])


def _weights(program: Any) -> dict[str, Tensor]:
    """The tensors that the lines of a program name."""
    used = {node.name for node in program.graph.nodes if node.users}
    tensors = {**program.constants, **program.state_dict}
    return {
        _name(spec.target): tensors[spec.target].detach().clone().contiguous()
        for spec in _tensors(program)
        if spec.arg.name in used
    }


def _tensors(program: Any) -> list[Any]:
    """Inputs of a program that are no arguments: parameters, buffers and constants."""
    return [spec for spec in program.graph_signature.input_specs if spec.target is not None]


def _name(target: str) -> str:
    return target.removeprefix("model.")
