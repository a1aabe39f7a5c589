"""Presets beside what they rebuild: `benchmarks.twins`, trained as their authors do.

`python -m benchmarks.published` trains the CIFAR notebook's VAE twice, from the same weights, on
the same batches with the same noise: by this product's loop, and as the notebook writes it. What
the two reach is printed, and what the preset reached with what it once had in their place.
`tests/test_published.py` holds every preset to these networks step by step.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from benchmarks.twins import Loss, Notebook, Twin, divergence, notebook_loss
from vae_core.config import DataConfig, RunConfig
from vae_core.data import ArrayImages, Dataset, ImageSet, load_dataset
from vae_core.data.batches import as_floats, epoch_batches
from vae_core.families import build, complete
from vae_core.models import LatentModel
from vae_core.presets import presets
from vae_core.training.loop import Loop

CPU = torch.device("cpu")


def give_weights(twin: Twin, model: LatentModel) -> None:
    """Copy the twin's weights into `model`, which flattens its maps place by place.

    The twin flattens them map by map, as `nn.Flatten` does.
    """
    convolutions = [layer for layer in twin.encoder if isinstance(layer, nn.Conv2d)]
    read = next(m for m in (*twin.encoder, twin.mu) if isinstance(m, nn.Linear)).in_features
    unflatten = next(layer for layer in twin.decoder if isinstance(layer, nn.Unflatten))
    maps, written = unflatten.unflattened_size[0], int(np.prod(unflatten.unflattened_size))
    with torch.no_grad():
        for own, given in zip(_weighing(model), _weighing(twin), strict=True):
            for name, parameter in given.named_parameters(recurse=False):
                value: Tensor = parameter
                if isinstance(given, nn.Linear) and value.ndim == 2 and value.shape[1] == read:
                    value = _by_place(value.T, convolutions[-1].out_channels).T
                if isinstance(given, nn.Linear) and len(value) == written:
                    value = _by_place(value, maps)
                own.get_parameter(name).copy_(value)


def _weighing(module: nn.Module) -> list[nn.Module]:
    return [m for m in module.modules() if list(m.parameters(recurse=False))]


def _by_place(rows: Tensor, maps: int) -> Tensor:
    """Rows [maps · places, …] as [places · maps, …]."""
    return rows.unflatten(0, (maps, -1)).transpose(0, 1).flatten(0, 1)


def tinted(size: int) -> Dataset:
    """Real images in colour that need no download: handwritten digits, ink and paper tinted."""
    digits = load_dataset(DataConfig(dataset="digits", image_size=size, validation_fraction=0.2))
    rng = np.random.default_rng(0)

    def colour(part: ImageSet) -> ImageSet:
        ink = part.images.gather(np.arange(len(part))) / 255.0
        paper, pen = (
            rng.uniform(0, 0.4, (2, len(part), 3, 1, 1))
            + np.array([0, 0.6])[:, None, None, None, None]
        )
        return ImageSet(ArrayImages(np.rint(255 * (paper + ink * (pen - paper))).astype(np.uint8)))

    return Dataset("tinted", colour(digits.train), colour(digits.validation))


def batches(dataset: Dataset, config: RunConfig) -> Iterator[Tensor]:
    """The batches of the product's loop, epoch after epoch."""
    train = config.train
    for epoch in range(train.epochs):
        for indices in epoch_batches(dataset.train, train, epoch):
            yield as_floats(dataset.train.images.gather(indices), CPU)


def train_twin(
    twin: Twin,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    images: Iterator[Tensor],
    seed: int,
    clip: float | None = None,
) -> Iterator[float]:
    """A loop as notebooks have it; yields the loss of every step."""
    noise = torch.Generator().manual_seed(seed)
    twin.train()
    for x in images:
        optimizer.zero_grad()
        value = loss(twin, twin.seen(x), noise)
        value.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(twin.parameters(), clip)
        optimizer.step()
        yield value.item()


@torch.inference_mode()
def reached(network: Twin | LatentModel, part: ImageSet) -> dict[str, float]:
    """Test figures: mean squared error of the mean code and of a drawn one, KL per dimension."""
    network.eval()
    noise = torch.Generator().manual_seed(0)
    sums = torch.zeros(3, dtype=torch.float64)
    for start in range(0, len(part), 256):
        x = as_floats(part.images.gather(np.arange(start, min(start + 256, len(part)))), CPU)
        if isinstance(network, LatentModel):
            posterior = network.encode(x)
            mu, logvar = posterior.mu, posterior.logvar
            decode = lambda z: network.likelihood.mean(network.decode(z))  # noqa: E731
        else:
            features = network.encoder(x)
            mu, logvar = network.mu(features), network.logvar(features)
            decode = lambda z: network.picture(network.decoder(z))  # noqa: E731
        drawn = mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=noise)
        errors = [mse_loss(decode(z), x) for z in (mu, drawn)]
        sums += len(x) * torch.stack([*errors, divergence(mu, logvar).mean()]).double()
    names = ("mse_of_mean_code", "mse_of_drawn_code", "kl_per_dimension")
    return dict(zip(names, (sums / len(part)).tolist(), strict=True))


def train_preset(config: RunConfig, dataset: Dataset, twin: Twin) -> LatentModel:
    """The preset trained by the product's loop from the twin's weights."""
    model, objective = build(config, dataset.image_shape)
    give_weights(twin, model)
    for _ in Loop(config, dataset, model.to(memory_format=torch.channels_last), objective).run():
        pass
    return model


VARIANTS: dict[str, dict[str, Any]] = {
    "preset": {},
    "with the epsilon of means": {"train": {"adam_epsilon": 1e-8}},
    "normalised before the activation": {"model": {"options": {"normalise": "before"}}},
}
"""The preset, and it with what it had in place of the notebook's settings."""


def main(
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps of each side.")] = 400,
    seeds: Annotated[int, typer.Option(min=1, help="First weights to begin with.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare the CIFAR preset with the notebook that it rebuilds."""
    dataset = tinted(32)
    preset = presets["cifar-vae"].config
    epochs = max(1, round(steps * preset.train.batch_size / len(dataset.train)))
    made = epochs * -(-len(dataset.train) // preset.train.batch_size)
    print(
        f"{made} steps on {len(dataset.train)} tinted digits, measured on "
        f"{len(dataset.validation)} others",
        file=sys.stderr,
    )
    for seed in range(seeds):
        torch.manual_seed(seed)
        twin, results = Notebook(), {}
        for name, changes in VARIANTS.items():
            config = preset.updated(changes).updated({"train": {"epochs": epochs, "seed": seed}})
            results[name] = reached(
                train_preset(complete(config), dataset, twin), dataset.validation
            )
        train = complete(preset.updated({"train": {"epochs": epochs, "seed": seed}}))
        optimizer = torch.optim.AdamW(twin.parameters(), lr=1e-3, weight_decay=1e-5)
        for _ in train_twin(
            twin, notebook_loss, optimizer, batches(dataset, train), seed, clip=1.0
        ):
            pass
        results["twin in plain PyTorch"] = reached(twin, dataset.validation)
        if as_json:
            print(json.dumps({"steps": made, "seed": seed, **results}))
            continue
        for name, figures in results.items():
            words = "  ".join(f"{key} {value:.5f}" for key, value in figures.items())
            print(f"seed {seed}  {name:34}{words}", flush=True)


if __name__ == "__main__":
    typer.run(main)
