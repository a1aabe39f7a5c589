"""Running statistics: of rows, and of codes, that come in batches."""

from __future__ import annotations

import torch
from torch import Tensor


class CodeUsage:
    """Counts of codes that come in batches.

    One batch says little: 8 images of 4 places show 32 codes at most, whatever there is.
    """

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def add(self, indices: Tensor) -> None:
        """Take in the numbers of codes, int64 of any shape."""
        numbers, counts = torch.unique(indices, return_counts=True)
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            self._counts[number] = self._counts.get(number, 0) + count

    @property
    def drawn(self) -> int:
        """How many codes were taken in, the same ones counted again."""
        return sum(self._counts.values())

    def terms(self) -> dict[str, float]:
        """How many different codes there were, and exp of their entropy; {} before any."""
        if not self._counts:
            return {}
        counts = torch.tensor(list(self._counts.values()), dtype=torch.float64)
        perplexity = torch.special.entr(counts / counts.sum()).sum().exp()
        return {"codes_in_use": float(len(counts)), "code_perplexity": float(perplexity)}


class MeanAndVariance:
    """Mean and variance of rows that come in batches.

    Source: Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm (1979); a plain
    sum of squares cancels where the mean is large.
    """

    def __init__(self) -> None:
        self.n = 0
        self.mean = torch.zeros(())
        self.squares = torch.zeros(())

    def add(self, rows: Tensor) -> None:
        """Take in rows [B, D]."""
        rows = rows.cpu().double()  # on the host: not every device knows float64
        n, mean = len(rows), rows.mean(0)
        squares = (rows - mean).square().sum(0)
        both = self.n + n
        shift = mean - self.mean
        self.squares = self.squares + squares + shift.square() * (self.n * n / both)
        self.mean = self.mean + shift * (n / both)
        self.n = both

    def variance(self) -> Tensor:
        """Population variance of every column, [D]."""
        return self.squares / max(1, self.n)
