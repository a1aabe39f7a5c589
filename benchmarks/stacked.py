"""Milliseconds to train eight MLP-VAEs by one step: one after the other, and stacked by torch.func.

Forward, backward and Adam of every β, on the same weights, batch and noise. What both sides share
is left out: data, validation, recording. The losses of both are printed; they have to agree.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Annotated

import typer

from vae_core import process

BETAS = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
LATENT_DIM = 20
STEPS = 10
"""In one measurement."""


def main(
    hidden: Annotated[str, typer.Option(help="Widths of the encoder; mirrored.")] = "200,200",
    batch: Annotated[int, typer.Option(min=1, help="Images in a step.")] = 128,
    threads: Annotated[int, typer.Option(min=1, help="Threads of either side.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each side.")] = 15,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare both ways to train eight models, taking turns."""
    process.prepare()
    import torch
    from torch import Tensor, nn
    from torch.func import functional_call, grad_and_value, stack_module_state, vmap

    from vae_core.config import parse_config
    from vae_core.families import build
    from vae_core.losses import bernoulli_nll, gaussian_kl
    from vae_core.models.posterior import GaussianPosterior
    from vae_core.runs import DataCard
    from vae_core.training.optim import Adam

    torch.set_num_threads(threads)
    card = DataCard(dataset="mnist", image_shape=(1, 28, 28), n_train=60_000, n_validation=10_000)
    options = {"hidden": [int(width) for width in hidden.split(",")]}
    model = {"backbone": "mlp", "latent_dim": LATENT_DIM, "options": options}
    config = parse_config({"model": {**model, "likelihood": "bernoulli"}})

    class Loss(nn.Module):
        """−ELBO with the KL times β, the mean over the batch."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.model = build(config, card)[0]

        def forward(self, x: Tensor, noise: Tensor, beta: Tensor) -> Tensor:
            q = self.model.encode(x)
            assert isinstance(q, GaussianPosterior)
            logits = self.model.decode(q.mu + (0.5 * q.logvar).exp() * noise)
            return (bernoulli_nll(logits, x) + beta * gaussian_kl(q.mu, q.logvar).sum(1)).mean()

    x, noise = torch.rand(batch, 1, 28, 28), torch.randn(batch, LATENT_DIM)
    betas = torch.tensor(BETAS)
    singles = [Loss() for _ in BETAS]
    optimizers = [Adam(list(single.parameters()), lr=1e-3) for single in singles]
    weights, _ = stack_module_state(singles)
    adam = Adam(list(weights.values()), lr=1e-3)  # each weight is moved alone: stacks are as good
    step_of_all = vmap(
        grad_and_value(lambda own, beta: functional_call(singles[0], own, (x, noise, beta)))
    )

    def one_by_one() -> list[float]:
        losses = []
        for single, optimizer, beta in zip(singles, optimizers, betas, strict=True):
            for parameter in optimizer.parameters:
                parameter.grad = None
            loss = single(x, noise, beta)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    def stacked() -> list[float]:
        gradients, losses = step_of_all(weights, betas)
        for name, weight in weights.items():
            weight.grad = gradients[name]
        adam.step()
        return list(losses.tolist())

    sides: dict[str, Callable[[], list[float]]] = {"one_by_one": one_by_one, "stacked": stacked}
    times: dict[str, list[float]] = {side: [] for side in sides}
    last: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        for side, train in sides.items():
            start = time.perf_counter()
            for _ in range(STEPS):
                last[side] = train()
            times[side].append(1e3 * (time.perf_counter() - start) / STEPS)
    ms = {side: statistics.median(taken[1:]) for side, taken in times.items()}
    apart = max(abs(a / b - 1) for a, b in zip(*last.values(), strict=True))
    result = {
        "hidden": hidden,
        "batch": batch,
        "threads": threads,
        **{f"{side}_ms": round(value, 2) for side, value in ms.items()},
        "ratio": round(ms["one_by_one"] / ms["stacked"], 2),
        "losses_apart": float(f"{apart:.1g}"),
    }
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        print(f"Stacked: {result['ratio']} times the speed of one by one.")


if __name__ == "__main__":
    typer.run(main)
