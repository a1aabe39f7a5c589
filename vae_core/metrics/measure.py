"""What a model achieves on a set of images: its terms, its rate by dimension, its active units."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from vae_core.data.batches import as_floats, batches_in_order, labels_at, mask_at
from vae_core.data.dataset import ImageSet
from vae_core.metrics.sums import Sums
from vae_core.models import LatentModel, evaluating
from vae_core.objective import Objective
from vae_core.progress import Progress, no_progress
from vae_core.shares import Group, share_of, sharing
from vae_core.types import Context

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
    mean_mu: float | None = None
    mean_sigma: float | None = None
    """Of the posteriors, over images and dimensions; None where they are points."""
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
            "mean_mu": self.mean_mu,
            "mean_sigma": self.mean_sigma,
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
    group: Group | None = None,
) -> Iterator[Measurement | None]:
    """`measure` for who has something else to do between two batches: None after each of them.
    Until the last one has gone through, a GPU is waited for by none.

    `group`: the processes that measure together, each a share of every batch; all of them come to
    the same measurement.
    """
    sums, seconds = Sums(), 0.0
    with evaluating(model, objective):
        prior = model.prior()
        start = time.perf_counter()
        for indices in batches_in_order(part.images.shape, batch_size):
            share = None if group is None else share_of(len(indices), group)
            own = indices if share is None else indices[share.places]
            x = as_floats(part.images.gather(own), model.device)
            labels, mask = (find(part, own, model.device) for find in (labels_at, mask_at))
            with sharing(share):
                here = replace(context, labels=labels, mask=mask)
                output = objective(model, x, here)
                losses = objective.losses(x, output, here)
                sums.add(model, x, mask, output, losses, prior, len(indices))
            seconds += time.perf_counter() - start
            yield None  # whoever listens may let us wait, which is no time that measuring takes
            start = time.perf_counter()
        sums.fetch()
        seconds += time.perf_counter() - start
    if group is not None and group.world > 1:
        mine, sums = sums.to_json(), Sums()
        for each in group.gather(mine):
            sums.merge(each)
    terms = {name: value / sums.images for name, value in sums.terms.items()}
    yield Measurement(
        terms=terms | sums.codes.terms(),
        weights=sums.weights,
        total=sums.objective / sums.images,
        kl_per_dim=None if sums.kl is None else (sums.kl / sums.images).tolist(),
        active_units=int((sums.modes.variance() > ACTIVE_VARIANCE).sum()),
        images=sums.images,
        seconds=seconds,
        codes_drawn=sums.codes.drawn or None,
        controls=objective.controls(context),
        values=sums.values / sums.images,
        mse=sums.squares / sums.values,
        mean_mu=None if sums.sigmas is None else float(sums.modes.mean.mean()),
        mean_sigma=None if sums.sigmas is None else sums.sigmas / sums.images,
        sigma=model.likelihood.noise,
        is_density=model.likelihood.is_density,
        incomparable=model.likelihood.incomparable,
    )


def bits_per_dim(nats: float, values: float, *, is_density: bool) -> float:
    """−ELBO of an image in bits for each of its `values` = C·H·W numbers.

    A level of an 8-bit image is 1/256 of the [0, 1] scale wide, so that its probability is a
    density over 256: 8 bits more. A discrete probability (Bernoulli) is taken as it is.

    Source: Theis, van den Oord and Bethge, A note on the evaluation of generative models (2016),
    section 3.1.
    """
    return nats / values / math.log(2) + 8 * is_density
