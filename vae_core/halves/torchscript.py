"""A TorchScript pair. Its archive holds a program, so that it runs only where it is trusted."""

from __future__ import annotations

import io
from collections.abc import Callable

import torch
from torch import Tensor

from vae_core.errors import UserError
from vae_core.halves.kind import DECODER, ENCODER, Given, kinds, tuple_of
from vae_core.models import Halves

ENDINGS = (".pt", ".ts", ".pth")


@kinds.register(
    "torchscript",
    label="TorchScript",
    blurb="encoder.pt and decoder.pt of torch.jit.save, or a decoder alone.",
    endings=ENDINGS,
    executes=True,
)
def torchscript(given: Given) -> Halves:
    """x → z, or μ and log σ²; z → picture. A `UserError` for what is no TorchScript."""
    decoder = given.half(DECODER, ENDINGS)
    if decoder is None:
        raise UserError("There is no decoder.pt, which draws the pictures.")
    encoder = given.half(ENCODER, ENDINGS)
    encode = None if encoder is None else _half(ENCODER, encoder)
    return Halves(encode and (lambda x: tuple_of(encode(x))), _half(DECODER, decoder))


def _half(name: str, data: bytes) -> Callable[[Tensor], Tensor]:
    try:
        program = torch.jit.load(io.BytesIO(data), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200].rstrip(".")
        raise UserError(f"The {name} is no TorchScript program: {reason}.") from None

    def half(values: Tensor) -> Tensor:
        found: Tensor = program(values)
        return found

    return half
