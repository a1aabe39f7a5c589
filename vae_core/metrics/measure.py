"""What a model achieves on a set of images: its terms, its rate by dimension, its active units."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from vae_core.data.batches import labelled, mask_at
from vae_core.data.dataset import ImageSet
from vae_core.metrics.running import CodeUsage, MeanAndVariance
from vae_core.metrics.sizes import bits_per_dim, nats_per_value
from vae_core.models import LatentModel
from vae_core.models.quantised import QuantisedPosterior
from vae_core.objective import MODEL, Objective
from vae_core.progress import Progress, no_progress
from vae_core.types import Context, merged, total

ACTIVE_VARIANCE = 0.01
"""A dimension is active when Var_x(E[z|x]) exceeds this: Burda, Grosse and Salakhutdinov,
Importance Weighted Autoencoders (2016), section 5.2."""


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
        nats = None if self.elbo is None else -self.elbo
        per_value = None if nats is None else nats_per_value(nats, self.values)
        density = self.is_density
        return {
            "recon": self.terms["recon"],
            "kl": self.terms.get("kl"),
            "elbo": self.elbo,
            "nats_per_pixel": per_value,
            "bits_per_dim": None
            if nats is None
            else bits_per_dim(nats, self.values, is_density=density),
            "mse": self.mse,
            "sigma": self.sigma,
            "is_density": density,
            "incomparable": self.incomparable,
            "active_units": self.active_units,
            "images_per_s": self.images / self.seconds,
            "images": self.images,
            "term_weights": self.weights,
            "controls": self.controls,
            **({"beta": self.controls["beta"]} if "beta" in self.controls else {}),
            **self._codes(),
        }

    def _codes(self) -> dict[str, Any]:
        if self.codes_drawn is None:
            return {}
        names = ("codes_in_use", "code_perplexity")
        return {name: self.terms[name] for name in names} | {"codes_drawn": self.codes_drawn}


def measure(
    model: LatentModel,
    objective: Objective,
    part: ImageSet,
    context: Context,
    batch_size: int = 256,
    progress: Progress = no_progress,
) -> Measurement:
    """Run all images of a part through the model in evaluation mode.

    The same terms and weights as in training. Both modules' modes are restored.
    """
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
    """`measure` for who has something else to do between two batches: None after each of them."""
    was_training = model.training
    model.eval()
    objective.eval()
    sums: dict[str, float] = {}
    weights: dict[str, float] = {}
    objective_sum = 0.0
    kl_sum: Tensor | None = None
    mu_moments, codes = MeanAndVariance(), CodeUsage()
    squares, prior = 0.0, model.prior()
    n, done, counted = len(part), 0, 0.0
    seconds, start = 0.0, time.perf_counter()
    try:
        for x, labels in labelled(part, batch_size, model.device):
            mask = mask_at(part, slice(done, done + len(x)), model.device)
            done += len(x)
            counted += x.numel() if mask is None else float(mask.sum()) * x.shape[1]
            here = replace(context, labels=labels, mask=mask)
            output = objective(model, x, here)
            losses = objective.losses(x, output, here)
            for name, term in merged(losses).items():
                sums[name] = sums.get(name, 0.0) + float(term.value.sum())
                weights[name] = term.weight
            objective_sum += float(total(losses[MODEL])) * len(x)
            kl = output.posterior.kl(prior)
            if kl is not None:
                kl_sum = kl.sum(0) if kl_sum is None else kl_sum + kl.sum(0)
            squares += _squared_error(model, output.x_logits, x, mask)
            mu_moments.add(model.flatten(output.posterior.mode()))
            if isinstance(output.posterior, QuantisedPosterior):
                codes.add(output.posterior.indices)
            seconds += time.perf_counter() - start
            yield None  # whoever listens may let us wait, which is no time that measuring takes
            start = time.perf_counter()
    finally:
        model.train(was_training)
        objective.train(was_training)
    yield Measurement(
        terms={name: value / n for name, value in sums.items()} | codes.terms(),
        weights=weights,
        total=objective_sum / n,
        kl_per_dim=None if kl_sum is None else (kl_sum / n).tolist(),
        active_units=int((mu_moments.variance() > ACTIVE_VARIANCE).sum()),
        images=n,
        seconds=seconds,
        codes_drawn=codes.drawn or None,
        controls=objective.controls(context),
        values=counted / n,
        mse=squares / counted,
        sigma=model.likelihood.noise,
        is_density=model.likelihood.is_density,
        incomparable=model.likelihood.incomparable,
    )


def _squared_error(model: LatentModel, x_logits: Tensor, x: Tensor, mask: Tensor | None) -> float:
    """Sum over images and values that count, the mean over draws, of what is shown as the
    reconstruction."""
    draws = len(x_logits) // len(x)
    pictures = model.picture(x_logits).unflatten(0, (draws, len(x)))
    squares = (pictures - x).square()
    return float((squares if mask is None else squares * mask).sum()) / draws
