"""How far the layers of a network can stretch what they are given."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class SingularValues(nn.Module):
    """The sum over layers of the largest singular value of their weight, as a matrix
    [outputs, inputs · places of the kernel]; a step of power iteration each time in training.

    Source: Miyato et al., Spectral Normalization for Generative Adversarial Networks (2018),
    algorithm 1; its sum as a penalty: Yoshida and Miyato, Spectral Norm Regularization (2017).
    """

    def __init__(self, network: nn.Module) -> None:
        """Of all layers of `network`, which stays whose it is."""
        super().__init__()
        layers = [each for each in network.modules() if isinstance(each, LAYERS)]
        self._layers = (layers,)  # in a tuple, so that they are not registered a second time
        for number, layer in enumerate(layers):
            start = normalize(torch.randn(len(_matrix(layer))), dim=0)
            self.register_buffer(f"left_{number}", start)

    def forward(self) -> Tensor:
        """Σ σ_max, a scalar through which gradients flow to the weights."""
        found = [self._largest(number, layer) for number, layer in enumerate(self._layers[0])]
        return torch.stack(found).sum()

    def _largest(self, number: int, layer: nn.Module) -> Tensor:
        matrix, left = _matrix(layer), self.get_buffer(f"left_{number}")
        with torch.no_grad():
            if not self.training:
                left = normalize(left, dim=0)  # an average of directions is shorter than they are
            right = normalize(matrix.T @ left, dim=0)
            if self.training:
                newer = normalize(matrix @ right, dim=0)
                left.copy_(newer)
                left = newer
        return left @ matrix @ right


def _matrix(layer: nn.Module) -> Tensor:
    """[outputs, all else]; transposed convolutions have their inputs first."""
    assert isinstance(layer, LAYERS)
    weight = layer.weight
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.transpose(0, 1)
    return weight.flatten(1)
