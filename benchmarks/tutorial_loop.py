"""A rival of the training benchmark: the loop that tutorials teach.

A torchvision-style data set with transforms for each sample, a shuffling DataLoader, the network
in PyTorch's own layers, `.item()` on every loss, a validation pass, a saved model and a line in a
file after each epoch. Settings of the process are PyTorch's own.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.workloads import PARTS, config_of, part_of, published_of
from vae_core.training.device import choose_device


class Pictures(Dataset[Tensor]):
    """Images as torchvision's own data sets give them: one PIL image at a time, transformed.

    images: uint8 [N, C, H, W].
    """

    def __init__(self, images: np.ndarray, transform: transforms.Compose) -> None:
        self.images = images.transpose(0, 2, 3, 1).squeeze(-1) if images.shape[1] == 1 else (
            images.transpose(0, 2, 3, 1)
        )  # fmt: skip
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        x: Tensor = self.transform(Image.fromarray(self.images[index]))
        return x


def train(folder: Path, place: Path) -> dict[str, Any]:
    """Train, recording into `place`; the seconds from first step to last record."""
    config = config_of(folder)
    published = published_of(config)
    torch.manual_seed(config.train.seed)
    device = choose_device(config.train.device)
    model = published.make().to(device)
    steps = [transforms.ToTensor()]
    if (model.mean, model.std) != (0.0, 1.0):
        steps.append(transforms.Normalize((model.mean,), (model.std,)))
    transform = transforms.Compose(steps)
    training, validation = (Pictures(part_of(folder, name), transform) for name in PARTS)
    size = config.train.batch_size
    pinned = device.type == "cuda"
    training_loader = DataLoader(training, batch_size=size, shuffle=True, pin_memory=pinned)
    validation_loader = DataLoader(validation, batch_size=size, pin_memory=pinned)
    optimizer = published.optimizer(model.parameters())
    place.mkdir()

    start = time.perf_counter()
    for epoch in range(config.train.epochs):
        losses = []
        model.train()
        for x in training_loader:
            loss = published.loss(model, x.to(device), None)
            optimizer.zero_grad()
            loss.backward()
            if published.clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), published.clip)
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            validated = [
                published.loss(model, x.to(device), None).item() for x in validation_loader
            ]
        torch.save(model.state_dict(), place / "model.pt")
        with (place / "history.jsonl").open("a", encoding="utf-8") as file:
            record = {"epoch": epoch, "loss": losses, "validation": sum(validated) / len(validated)}
            file.write(json.dumps(record) + "\n")
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "images": config.train.epochs * len(training)}


if __name__ == "__main__":
    print(json.dumps(train(Path(sys.argv[1]), Path(sys.argv[2]))))
