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

CODES_AT_ONCE = 1 << 22
"""So many codes wait on their device before they are counted: 32 MB."""


class CodeUsage:
    """Counts of codes that come in batches, of which one says little: 8 images of 4 places show 32
    codes at most. They wait on their device until somebody asks, or many have come."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._waiting: list[Tensor] = []

    def add(self, indices: Tensor) -> None:
        """Take in the numbers of codes, int64 of any shape."""
        self._waiting.append(indices.flatten())
        if sum(map(len, self._waiting)) >= CODES_AT_ONCE:
            self._count()

    def _count(self) -> None:
        if self._waiting:
            numbers, counts = torch.cat(self._waiting).unique(return_counts=True)
            self._counts.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
            self._waiting = []

    @property
    def drawn(self) -> int:
        """How many codes were taken in, the same ones counted again."""
        return self._counts.total() + sum(map(len, self._waiting))

    def to_json(self) -> list[tuple[int, int]]:
        """What `merge` takes."""
        self._count()
        return [*self._counts.items()]

    def merge(self, counts: Iterable[tuple[int, int]]) -> None:
        """Take in what another one counted."""
        self._counts.update(dict(counts))

    def terms(self) -> dict[str, float]:
        """How many different codes there were, and exp of their entropy; {} before any."""
        self._count()
        if not self._counts:
            return {}
        counts = torch.tensor(list(self._counts.values()), dtype=torch.float64)
        perplexity = torch.special.entr(counts / counts.sum()).sum().exp()
        return {"codes_in_use": float(len(counts)), "code_perplexity": float(perplexity)}


class MeanAndVariance:
    """Mean and variance of rows that come in batches; what each gives waits on its device.

    Source: Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm (1979); a plain
    sum of squares cancels where the mean is large. On the device rows are taken less the first of
    them, so that single precision does; batches are put together in float64 on the host, as not
    every device knows that.
    """

    def __init__(self) -> None:
        self.n = 0
        self.mean = torch.zeros(())
        self.squares = torch.zeros(())
        self._first: Tensor | None = None
        self._waiting: list[tuple[int, Tensor]] = []

    def add(self, rows: Tensor) -> None:
        """Take in rows [B, D]; n, mean and squares have them after `settle`."""
        if not len(rows):
            return
        if self._first is None:
            self._first = rows[0].clone()
        shifted = rows - self._first
        mean = shifted.mean(0)
        both = torch.stack([mean, (shifted - mean).square().sum(0)])
        self._waiting.append((len(rows), both))

    def settle(self) -> None:
        """Fetch what waits, all at once."""
        if self._first is not None and self._waiting:
            first = self._first.cpu().double()
            fetched = torch.stack([both for _, both in self._waiting]).cpu().double()
            for (n, _), (mean, squares) in zip(self._waiting, fetched, strict=True):
                self.merge(n, mean + first, squares)
            self._waiting = []

    def to_json(self) -> tuple[int, list[float], list[float]]:
        """What `merge` takes."""
        self.settle()
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
        self.settle()
        return self.squares / max(1, self.n)


class Waiting:
    """Sums by key of numbers that may lie on a device."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], list[tuple[Tensor | float, float]]] = {}

    def add(self, kind: str, name: str, value: Tensor | float, times: float = 1) -> None:
        """Take in `times` a value, a number or a tensor of one."""
        self._taken.setdefault((kind, name), []).append((value, times))

    def fetch(self) -> dict[tuple[str, str], float]:
        """Every sum since the last time, in the order of the batches and as precise as Python's
        floats: the device is waited for once."""
        taken, self._taken = self._taken, {}
        there = [v.reshape(()) for each in taken.values() for v, _ in each if torch.is_tensor(v)]
        fetched = iter(torch.stack(there).tolist() if there else ())
        return {
            key: sum(times * (next(fetched) if torch.is_tensor(v) else v) for v, times in each)
            for key, each in taken.items()
        }


@dataclass
class Sums:
    """Over the images so far, once they were fetched.

    terms: of the values of each term. weights: of the terms now. objective: of what is minimised.
    kl: of each dimension, [D]; None where there is none. values: how many numbers of the images
    are no padding. squares: of the errors of these. sigmas: of the posteriors, the mean over their
    dimensions; None where they are points. modes: of the posteriors. codes: of finite sets.
    """

    terms: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    objective: float = 0.0
    kl: Tensor | None = None
    images: int = 0
    values: float = 0.0
    squares: float = 0.0
    sigmas: float | None = None
    modes: MeanAndVariance = field(default_factory=MeanAndVariance)
    codes: CodeUsage = field(default_factory=CodeUsage)
    _waiting: Waiting = field(default_factory=Waiting, repr=False)

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
            self._waiting.add("terms", name, counted(term.value).sum())
            self.weights[name] = term.weight
        self._waiting.add("", "objective", total(losses[MODEL]), batch)
        n = len(counted(x))
        if not n:
            return
        self.images += n
        values = x.numel() if mask is None else mask.sum() * x.shape[1]
        self._waiting.add("", "values", values)
        self._waiting.add("", "squares", squared_error(model, output.x_logits, x, mask))
        kl = output.posterior.kl(prior)
        if kl is not None:
            self.kl = kl.sum(0) if self.kl is None else self.kl + kl.sum(0)
        self.modes.add(model.flatten(output.posterior.mode()))
        if (logvar := output.posterior.log_variance()) is not None:
            self._waiting.add("", "sigmas", (0.5 * logvar).exp().flatten(1).mean(1).sum())
        if isinstance(output.posterior, QuantisedPosterior):
            self.codes.add(output.posterior.indices)

    def fetch(self) -> None:
        """Bring what was taken in from its device."""
        for (kind, name), value in self._waiting.fetch().items():
            if kind == "terms":
                self.terms[name] = self.terms.get(name, 0.0) + value
            else:
                setattr(self, name, (getattr(self, name) or 0.0) + value)
        self.modes.settle()

    def to_json(self) -> dict[str, Any]:
        """What `merge` takes."""
        plain = ("terms", "weights", "objective", "images", "values", "squares", "sigmas")
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
        if other["sigmas"] is not None:
            self.sigmas = (self.sigmas or 0.0) + other["sigmas"]
        if other["kl"] is not None:
            kl = torch.tensor(other["kl"], dtype=torch.float64)
            self.kl = kl if self.kl is None else self.kl + kl
        self.modes.merge(*other["modes"])
        self.codes.merge(other["codes"])


def squared_error(model: LatentModel, x_logits: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
    """Sum over images and values that count, the mean over draws, of what is shown as the
    reconstruction."""
    draws = len(x_logits) // len(x)
    pictures = model.picture(x_logits).unflatten(0, (draws, len(x)))
    squares = (pictures - x).square()
    return (squares if mask is None else squares * mask).sum() / draws
