"""What papers print of a trained model, each as they say that it is measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from vae_core.completion import complete, is_complete
from vae_core.errors import UserError
from vae_core.latent.priors import priors, weighing
from vae_core.loading import LoadedRun, load_part
from vae_core.metrics import measure
from vae_core.metrics.disentanglement import encoded, mutual_information_gap
from vae_core.metrics.importance import weigh
from vae_core.metrics.measure import bits_per_dim
from vae_core.progress import Progress
from vae_core.quality import measure_quality
from vae_core.reproduce.reproduction import Measure
from vae_core.runs import layout
from vae_core.types import Context

PARTIAL_DRAWS = 100
"""Of an image, where a figure is not yet the published one: 5000 take two cores ten minutes."""

PRIOR_OF_CODES = "autoregressive"

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
    """`nll`: −log p(x) of the test images in nats, bounded by k weighted draws of each, under the
    prior of the model; by `PARTIAL_DRAWS` at most where only a part of the schedule was run.

    Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders (2016), equation 8.
    """

    k: int

    def __call__(self, loaded: LoadedRun, progress: Progress) -> Mapping[str, float]:
        part = load_part(loaded.run, "test", progress=progress)[1]
        prior = weighing(loaded.run, loaded.model, "model")
        whole = loaded.step == loaded.run.status().total_steps
        draws = self.k if whole else min(self.k, PARTIAL_DRAWS)
        # A GPU is waited for less with larger batches, a processor keeps small ones at hand.
        at_once = draws if loaded.model.device.type == "cuda" else None
        found = weigh(loaded.model, part, draws, prior.log_prob, at_once, SEED, progress)
        return {"nll": -float(found.log_p.mean())}


def code_length(loaded: LoadedRun, progress: Progress) -> Mapping[str, float]:
    """`bits`: of a value of the test images, by p(x|z) and a prior that is learned of the codes.

    Source: van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning (2017),
    section 4.1.
    """
    part = load_part(loaded.run, "test", progress=progress)[1]
    _encode(loaded, progress)
    learn = priors[PRIOR_OF_CODES].learn
    assert learn is not None, "it is a network"
    learn(loaded.run, loaded.model, progress)
    prior = weighing(loaded.run, loaded.model, PRIOR_OF_CODES)
    found = weigh(loaded.model, part, 1, prior.log_prob, None, SEED, progress)
    nats, values = -float(found.log_p.mean()), float(found.values.mean())
    return {"bits": bits_per_dim(nats, values, is_density=loaded.model.likelihood.is_density)}


def _encode(loaded: LoadedRun, progress: Progress) -> None:
    """See to it that the encodings, which priors are fitted to, are of these weights."""
    if not is_complete(loaded.run):
        complete(loaded.run, progress)


@dataclass(frozen=True)
class Frechet:
    """`fid`: the Fréchet distance of pictures from a prior to test images in Inception's features,
    where its weights are at hand; `fid_here`: in those of the classifier that is taught here."""

    prior: str
    pictures: int

    def __call__(self, loaded: LoadedRun, progress: Progress) -> Mapping[str, float]:
        _encode(loaded, progress)
        found: dict[str, float] = {}
        for name, kind in (("fid_here", "classifier"), ("fid", "inception")):
            try:
                compared = measure_quality(
                    loaded.run, "test", samples=self.pictures, priors=(self.prior,), features=kind,
                    progress=progress,
                )  # fmt: skip
            except UserError:
                if name == "fid_here":
                    raise
                continue  # its weights are not on this machine
            (figures,) = (each.figures for each in compared.measured if each.of == self.prior)
            if figures.fid is not None and figures.fid.value is not None:
                found[name] = figures.fid.value
        return found


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
