"""The other side of the training benchmark: the loop that tutorials teach.

A torchvision Dataset with transforms for each sample, a shuffling DataLoader, the course VAE as a
plain module, `.item()` on every loss, a validation pass, a saved model and a line in a file after
each epoch. Settings of the process are PyTorch's own.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST

BATCH_SIZE = 512
LATENT_DIM = 5
KL_WEIGHT = 0.1
MEAN, STD = 0.1307, 0.3081


class CourseVae(nn.Module):
    """1→16→32 convolutions (k4 s2 p1), 128 hidden units, mean and log σ heads; 422 058 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 4, 2, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, 2, 1, bias=False),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 128),
            nn.ReLU(),
        )
        self.mu = nn.Linear(128, LATENT_DIM)
        self.log_sigma = nn.Linear(128, LATENT_DIM)
        self.decoder = nn.Sequential(
            nn.Linear(LATENT_DIM, 128),
            nn.ReLU(),
            nn.Linear(128, 32 * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (32, 7, 7)),
            nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 1, 4, 2, 1, bias=False),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x [B, 1, 28, 28] → reconstruction, mean and log σ."""
        features = self.encoder(x)
        mu, log_sigma = self.mu(features), self.log_sigma(features)
        z = mu + log_sigma.exp() * torch.randn_like(mu)
        return self.decoder(z), mu, log_sigma


def loss_of(model: CourseVae, x: Tensor) -> Tensor:
    """MSE + 0.1 · KL, both means over batch and dimensions."""
    x_hat, mu, log_sigma = model(x)
    kl = 0.5 * (mu**2 + (2 * log_sigma).exp() - 2 * log_sigma - 1)
    return F.mse_loss(x_hat, x) + KL_WEIGHT * kl.mean()


def train(data_dir: str, folder: Path, epochs: int) -> float:
    """Train for `epochs`, recording into `folder`; the seconds from first step to last record."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
    training = MNIST(data_dir, train=True, transform=transform)
    validation = MNIST(data_dir, train=False, transform=transform)
    training_loader = DataLoader(training, batch_size=BATCH_SIZE, shuffle=True)
    validation_loader = DataLoader(validation, batch_size=BATCH_SIZE)
    model = CourseVae()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.5, 0.999))

    start = time.perf_counter()
    for epoch in range(epochs):
        losses = []
        model.train()
        for x, _ in training_loader:
            loss = loss_of(model, x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            validated = [loss_of(model, x).item() for x, _ in validation_loader]
        torch.save(model.state_dict(), folder / "model.pt")
        with (folder / "history.jsonl").open("a", encoding="utf-8") as file:
            record = {"epoch": epoch, "loss": losses, "validation": sum(validated) / len(validated)}
            file.write(json.dumps(record) + "\n")
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps({"seconds": train(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))}))
