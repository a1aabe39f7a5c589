"""The networks of others in plain PyTorch, each with the loss and the optimiser of its author.

They are what presets rebuild (`tests/test_published.py` holds every preset to them step by step),
and what the rivals of `python -m benchmarks.training` train.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss


class Twin(nn.Module):
    """encoder → features, heads for mean and log σ², decoder; `picture` ends the decoder."""

    encoder: nn.Sequential
    mu: nn.Linear
    logvar: nn.Linear
    decoder: nn.Sequential
    picture: Callable[[Tensor], Tensor] = staticmethod(torch.sigmoid)
    mean, std = 0.0, 1.0
    """It sees pixels less `mean` over `std`, and paints them so."""
    logvar_scale = 1.0
    logvar_most = float("inf")

    def seen(self, x: Tensor) -> Tensor:
        """Images in [0, 1] as the network sees them."""
        return x if (self.mean, self.std) == (0.0, 1.0) else (x - self.mean) / self.std

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, C, H, W] → mean and log σ² [B, L]."""
        features = self.encoder(x)
        mu, logvar = self.mu(features), self.logvar_scale * self.logvar(features)
        return mu, logvar.clamp(-self.logvar_most, self.logvar_most)

    def forward(
        self, x: Tensor, noise: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x [B, C, H, W] → reconstruction, mean and log σ² [B, L]."""
        mu, logvar = self.encode(x)
        drawn = torch.randn(mu.shape, generator=noise, dtype=mu.dtype, device=mu.device)
        z = mu + (0.5 * logvar).exp() * drawn
        return self.picture(self.decoder(z)), mu, logvar


class Notebook(Twin):
    """The notebook on CIFAR-10: convolution, ReLU, batch normalisation, three times each way."""

    logvar_most = 10.0

    def __init__(self) -> None:
        super().__init__()
        inwards: list[nn.Module] = []
        for a, b in pairwise((3, 96, 192, 384)):
            inwards += [nn.Conv2d(a, b, 3, 2, 1), nn.ReLU(), nn.BatchNorm2d(b)]
        self.encoder = nn.Sequential(*inwards, nn.Flatten())
        self.mu, self.logvar = nn.Linear(384 * 4 * 4, 128), nn.Linear(384 * 4 * 4, 128)
        outwards: list[nn.Module] = [nn.Linear(128, 384 * 4 * 4), nn.Unflatten(1, (384, 4, 4))]
        for a, b in pairwise((384, 192, 96)):
            outwards += [nn.ConvTranspose2d(a, b, 3, 2, 1, 1), nn.ReLU(), nn.BatchNorm2d(b)]
        self.decoder = nn.Sequential(*outwards, nn.ConvTranspose2d(96, 3, 3, 2, 1, 1))


class Faces(Twin):
    """PyTorch-VAE's `VanillaVAE`; with `blog` the smaller way back of a blog on CelebA."""

    def __init__(self, blog: bool = False) -> None:
        super().__init__()
        inwards: list[nn.Module] = []
        for a, b in pairwise((3, 32, 64, 128, 256, 512)):
            inwards += [nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU()]
        self.encoder = nn.Sequential(*inwards, nn.Flatten())
        self.mu, self.logvar = nn.Linear(512 * 2 * 2, 128), nn.Linear(512 * 2 * 2, 128)
        widths = (256, 256, 128, 64, 64) if blog else (512, 256, 128, 64, 32, 32)
        maps = widths[0]
        outwards: list[nn.Module] = [nn.Linear(128, maps * 2 * 2), nn.Unflatten(1, (maps, 2, 2))]
        for a, b in pairwise(widths):
            outwards += [nn.ConvTranspose2d(a, b, 3, 2, 1, 1), nn.BatchNorm2d(b), nn.LeakyReLU()]
        last = nn.ConvTranspose2d(64, 3, 3, 2, 1, 1) if blog else nn.Conv2d(32, 3, 3, 1, 1)
        self.decoder = nn.Sequential(*outwards, last)


class Course(Twin):
    """A course's VAE on MNIST: 1→16→32 convolutions (k4 s2 p1), 128 hidden units, five codes."""

    picture = nn.Identity()
    mean, std = 0.1307, 0.3081
    logvar_scale = 2.0  # its second head predicts log σ

    def __init__(self) -> None:
        super().__init__()
        flat = 32 * 7 * 7
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 4, 2, 1, bias=False), nn.ReLU(),
            nn.Conv2d(16, 32, 4, 2, 1, bias=False), nn.ReLU(),
            nn.Flatten(), nn.Linear(flat, 128), nn.ReLU(),
        )  # fmt: skip
        self.mu, self.logvar = nn.Linear(128, 5), nn.Linear(128, 5)
        self.decoder = nn.Sequential(
            nn.Linear(5, 128), nn.ReLU(), nn.Linear(128, flat), nn.ReLU(),
            nn.Unflatten(1, (32, 7, 7)),
            nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False), nn.ReLU(),
            nn.ConvTranspose2d(16, 1, 4, 2, 1, bias=False),
        )  # fmt: skip


def divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL to N(0, I) of each dimension in nats, [B, L], as tutorials write it."""
    return -0.5 * (1 + logvar - mu.pow(2) - logvar.exp())


Loss = Callable[[Twin, Tensor, torch.Generator | None], Tensor]
"""Of a network and images as it sees them."""


def notebook_loss(twin: Twin, x: Tensor, noise: torch.Generator | None = None) -> Tensor:
    """MSE + 0.001 · KL, both means over everything."""
    picture, mu, logvar = twin(x, noise)
    return mse_loss(picture, x) + 0.001 * divergence(mu, logvar).mean()


def faces_loss(twin: Twin, x: Tensor, noise: torch.Generator | None = None) -> Tensor:
    """MSE + 0.00025 · KL, summed over dimensions."""
    picture, mu, logvar = twin(x, noise)
    return mse_loss(picture, x) + 0.00025 * divergence(mu, logvar).sum(dim=1).mean()


def course_loss(twin: Twin, x: Tensor, noise: torch.Generator | None = None) -> Tensor:
    """MSE + 0.1 · KL, both means over everything."""
    picture, mu, logvar = twin(x, noise)
    return mse_loss(picture, x) + 0.1 * divergence(mu, logvar).mean()


@dataclass(frozen=True)
class Published:
    """A network and how its author trains it; the preset's loss is `times` its loss, and a
    constant."""

    make: Callable[[], Twin]
    loss: Loss
    times: float
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    clip: float | None = None


def _faces_adam(weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(weights, lr=0.005)


PUBLISHED = {
    "cifar-vae": Published(
        Notebook,
        notebook_loss,
        3 * 32 * 32,
        lambda weights: torch.optim.AdamW(weights, lr=1e-3, weight_decay=1e-5),
        clip=1.0,
    ),
    "pytorch-vae": Published(Faces, faces_loss, 3 * 64 * 64, _faces_adam),
    "celeba-vae": Published(lambda: Faces(blog=True), faces_loss, 3 * 64 * 64, _faces_adam),
    "course-vae": Published(
        Course,
        course_loss,
        28 * 28 / 2,
        lambda weights: torch.optim.Adam(weights, lr=1e-3, betas=(0.5, 0.999)),
    ),
}
"""By the name of the preset that rebuilds it."""
