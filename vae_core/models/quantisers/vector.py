"""A codebook of vectors that follow the encodings nearest to them."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

from vae_core.models.quantisers.quantiser import Quantiser


class VectorQuantiser(Quantiser):
    """K vectors, each the running mean of the encodings that it stood for.

    It has no weights: `follow` moves it after every batch. What nothing has come near for a while
    is put onto an encoding of the batch, and so is the whole codebook at the first batch. Without
    restarts most codes are left behind while the encoder finds its scale in the first steps.

    Source: van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning (2017),
    equations 1 and 2 and appendix A.1; restarts: Zeghidour et al., SoundStream (2021), section
    III-C.
    """

    codebook: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, codes: int, dim: int, decay: float, restart: float) -> None:
        """`restart`: the share of an even use below which a code is put elsewhere."""
        super().__init__()
        self.codes, self.dim = codes, dim
        self.decay, self.restart = decay, restart
        self.register_buffer("codebook", torch.randn(codes, dim))
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, dim))

    def indices(self, z: Tensor) -> Tensor:
        """argminₖ |z − eₖ|, found as argmaxₖ z·eₖ − ½|eₖ|²; [B, dim, h, w] → int64 [B, h, w]."""
        half_norms = 0.5 * self.codebook.square().sum(1)
        scores = z.permute(0, 2, 3, 1) @ self.codebook.T - half_norms
        return scores.argmax(3)

    def vectors(self, indices: Tensor) -> Tensor:
        """[B, h, w] → [B, dim, h, w]."""
        return functional.embedding(indices, self.codebook).permute(0, 3, 1, 2)

    @torch.no_grad()
    def start(self, z: Tensor) -> None:
        """Put the codebook onto encodings z [B, dim, h, w], where it has not begun yet."""
        if not self.counts.any():
            rows = _rows(z)
            chosen = torch.randperm(len(rows))[torch.arange(self.codes) % len(rows)]
            self._put(torch.arange(self.codes, device=z.device), rows[chosen.to(z.device)], rows)

    @torch.no_grad()
    def follow(self, z: Tensor, indices: Tensor) -> None:
        """Move every code towards the mean of the encodings z [B, dim, h, w] it stood for.

        N ← γN + (1−γ)n, m ← γm + (1−γ)Σz, e = m/N: appendix A.1, equations 6 to 8.
        """
        rows, chosen = _rows(z), indices.flatten()
        used = torch.zeros_like(self.counts).index_add_(0, chosen, torch.ones_like(rows[:, 0]))
        near = torch.zeros_like(self.sums).index_add_(0, chosen, rows)
        self.counts.lerp_(used, 1 - self.decay)
        self.sums.lerp_(near, 1 - self.decay)
        known = self.counts > 1e-6  # what nothing came near for ever keeps its place
        self.codebook[known] = self.sums[known] / self.counts[known, None]
        dead = (self.counts < self.restart * len(rows) / self.codes).nonzero()[:, 0]
        fresh = torch.randperm(len(rows))[: len(dead)].to(z.device)
        self._put(dead[: len(fresh)], rows[fresh], rows)

    def draw(
        self, shape: tuple[int, ...], generator: Generator | None, temperature: float
    ) -> Tensor:
        """Each as often as it was used lately, the shares to the power of 1/temperature."""
        counts = self.counts if self.counts.any() else torch.ones_like(self.counts)
        shares = (counts / counts.max()) ** (1 / temperature)
        total = torch.Size(shape).numel()
        return torch.multinomial(shares, total, True, generator=generator).view(shape)

    def _put(self, codes: Tensor, vectors: Tensor, rows: Tensor) -> None:
        """Codes onto vectors, with the count of an even use."""
        even = len(rows) / self.codes
        self.codebook[codes] = vectors
        self.counts[codes] = even
        self.sums[codes] = even * vectors


def _rows(z: Tensor) -> Tensor:
    """[B, dim, h, w] → [B·h·w, dim]."""
    return z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
