"""The rate–distortion curve of one run: what a model with a dial achieves from end to end of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_core.errors import UserError
from vae_core.progress import Progress, no_progress
from vae_core.runs import WEIGHTS, Run, Tensors, derived, in_words, layout

POINTS = 9
MOST_POINTS = 100
COLUMNS = ("beta", "rate", "distortion", "active")
PART = "validation"
"""What is measured: images that the run has not learned from."""


@dataclass(frozen=True)
class RateCurve:
    """Means over images, one for each value of β, ascending, float32 [K].

    rate: KL(q(z|x, β) ‖ p(z)) in nats per image; distortion: −log p(x|z, β) in nats per image.
    active: latent dimensions that tell images apart. images: how many were measured.
    """

    beta: np.ndarray
    rate: np.ndarray
    distortion: np.ndarray
    active: np.ndarray
    images: int

    @property
    def elbo(self) -> np.ndarray:
        """−(rate + distortion) in nats per image, whatever β the network was told."""
        return -(self.rate + self.distortion)

    @property
    def measured_on(self) -> str:
        return in_words(self.images, PART)

    def rows(self) -> list[dict[str, float]]:
        """One for each β, as the command prints them."""
        names = (*COLUMNS, "elbo")
        columns = [getattr(self, name).tolist() for name in names]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def rate_curve(run: Run) -> RateCurve | None:
    """What was measured of the run's present weights; None before that."""
    weights = derived.fingerprint(run, WEIGHTS)

    def read(file: Tensors) -> RateCurve | None:
        if file.metadata.get("weights") != weights:
            return None
        k = file.require("beta", "F32", (None,)).shape[0]
        if not 2 <= k <= MOST_POINTS:
            return None
        columns = {name: file.array(name, "F32", (k,)) for name in COLUMNS}
        return RateCurve(**columns, images=int(file.metadata["images"]))

    return derived.find(run, layout.RATES, read)


def measure_rates(run: Run, points: int = POINTS, progress: Progress = no_progress) -> RateCurve:
    """Measure the run's validation images with its dial at so many values, and keep the curve.

    Raises:
        UserError: when the model has no dial, the data set is not present, or training diverged.
    """
    import torch

    from vae_core.loading import load_part, load_run
    from vae_core.metrics import measure
    from vae_core.types import Context

    loaded = load_run(run).sound()
    dial = loaded.model.dial
    if dial is None:
        raise UserError(
            f"Run {run.id!r} was trained at one β, and has one point of the curve; train family "
            "multi-rate for all of it, or sweep over β."
        )
    part = load_part(run, PART, progress=progress)[1]
    values, measured = dial.values(points), []
    for done, value in enumerate(values):
        progress(f"Measuring at {dial.name} = {value:.3g}", done / points)
        noise = torch.Generator().manual_seed(0)  # the same for each of them
        context = Context(
            max(0, loaded.step - 1), noise, {dial.key: value}, train_images=loaded.card.n_train
        )
        measured.append(measure(loaded.model, loaded.objective, part, context))
    columns = {
        "beta": values,
        "rate": [found.terms["kl"] for found in measured],
        "distortion": [found.terms["recon"] for found in measured],
        "active": [found.active_units for found in measured],
    }
    arrays = {name: np.array(column, np.float32) for name, column in columns.items()}
    told = {"weights": derived.fingerprint(run, WEIGHTS), "images": str(len(part))}
    derived.keep(run, layout.RATES, arrays, told)
    return RateCurve(**arrays, images=len(part))
