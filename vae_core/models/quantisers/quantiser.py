"""What all quantisers do: to the nearest code, to its number, and back from a number."""

from __future__ import annotations

from torch import Generator, Tensor, nn


class Quantiser(nn.Module):
    """`codes` vectors of `dim` numbers, one of which stands for every place of a map."""

    codes: int
    dim: int

    def forward(self, z: Tensor) -> Tensor:
        """The nearest code of every place, [B, dim, h, w] to the same.

        The gradient is passed straight through to z (van den Oord et al. 2017, section 3.2).
        """
        return straight_through(z, self.vectors(self.indices(z)))

    def indices(self, z: Tensor) -> Tensor:
        """The number of the nearest code of every place, [B, dim, h, w] → int64 [B, h, w]."""
        raise AssertionError("a quantiser defines its indices")

    def vectors(self, indices: Tensor) -> Tensor:
        """The codes of these numbers, [B, h, w] → [B, dim, h, w]."""
        raise AssertionError("a quantiser defines its vectors")

    def draw(
        self, shape: tuple[int, ...], generator: Generator | None, temperature: float
    ) -> Tensor:
        """Numbers of codes drawn independently, as often as codes are used; int64 `shape`."""
        raise AssertionError("a quantiser defines how codes are drawn")


def straight_through(z: Tensor, codes: Tensor) -> Tensor:
    """The codes, exactly, with the gradient of z."""
    return codes + (z - z.detach())
