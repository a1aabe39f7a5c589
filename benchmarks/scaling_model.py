"""What one model over many devices would gain: measured steps and gradients, stated links.

No cluster is at hand here, so this is arithmetic, and says on what. Of every preset are measured:
the bytes of its weights and of what a step keeps for each image, the operations that an image takes
forward and backward, the calls of a step, and what share of a matrix product's speed a step reaches
here. A GPU is taken to reach the same share of its own, and to need some time for every call.
Gradients travel by a ring within each node, then by rings across them; the sum is waited for after
the backward pass, so nothing overlaps (`--overlap` states another share).

    T(all-reduce) = 2 (g-1) (a1 + n / (g b1)) + 2 (m-1) (a2 + n / (m b2)),

for n bytes over m nodes of g GPUs: latency a and bandwidth b, of a GPU's links within a node and of
a node's network; across nodes each GPU carries its n / g, and shares the network with g - 1 others.

Source: Thakur, Rabenseifner and Gropp, Optimization of collective communication operations in MPICH
(2005), sections 2 and 4.4, for the ring.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from vae_core import process

SHAPES = {
    "mnist-vae": (1, 28, 28),
    "course-vae": (1, 28, 28),
    "burda-iwae": (1, 28, 28),
    "cifar-vae": (3, 32, 32),
    "factor-sprites": (1, 64, 64),
    "celeba-vae": (3, 64, 64),
    "pytorch-vae": (3, 64, 64),
    "images-vae": (3, 128, 128),
}
"""Presets from the smallest network to the largest, and images that they are trained on."""

MB, GB = 1e6, 1e9
NODES = (1, 8, 64)
STEPS, SIDE = 5, 1024
MESSAGES = 2
"""Of rank 0 in every step: what it was asked, and what it decides by its clock."""


@dataclass(frozen=True)
class Links:
    """What is assumed: figures of the makers, none measured here.

    a1, b1: seconds and bytes/s of one GPU within a node (NVLink 3: 300 GB/s each way). a2, b2: of
    one node's network (200 Gbit/s). peak: FLOP/s of fp32 (A100). call_s: for each call of a step.
    message_s: for each hop of a message of rank 0, which a tree passes on (TCP within a data
    centre).
    """

    gpus: int = 8
    a1: float = 5e-6
    b1: float = 300e9
    a2: float = 15e-6
    b2: float = 25e9
    peak: float = 19.5e12
    call_s: float = 5e-6
    message_s: float = 50e-6


@dataclass(frozen=True)
class Measured:
    """A preset as it was measured here; bytes, seconds, operations.

    image: what a step keeps for one image. share: of a matrix product's speed that a step reaches.
    """

    preset: str
    batch: int
    weights: int
    image: float
    flops: float
    calls: int
    step_s: float
    share: float

    @property
    def training(self) -> float:
        """Bytes of weights, gradients, Adam's two averages, and what a batch leaves."""
        return 4 * self.weights + self.batch * self.image

    def gpu_step_s(self, batch: float, links: Links) -> float:
        """Seconds of a step on one GPU: the work, and at least its calls."""
        return max(self.calls * links.call_s, batch * self.flops / (links.peak * self.share))


def all_reduce_s(size: float, nodes: int, links: Links) -> float:
    """Seconds of the sum of so many bytes over nodes of GPUs."""
    g = links.gpus
    within = 2 * (g - 1) * (links.a1 + size / (g * links.b1)) if g > 1 else 0.0
    across = 2 * (nodes - 1) * (links.a2 + size / (nodes * links.b2)) if nodes > 1 else 0.0
    return within + across


def efficiency(
    found: Measured, nodes: int, links: Links, batch: float, overlap: float = 0.0, compress: int = 1
) -> float:
    """Images/s of so many nodes, each GPU with `batch` images a step, over so many times those of
    one GPU with as many."""
    work = found.gpu_step_s(batch, links)
    told = MESSAGES * math.ceil(math.log2(nodes * links.gpus)) * links.message_s
    sums = all_reduce_s(found.weights / compress, nodes, links)
    return work / (work + told + max(0.0, sums - overlap * work))


def weak(found: Measured, nodes: int, links: Links, **how: Any) -> float:
    """Each GPU goes on with the preset's batch: the batch of a step grows."""
    return efficiency(found, nodes, links, found.batch, **how)


def strong(found: Measured, nodes: int, links: Links, batch: int, **how: Any) -> float:
    """One batch is shared out; held against one GPU that has it all."""
    devices = nodes * links.gpus
    share = batch / devices
    alone, shared = found.gpu_step_s(batch, links), found.gpu_step_s(share, links)
    return alone / (devices * shared) * efficiency(found, nodes, links, share, **how)


# --- measuring -----------------------------------------------------------------------------------


def measure(preset: str) -> Measured:
    """Take some steps of a preset on noise of its shape, in as many threads as there are."""
    import numpy as np
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode

    from vae_core.auto import resolve
    from vae_core.data import ArrayImages, Dataset, ImageSet
    from vae_core.families import build, complete
    from vae_core.presets import presets
    from vae_core.settings import is_open
    from vae_core.training.loop import Loop

    class Calls(TorchDispatchMode):
        """Counts what is called on the device."""

        count = 0

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            self.count += 1
            return func(*args, **(kwargs or {}))

    config = presets[preset].config
    batch = 64 if is_open(config.train.batch_size) else config.train.batch_size
    train = {"batch_size": batch, "precision": "fp32", "device": "cpu", "epochs": 1}
    config = complete(config.updated({"train": train, "data": {"limit": None}}))
    random = np.random.default_rng(0)
    learned, unseen = (
        ImageSet(ArrayImages(random.integers(0, 256, (count, *SHAPES[preset]), np.uint8)))
        for count in (2 * batch, batch)
    )
    dataset = Dataset("noise", learned, unseen)
    config, _ = resolve(config, dataset)
    model, objective = build(config, dataset.image_shape)
    model.to(memory_format=torch.channels_last)
    loop = Loop(config, dataset, model, objective)
    x, context = loop.batch(np.arange(batch))
    per_image = loop.check_memory().per_image
    with FlopCounterMode(display=False) as flops:
        loop.players.step(x, context)
    with Calls() as calls:
        loop.players.step(x, context)
    seconds, gflops, square = [], [], torch.rand(SIDE, SIDE)
    torch.mm(square, square)
    for _ in range(STEPS):  # in turns, so that what else the machine does takes from both
        start = time.perf_counter()
        torch.mm(square, square)
        gflops.append(2 * SIDE**3 / (time.perf_counter() - start) / 1e9)
        start = time.perf_counter()
        loop.players.step(x, context)
        seconds.append(time.perf_counter() - start)
    weights = {id(p): p for ps in loop.players.parameters.values() for p in ps}.values()
    step_s, per_step = statistics.median(seconds), flops.get_total_flops()
    return Measured(
        preset,
        batch,
        sum(each.nbytes for each in weights),
        per_image,
        per_step / batch,
        calls.count,
        step_s,
        per_step / step_s / (statistics.median(gflops) * 1e9),
    )


# --- telling -------------------------------------------------------------------------------------


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows as Markdown; the first is the head."""
    head, *rest = rows
    ruled = [head, ["---", *["---:"] * (len(head) - 1)], *rest]
    return "\n".join("| " + " | ".join(row) + " |" for row in ruled)


def memory_table(found: Sequence[Measured]) -> str:
    """What a training takes, by part."""
    rows = [("preset", "weights", "gradients", "Adam", "an image", "batch", "activations", "all")]
    for each in found:
        w, kept = each.weights / MB, each.batch * each.image / MB
        sizes = (f"{w:.1f}", f"{w:.1f}", f"{2 * w:.1f}", f"{each.image / MB:.2f}", f"{each.batch}")
        rows.append((each.preset, *sizes, f"{kept:.0f}", f"{each.training / MB:.0f}"))
    return table(rows)


def efficiency_table(found: Sequence[Measured], links: Links, overlap: float, batch: int) -> str:
    """Both kinds of scaling over 1, 8 and 64 nodes."""
    ways = [(f"weak, {n}×{links.gpus}", n, True) for n in NODES]
    ways += [(f"strong, {n}×{links.gpus}", n, False) for n in NODES]
    rows = [("preset", "a step", "its sum, 64 nodes", *(name for name, _, _ in ways))]
    for each in found:
        step, sums = each.gpu_step_s(each.batch, links), all_reduce_s(each.weights, 64, links)
        shares = (
            weak(each, n, links, overlap=overlap)
            if is_weak
            else strong(each, n, links, batch, overlap=overlap)
            for _, n, is_weak in ways
        )
        cells = (f"{1e3 * step:.1f} ms", f"{1e3 * sums:.1f} ms", *(f"{s:.0%}" for s in shares))
        rows.append((each.preset, *cells))
    return table(rows)


WIDTH, HEIGHT, LEFT, TOP, GAP = 360, 240, 46, 40, 70
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#666666", "#000000")


def plot(found: Sequence[Measured], links: Links, overlap: float, batch: int) -> str:
    """Efficiency over GPUs, weak beside strong, as an SVG."""
    most = max(NODES) * links.gpus
    counts = [links.gpus * 2**n for n in range(int(math.log2(max(NODES))) + 1)]
    panels: tuple[tuple[str, Callable[[Measured, int], float]], ...] = (
        ("Efficiency, weak: the preset's batch on each GPU",
         lambda each, n: weak(each, n, links, overlap=overlap)),
        (f"Efficiency, strong: {batch} images a step, shared out",
         lambda each, n: strong(each, n, links, batch, overlap=overlap)),
    )  # fmt: skip
    width, height = 2 * (LEFT + WIDTH) + GAP + 110, TOP + HEIGHT + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, (title, share) in enumerate(panels):
        x0 = LEFT + number * (WIDTH + GAP)

        def across(devices: int, x0: int = x0) -> float:
            return x0 + WIDTH * math.log(devices / links.gpus) / math.log(most / links.gpus)

        def up(value: float) -> float:
            return TOP + HEIGHT * (1 - value)

        parts.append(f'<text x="{x0}" y="{TOP - 16}" font-weight="bold">{title}</text>')
        for tick in (0, 0.25, 0.5, 0.75, 1):
            parts.append(
                f'<path d="M{x0} {up(tick):.1f}h{WIDTH}" stroke="#ddd"/>'
                f'<text x="{x0 - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{tick:.0%}</text>'
            )
        for count in counts:
            parts.append(
                f'<text x="{across(count):.1f}" y="{TOP + HEIGHT + 16}" '
                f'text-anchor="middle">{count}</text>'
            )
        parts.append(
            f'<text x="{x0 + WIDTH / 2}" y="{TOP + HEIGHT + 36}" text-anchor="middle">GPUs, '
            f"{links.gpus} in a node</text>"
        )
        for each, colour in zip(found, COLOURS, strict=False):
            line = " ".join(
                f"{across(count):.1f},{up(share(each, count // links.gpus)):.1f}"
                for count in counts
            )
            parts.append(
                f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
            )
    for number, (each, colour) in enumerate(zip(found, COLOURS, strict=False)):
        x, y = LEFT + 2 * WIDTH + GAP + 14, TOP + 10 + 18 * number
        parts.append(
            f'<path d="M{x} {y}h16" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{x + 22}" y="{y + 4}">{each.preset}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def main(
    presets: Annotated[list[str] | None, typer.Option(help="Which of them; all.")] = None,
    measured: Annotated[
        Path | None, typer.Option(help="A file of --json to calculate from, in place of measuring.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Images of a step that are shared out.")] = 8192,
    overlap: Annotated[
        float, typer.Option(min=0, max=1, help="Of a step's time, that sums go on beside.")
    ] = 0.0,
    svg: Annotated[Path | None, typer.Option(help="Draw the plot there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was measured.")] = False,
) -> None:
    """Measure presets here, and calculate what 1, 8 and 64 nodes would make of them."""
    process.prepare()
    if measured is None:
        found = [measure(name) for name in presets or SHAPES]
    else:
        found = [Measured(**each) for each in json.loads(measured.read_text())["measured"]]
    links = Links()
    if as_json:
        print(json.dumps({"measured": [asdict(each) for each in found]}, indent=1))
        return
    print(
        memory_table(found), "\n(MB; gradients and Adam's averages are each as large as weights)\n"
    )
    print(efficiency_table(found, links, overlap, batch))
    half = [weak(each, max(NODES), links, overlap=overlap, compress=2) for each in found]
    told = (f"{each.preset} {share:.0%}" for each, share in zip(found, half, strict=True))
    print(f"\nWeak over {max(NODES)} nodes with gradients in bf16: {', '.join(told)}")
    slow = replace(links, b2=links.b2 / 20)
    told = (f"{each.preset} {weak(each, 8, slow, overlap=overlap):.0%}" for each in found)
    print(f"Weak over 8 nodes at 10 Gbit/s: {', '.join(told)}")
    if svg is not None:
        svg.write_text(plot(found, links, overlap, batch), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
