"""What a model achieves on a set of images: its terms, its rate by dimension, its active units."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from vae_core.data.batches import labelled, mask_at
from vae_core.data.dataset import ImageSet
from vae_core.models import LatentModel, QuantisedPosterior, evaluating
from vae_core.objective import MODEL, Objective
from vae_core.progress import Progress, no_progress
from vae_core.types import Context, merged, total

ACTIVE_VARIANCE = 0.01
"""A dimension is active when Var_x(E[z|x]) exceeds this: Burda, Grosse and Salakhutdinov,
Importance Weighted Autoencoders (2016), section 5.2."""

CODES_AT_ONCE = 1 << 22
"""So many codes wait on their device before they are counted: 32 MB."""

TERM, TOTAL, SQUARES, COUNTED = "term", "total", "squares", "counted"
"""Sums over images: of each term, of the objective, of squared errors, and of values that count."""


@dataclass(frozen=True)
class Measurement:
    """Means over images, in nats per image; kl_per_dim is None for models without a KL."""

    terms: dict[str, float]
    weights: dict[str, float]
    total: float
    kl_per_dim: list[float] | None
    active_units: int
    images: int
    seconds: float
    codes_drawn: int | None = None
    """Places of all images, of models with a finite set of codes; terms have what they show."""
    controls: dict[str, float] = field(default_factory=dict)
    """The objective's weights that may be turned, such as β, as they were in force."""
    values: float = 1
    """Numbers in an image, C·H·W."""
    mse: float | None = None
    """Mean squared error of a reconstruction, for each of these, on the [0, 1] scale."""
    sigma: float | None = None
    is_density: bool = False
    incomparable: str = ""
    """σ of p(x|z), whether it is a density, and why its ELBO says little: of the likelihood."""

    @property
    def elbo(self) -> float | None:
        """−(recon + kl) in nats per image, None for models without a KL."""
        return None if "kl" not in self.terms else -(self.terms["recon"] + self.terms["kl"])

    def report(self) -> dict[str, Any]:
        """What `summary.json` and `evaluate --json` say."""
        density, elbo, per_value, bits = self.is_density, self.elbo, None, None
        if elbo is not None:
            per_value = -elbo / self.values
            bits = bits_per_dim(-elbo, self.values, is_density=density)
        found = {
            "recon": self.terms["recon"],
            "kl": self.terms.get("kl"),
            "elbo": elbo,
            "nats_per_pixel": per_value,
            "bits_per_dim": bits,
            "mse": self.mse,
            "sigma": self.sigma,
            "is_density": density,
            "incomparable": self.incomparable,
            "active_units": self.active_units,
            "images_per_s": self.images / self.seconds,
            "images": self.images,
            "term_weights": self.weights,
            "controls": self.controls,
        }
        if "beta" in self.controls:
            found["beta"] = self.controls["beta"]
        if self.codes_drawn is not None:
            found |= {name: self.terms[name] for name in ("codes_in_use", "code_perplexity")}
            found["codes_drawn"] = self.codes_drawn
        return found


def measure(
    model: LatentModel,
    objective: Objective,
    part: ImageSet,
    context: Context,
    batch_size: int = 256,
    progress: Progress = no_progress,
) -> Measurement:
    """Run all images of a part through the model in evaluation mode, terms and weights as in
    training; both modules' modes are restored."""
    for found in measuring(model, objective, part, context, batch_size):
        if found is not None:
            return found
        progress("Measuring the images", None)
    raise AssertionError("measuring ends with a measurement")


@torch.inference_mode()
def measuring(
    model: LatentModel,
    objective: Objective,
    part: ImageSet,
    context: Context,
    batch_size: int = 256,
) -> Iterator[Measurement | None]:
    """`measure` for who has something else to do between two batches: None after each of them.

    What a batch gives stays on its device until all have gone through: a GPU is waited for once.
    """
    sums = Sums()
    weights: dict[str, float] = {}
    kl_sum: Tensor | None = None
    mu_moments, codes = MeanAndVariance(), CodeUsage()
    seconds = 0.0
    n, done = len(part), 0
    with evaluating(model, objective):
        prior = model.prior()
        start = time.perf_counter()
        for x, labels in labelled(part, batch_size, model.device):
            mask = mask_at(part, slice(done, done + len(x)), model.device)
            done += len(x)
            sums.add(COUNTED, x.numel() if mask is None else mask.sum() * x.shape[1])
            here = replace(context, labels=labels, mask=mask)
            output = objective(model, x, here)
            losses = objective.losses(x, output, here)
            for name, term in merged(losses).items():
                sums.add((TERM, name), term.value.sum())
                weights[name] = term.weight
            sums.add(TOTAL, total(losses[MODEL]), len(x))
            kl = output.posterior.kl(prior)
            if kl is not None:
                kl_sum = kl.sum(0) if kl_sum is None else kl_sum + kl.sum(0)
            sums.add(SQUARES, _squared_error(model, output.x_logits, x, mask))
            mu_moments.add(model.flatten(output.posterior.mode()))
            if isinstance(output.posterior, QuantisedPosterior):
                codes.add(output.posterior.indices)
            seconds += time.perf_counter() - start
            yield None  # whoever listens may let us wait, which is no time that measuring takes
            start = time.perf_counter()
        found = sums.fetch()
        seconds += time.perf_counter() - start
    counted = found[COUNTED]
    yield Measurement(
        terms={name: found[TERM, name] / n for name in weights} | codes.terms(),
        weights=weights,
        total=found[TOTAL] / n,
        kl_per_dim=None if kl_sum is None else (kl_sum / n).tolist(),
        active_units=int((mu_moments.moments()[1] > ACTIVE_VARIANCE).sum()),
        images=n,
        seconds=seconds,
        codes_drawn=codes.drawn or None,
        controls=objective.controls(context),
        values=counted / n,
        mse=found[SQUARES] / counted,
        sigma=model.likelihood.noise,
        is_density=model.likelihood.is_density,
        incomparable=model.likelihood.incomparable,
    )


class Sums:
    """Sums over batches, by key: numbers that may lie on a device are fetched all at once."""

    def __init__(self) -> None:
        self._taken: dict[Hashable, list[tuple[Tensor | float, float]]] = {}

    def add(self, key: Hashable, value: Tensor | float, times: float = 1) -> None:
        """Take in `times` a value, a number or a tensor of one."""
        self._taken.setdefault(key, []).append((value, times))

    def fetch(self) -> dict[Hashable, float]:
        """Every sum, in the order of the batches and as precise as Python's floats."""
        on_device = [
            value.reshape(())
            for taken in self._taken.values()
            for value, _ in taken
            if isinstance(value, Tensor)
        ]
        fetched = iter(torch.stack(on_device).tolist() if on_device else ())
        return {
            key: sum(
                times * (next(fetched) if isinstance(value, Tensor) else value)
                for value, times in taken
            )
            for key, taken in self._taken.items()
        }


def _squared_error(model: LatentModel, x_logits: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
    """Sum over images and values that count, the mean over draws, of what is shown as the
    reconstruction."""
    draws = len(x_logits) // len(x)
    pictures = model.picture(x_logits).unflatten(0, (draws, len(x)))
    squares = (pictures - x).square()
    return (squares if mask is None else squares * mask).sum() / draws


def bits_per_dim(nats: float, values: float, *, is_density: bool) -> float:
    """−ELBO of an image in bits for each of its `values` = C·H·W numbers.

    A level of an 8-bit image is 1/256 of the [0, 1] scale wide, so that its probability is a
    density over 256: 8 bits more. A discrete probability (Bernoulli) is taken as it is.

    Source: Theis, van den Oord and Bethge, A note on the evaluation of generative models (2016),
    section 3.1.
    """
    return nats / values / math.log(2) + 8 * is_density


class CodeUsage:
    """Counts of codes that come in batches, of which one says little: 8 images of 4 places show 32
    codes at most. They wait on their device until somebody asks, or many have come."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._waiting: list[Tensor] = []
        self.drawn = 0
        """How many codes were taken in, the same ones counted again."""

    def add(self, indices: Tensor) -> None:
        """Take in the numbers of codes, int64 of any shape."""
        self._waiting.append(indices.flatten())
        self.drawn += indices.numel()
        if sum(map(len, self._waiting)) >= CODES_AT_ONCE:
            self._count()

    def _count(self) -> None:
        numbers, counts = torch.cat(self._waiting).unique(return_counts=True)
        self._counts.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        self._waiting = []

    def terms(self) -> dict[str, float]:
        """How many different codes there were, and exp of their entropy; {} before any."""
        if self._waiting:
            self._count()
        if not self._counts:
            return {}
        counts = torch.tensor(list(self._counts.values()), dtype=torch.float64)
        perplexity = torch.special.entr(counts / counts.sum()).sum().exp()
        return {"codes_in_use": float(len(counts)), "code_perplexity": float(perplexity)}


class MeanAndVariance:
    """Mean and variance of rows that come in batches; what each gives stays on its device.

    Source: Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm (1979); a plain
    sum of squares cancels where the mean is large. Rows are taken less the first of them, so that
    single precision does, and batches are put together in float64 on the host, as not every device
    knows that.
    """

    def __init__(self) -> None:
        self._first: Tensor | None = None
        self._counts: list[int] = []
        self._taken: list[Tensor] = []

    def add(self, rows: Tensor) -> None:
        """Take in rows [B, D]."""
        if self._first is None:
            self._first = rows[0].clone()
        shifted = rows - self._first
        mean = shifted.mean(0)
        self._taken.append(torch.stack([mean, (shifted - mean).square().sum(0)]))
        self._counts.append(len(rows))

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and population variance of every column so far, float64 [D] each, on the host."""
        if self._first is None:
            return torch.zeros(()), torch.zeros(())
        counts = torch.tensor(self._counts, dtype=torch.float64)[:, None]
        means, squares = torch.stack(self._taken, 1).cpu().double()
        n, mean = counts.sum(), (counts * means).sum(0) / counts.sum()
        spread = squares.sum(0) + (counts * (means - mean).square()).sum(0)
        return mean + self._first.cpu().double(), spread / n
