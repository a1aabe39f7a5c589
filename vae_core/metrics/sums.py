"""What measuring adds up over images, in one process or in several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vae_core.models import GaussianMixture, LatentModel, Output, QuantisedPosterior
from vae_core.objective import MODEL
from vae_core.shares import counted
from vae_core.types import Losses, merged, total


class CodeUsage:
    """Counts of codes that come in batches, of which one says little: 8 images of 4 places show 32
    codes at most."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, indices: Tensor) -> None:
        """Take in the numbers of codes, int64 of any shape."""
        numbers, counts = torch.unique(indices, return_counts=True)
        self._counts.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))

    @property
    def drawn(self) -> int:
        """How many codes were taken in, the same ones counted again."""
        return self._counts.total()

    def to_json(self) -> list[tuple[int, int]]:
        """What `merge` takes."""
        return [*self._counts.items()]

    def merge(self, counts: Iterable[tuple[int, int]]) -> None:
        """Take in what another one counted."""
        self._counts.update(dict(counts))

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
        if len(rows):
            mean = rows.mean(0)
            self.merge(len(rows), mean, (rows - mean).square().sum(0))

    def to_json(self) -> tuple[int, list[float], list[float]]:
        """What `merge` takes."""
        return self.n, self.mean.tolist(), self.squares.tolist()

    def merge(self, n: int, mean: Tensor | list[float], squares: Tensor | list[float]) -> None:
        """Take in n rows of this mean, and of these sums of squared distances from it, [D]."""
        if not n:
            return
        mean, squares = (torch.as_tensor(each, dtype=torch.float64) for each in (mean, squares))
        both = self.n + n
        shift = mean - self.mean
        self.squares = self.squares + squares + shift.square() * (self.n * n / both)
        self.mean = self.mean + shift * (n / both)
        self.n = both

    def variance(self) -> Tensor:
        """Population variance of every column, [D]."""
        return self.squares / max(1, self.n)


@dataclass
class Sums:
    """Over the images so far.

    terms: of the values of each term. weights: of the terms now. objective: of what is minimised.
    kl: of each dimension, [D]; None where there is none. values: how many numbers of the images
    are no padding. squares: of the errors of these. modes: of the posteriors. codes: of finite
    sets.
    """

    terms: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    objective: float = 0.0
    kl: Tensor | None = None
    images: int = 0
    values: float = 0.0
    squares: float = 0.0
    modes: MeanAndVariance = field(default_factory=MeanAndVariance)
    codes: CodeUsage = field(default_factory=CodeUsage)

    def add(
        self,
        model: LatentModel,
        x: Tensor,
        mask: Tensor | None,
        output: Output,
        losses: Losses,
        prior: GaussianMixture | None,
        batch: int,
    ) -> None:
        """Take in the images at hand, x [b, C, H, W] with their `Context.mask`, of a batch of so
        many."""
        for name, term in merged(losses).items():
            self.terms[name] = self.terms.get(name, 0.0) + float(counted(term.value).sum())
            self.weights[name] = term.weight
        self.objective += float(total(losses[MODEL])) * batch
        n = len(counted(x))
        if not n:
            return
        self.images += n
        self.values += x.numel() if mask is None else float(mask.sum()) * x.shape[1]
        self.squares += squared_error(model, output.x_logits, x, mask)
        kl = output.posterior.kl(prior)
        if kl is not None:
            self.kl = kl.sum(0) if self.kl is None else self.kl + kl.sum(0)
        self.modes.add(model.flatten(output.posterior.mode()))
        if isinstance(output.posterior, QuantisedPosterior):
            self.codes.add(output.posterior.indices)

    def to_json(self) -> dict[str, Any]:
        """What `merge` takes."""
        plain = ("terms", "weights", "objective", "images", "values", "squares")
        return {
            **{name: getattr(self, name) for name in plain},
            "kl": None if self.kl is None else self.kl.tolist(),
            "modes": self.modes.to_json(),
            "codes": self.codes.to_json(),
        }

    def merge(self, other: Mapping[str, Any]) -> None:
        """Take in what another process added up."""
        for name, value in other["terms"].items():
            self.terms[name] = self.terms.get(name, 0.0) + value
        self.weights |= other["weights"]
        self.objective += other["objective"]
        self.images += other["images"]
        self.values += other["values"]
        self.squares += other["squares"]
        if other["kl"] is not None:
            kl = torch.tensor(other["kl"], dtype=torch.float64)
            self.kl = kl if self.kl is None else self.kl + kl
        self.modes.merge(*other["modes"])
        self.codes.merge(other["codes"])


def squared_error(model: LatentModel, x_logits: Tensor, x: Tensor, mask: Tensor | None) -> float:
    """Sum over images and values that count, the mean over draws, of what is shown as the
    reconstruction."""
    draws = len(x_logits) // len(x)
    pictures = model.picture(x_logits).unflatten(0, (draws, len(x)))
    squares = (pictures - x).square()
    return float((squares if mask is None else squares * mask).sum()) / draws
