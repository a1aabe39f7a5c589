"""What papers print of a trained model, each as they say that it is measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from vae_core.families.iwae import IwaeObjective, IwaeOptions
from vae_core.loading import LoadedRun, load_part
from vae_core.metrics import measure
from vae_core.metrics.disentanglement import encoded, mutual_information_gap
from vae_core.progress import Progress
from vae_core.reproduce.reproduction import Measure
from vae_core.runs import layout
from vae_core.types import Context

PICTURES_AT_ONCE = 5000
"""Decoded together: small pictures of fully connected networks."""

SEED = 0
"""Of the draws of whatever is measured."""


def weights(loaded: LoadedRun, progress: Progress) -> Mapping[str, float]:
    """How many weights the network has."""
    return {"weights": loaded.model.weight_count()}


def together(*measures: Measure) -> Measure:
    """All that several measures give."""

    def every(loaded: LoadedRun, progress: Progress) -> Mapping[str, float]:
        found = [each(loaded, progress) for each in measures]
        return {name: value for figures in found for name, value in figures.items()}

    return every


@dataclass(frozen=True)
class BoundOfDraws:
    """`nll`: −log p(x) of the test images in nats, bounded by k draws of each.

    Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders (2016), equation 8.
    """

    k: int

    def __call__(self, loaded: LoadedRun, progress: Progress) -> Mapping[str, float]:
        objective = IwaeObjective(loaded.model.likelihood, IwaeOptions(samples=1)).eval()
        objective.samples = self.k  # more than training takes
        part = load_part(loaded.run, "test", progress=progress)[1]
        context = Context(0, torch.Generator().manual_seed(SEED))
        at_once = max(1, PICTURES_AT_ONCE // self.k)
        found = measure(loaded.model, objective, part, context, at_once, progress)
        return {"nll": found.terms["bound"]}


def squared_errors_after(*epochs: int) -> Measure:
    """`mse_after_1`, …: squared error of a value of the validation images on the [0, 1] scale, of
    drawn codes, as the history has it of the ends of these epochs."""

    def errors(loaded: LoadedRun, progress: Progress) -> Mapping[str, float]:
        found = {}
        for record in loaded.run.each_record(layout.HISTORY, holding=b'"validation"'):
            if record.get("kind") == "validation" and record.get("epoch") in epochs:
                mse = _in_units(record["terms"]["recon"], loaded) * loaded.config.model.sigma**2
                found[f"mse_after_{record['epoch']}"] = mse
        return found

    return errors


def mig_of_samples(*left_out: str) -> Measure:
    """`mig`: the mutual information gap of one drawn code an image, of held-out images, without the
    factors `left_out`.

    Source: Chen et al., Isolating Sources of Disentanglement in VAEs (2018), equation 6 and
    appendix B, whose figures leave out the shape and are of samples.
    """

    def gap(loaded: LoadedRun, progress: Progress) -> Mapping[str, float]:
        dataset, part = load_part(loaded.run, "validation", progress=progress)
        codes = encoded(loaded.model, part, progress).kinds()["samples"]
        assert part.factors is not None, "a data set that names factors knows them"
        kept = [k for k, name in enumerate(dataset.factor_names) if name not in left_out]
        return {"mig": mutual_information_gap(codes, part.factors[:, kept])}

    return gap


def errors_in_units_of_sigma(loaded: LoadedRun, progress: Progress) -> Mapping[str, float]:
    """`mse`: squared error of a value of the test images over σ², of drawn codes; `kl`: of a
    dimension in nats, where there is one."""
    part = load_part(loaded.run, "test", progress=progress)[1]
    context = Context(0, torch.Generator().manual_seed(SEED))
    found = measure(loaded.model, loaded.objective, part, context, progress=progress)
    errors = {"mse": _in_units(found.terms["recon"], loaded)}
    if "kl" in found.terms:
        errors["kl"] = found.terms["kl"] / loaded.model.latent_size
    return errors


def _in_units(nats: float, loaded: LoadedRun) -> float:
    """From −log p(x|z) = P·(½·mse/σ² + ½ log 2πσ²) in nats per image to mse/σ²."""
    sigma, values = loaded.config.model.sigma, math.prod(loaded.card.image_shape)
    return 2 * nats / values - math.log(2 * math.pi * sigma**2)
