"""Milliseconds of a transposed convolution: ours beside PyTorch's own.

Forward and backward for batches of the course network's decoder and of a picture layer for 64×64
colour images; forward on one thread for the first layers of decoders with 2 and 9 million weights
that draw one picture.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from vae_core import process

SHAPES = {"32→16, 7×7, 512": (512, 32, 16, 7), "16→1, 14×14, 512": (512, 16, 1, 14)}
SHAPES |= {"32→3, 32×32, 64": (64, 32, 3, 32)}
SHAPES |= {"288→144, 4×4, 1": (1, 288, 144, 4), "768→384, 4×4, 1": (1, 768, 384, 4)}


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each side.")] = 15,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare both ways to compute the same layer, taking turns."""
    process.prepare()
    import torch
    from torch import Tensor, nn

    from vae_core.models.backbones.resampling import Upsampling

    cores = torch.get_num_threads()

    def milliseconds(layer: Callable[[Tensor], Tensor], x: Tensor) -> tuple[float, ...]:
        start = time.perf_counter()
        y = layer(x).relu()
        half = time.perf_counter()
        if not y.requires_grad:
            return (1e3 * (half - start),)
        y.sum().backward()
        return 1e3 * (half - start), 1e3 * (time.perf_counter() - half)

    result = {}
    for name, (batch, inputs, outputs, side) in SHAPES.items():
        ours = Upsampling(inputs, outputs, bias=False).to(memory_format=torch.channels_last)
        sides: dict[str, Callable[[Tensor], Tensor]] = {
            "ours": ours,
            "native": partial(nn.ConvTranspose2d.forward, ours),
        }
        x = torch.randn(batch, inputs, side, side).contiguous(memory_format=torch.channels_last)
        learns = batch > 1
        x.requires_grad_(learns)
        torch.set_num_threads(cores if learns else 1)
        times: dict[str, list[tuple[float, ...]]] = {side: [] for side in sides}
        with torch.set_grad_enabled(learns):
            for _ in range(rounds + 2):
                for label, layer in sides.items():
                    times[label].append(milliseconds(layer, x))
        result[name] = {
            label: [round(statistics.median(part), 2) for part in zip(*taken[2:], strict=True)]
            for label, taken in times.items()
        }
    if as_json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
        return
    for name, sides_ms in result.items():
        for label, ms in sides_ms.items():
            named = zip(("forward", "backward"), ms, strict=False)
            told = ", ".join(f"{way} {taken:6.2f} ms" for way, taken in named)
            print(f"{name:>18} {label:>7}: {told}")


if __name__ == "__main__":
    typer.run(main)
