"""The network whose features pictures are compared by, and how it is kept."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from vae_core.data.batches import to_floats
from vae_core.runs import Folder, Tensors, derived, layout

SIZE = 64
"""Features: a covariance of full rank needs more images than that."""

WIDTH, MOST_WIDTH, LEAST_SIDE = 16, 64, 4


class FeatureNetwork(nn.Module):
    """Images uint8 [B, C, H, W] → features [B, 64].

    3×3 convolutions of stride 2 until the shorter side has 4 px, then one linear layer, so that
    features know where something is; batch norm after each. Features are those before the last
    activation, each of mean 0 and deviation 1 over training images: nearer to the Gaussian that FID
    takes them for than what is left of them after it.
    """

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = image_shape
        layers: list[nn.Module] = []
        wide = WIDTH
        while True:
            layers += [
                nn.Conv2d(channels, wide, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(wide),
                nn.ReLU(),
            ]
            channels, wide = wide, min(2 * wide, MOST_WIDTH)
            height, width = (height + 1) // 2, (width + 1) // 2
            if min(height, width) <= LEAST_SIDE:
                break
        self.maps = nn.Sequential(*layers, nn.Flatten())
        self.features = nn.Linear(channels * height * width, SIZE, bias=False)
        self.norm = nn.BatchNorm1d(SIZE, affine=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.features(self.maps(to_floats(images))))


def keep_network(content: Folder, name: str, network: nn.Module, made_of: dict[str, str]) -> None:
    """Keep a network in the cache for images that `content` stands for."""
    arrays = {key: tensor.numpy() for key, tensor in network.state_dict().items()}
    derived.keep(content, layout.features(name), arrays, made_of)


def kept_network(
    content: Folder, name: str, network: nn.Module, made_of: dict[str, str]
) -> dict[str, str] | None:
    """Fill `network` with what is kept for these images, and say all that it was kept with; None
    where there is nothing that was made of this."""

    def read(file: Tensors) -> dict[str, str] | None:
        if not made_of.items() <= file.metadata.items():
            return None
        wanted = network.state_dict()
        if file.specs.keys() != wanted.keys():
            raise ValueError("it is of another network")
        found = {key: _array(file, key, tensor) for key, tensor in wanted.items()}
        if not all(tensor.isfinite().all() for tensor in found.values()):
            raise ValueError("its weights are no numbers")
        network.load_state_dict(found)
        return file.metadata

    return derived.find(content, layout.features(name), read)


def _array(file: Tensors, key: str, like: Tensor) -> Tensor:
    kind = "I64" if like.dtype == torch.int64 else "F32"
    return torch.from_numpy(np.asarray(file.array(key, kind, tuple(like.shape))))
