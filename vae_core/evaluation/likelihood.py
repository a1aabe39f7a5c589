"""log p(x) of a run's images: importance-weighted where latents have a density, and as the length
of a code where they are codes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from vae_core.config import Binarisation
from vae_core.data import Dataset, ImageSet
from vae_core.data.images import subset
from vae_core.errors import UserError
from vae_core.evaluation.measure import Estimate, Request, around, measures
from vae_core.evaluation.subject import (
    SIZES,
    images_of,
    once_learned,
    usual_prior,
    without_weights,
)
from vae_core.families import families
from vae_core.latent.priors import Weighing, weighing
from vae_core.latent.survey import finite
from vae_core.loading import WHICH, LoadedRun, load_part, load_run
from vae_core.metrics.importance import Weighed, can_be_weighed, weigh
from vae_core.metrics.measure import bits_per_dim
from vae_core.models import LatentModel, QuantisedModel
from vae_core.progress import Progress, no_progress
from vae_core.registry import unknown
from vae_core.runs import PARTS, Run, Tensors, derived, in_words, layout

VERSION = 1


@dataclass(frozen=True)
class Asked:
    """What is asked of a run: k draws for each of the first `images` images of a part, all of them
    without a number; under the prior of this name, the model's own without one and of codes one
    that is learned; of the last weights or the best."""

    k: int = 1000
    split: str = "validation"
    images: int | None = None
    prior: str | None = None
    weights: str = "last"
    seed: int = 0


@dataclass(frozen=True)
class Likelihood:
    """What came out; `asked` with nothing left open.

    of: how many images the part has. step: whose weights these are. dequantised: whether p(x|z) is
    a density, under which each value was spread over its level. codes: whether latents are codes,
    whose length is −log p(z). given_labels: whether it is log p(x|y). binarise: how the images were
    made black and white.
    """

    asked: Asked
    of: int
    step: int
    dequantised: bool
    codes: bool
    given_labels: bool
    weighed: Weighed
    binarise: Binarisation = "none"

    @property
    def images(self) -> int:
        return len(self.weighed.log_p)

    @property
    def nll(self) -> float:
        """−log p(x) in nats, the mean over images: an upper bound on average, closer with k."""
        return -float(self.weighed.log_p.mean())

    @property
    def nll_se(self) -> float | None:
        """The standard error of `nll` over images; None of a single one."""
        if self.images < 2:
            return None
        return float(self.weighed.log_p.std(ddof=1)) / math.sqrt(self.images)

    @property
    def values(self) -> float:
        """Numbers in an image that are no padding."""
        return float(self.weighed.values.mean())

    @property
    def bits_per_dim(self) -> float:
        """`nll` in bits for each value; under a density of dequantised levels."""
        return bits_per_dim(self.nll, self.values, is_density=self.dequantised)

    @property
    def bits_per_dim_se(self) -> float | None:
        se = self.nll_se
        return None if se is None else se / self.values / math.log(2)

    @property
    def rate(self) -> float:
        """What latents cost in nats, by the same draws: the KL, or the length of codes."""
        return -float((self.weighed.elbo + self.weighed.recon).mean())

    @property
    def measured_on(self) -> str:
        """ "first 200 of 10000 test images"."""
        words = in_words(self.of, self.asked.split, self.binarise)
        return words if self.images == self.of else f"first {self.images} of {words}"

    def report(self) -> dict[str, Any]:
        """What `evaluate --k` says of it beside the rest."""
        found = {
            "nll": self.nll,
            "nll_se": self.nll_se,
            "k": self.asked.k,
            "bits_per_dim": self.bits_per_dim,
            "bits_per_dim_of": "nll",
            "bits_per_dim_se": self.bits_per_dim_se,
            "nll_of_one_draw": -float(self.weighed.elbo.mean()),
            "effective_draws": float(self.weighed.effective.mean()),
            "nll_prior": self.asked.prior,
            "dequantised": self.dequantised,
            "nll_notes": self.notes(),
        }
        return found | ({"code_length": self.rate} if self.codes else {})

    def notes(self) -> list[str]:
        """What has to be known beside the figures, a sentence each."""
        said = []
        if self.codes:
            said.append(
                f"Codes are certain given the image, so one draw says all: −log p(x|z) plus "
                f"{self.rate:.4g} nats, the length of the codes under the prior "
                f"{self.asked.prior}, fitted to training images."
            )
        if self.dequantised:
            said.append(
                "p(x|z) is a density: each value of 8 bits was spread over its level, "
                "(level + u)/256 with u even in [0, 1) (Theis et al. 2016)."
            )
        if self.given_labels:
            said.append("It is log p(x|y): the label of each image is given.")
        return said


def evaluate_likelihood(
    run: Run,
    asked: Asked,
    data_dir: str | None = None,
    at_once: int | None = None,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> Likelihood:
    """log p(x) of images of a run; what was measured of these weights before is not again.

    Args:
        data_dir: where the data set lies on this machine, in place of where it lay in training.
        at_once: as of `vae_core.metrics.importance.weigh`.

    Raises:
        UserError: when codes are points, the prior does not suit them, the training diverged, or
            as `load_run` and `load_part`.
    """
    asked = settled(run, asked)
    kept = None if data_dir else kept_likelihood(run, asked)
    if kept is not None:
        return kept
    loaded = load_run(run, device, asked.weights).sound()
    return likelihood_of(
        loaded, *load_part(run, asked.split, data_dir, progress), asked, at_once, progress
    )


def likelihood_of(
    loaded: LoadedRun,
    dataset: Dataset,
    part: ImageSet,
    asked: Asked,
    at_once: int | None = None,
    progress: Progress = no_progress,
) -> Likelihood:
    """As `evaluate_likelihood`, of a run that is loaded and the whole part of its data set."""
    run, asked = loaded.run, settled(loaded.run, asked)
    own = dataset.difference is None  # else what is measured is not what the run recorded
    if own and (kept := kept_likelihood(run, asked)) is not None:
        return kept
    prior = _prior(run, loaded.model, str(asked.prior), progress)
    first = part if asked.images is None else subset(part, np.arange(len(part))[: asked.images])
    weighed = weigh(loaded.model, first, asked.k, prior.log_prob, at_once, asked.seed, progress)
    finite(weighed.log_p, "log p(x)")
    found = Likelihood(
        asked,
        len(part),
        loaded.step,
        loaded.model.likelihood.is_density,
        isinstance(loaded.model, QuantisedModel),
        bool(loaded.model.labels),
        weighed,
        loaded.config.data.binarise,
    )
    if own:
        _keep(run, found)
    return found


def settled(run: Run, asked: Asked) -> Asked:
    """`asked` with nothing left open.

    Raises:
        UserError: where a run's latents have neither a density nor are codes, or the number of
            draws or of images is none.
    """
    for name, number in (("k", asked.k), ("images", asked.images)):
        if number is not None and number < 1:
            raise UserError(f"{name} has to be 1 or more (it is {number}).")
    if asked.split not in SIZES:
        raise unknown("split", asked.split, SIZES)
    card, model = run.data_card(), without_weights(run)
    if not can_be_weighed(model):
        family = families[run.config().family].label
        raise UserError(
            model.no_encoder
            or f"Run {run.id!r} has no log-likelihood: {family} puts each "
            "image on one point, and p(x) is a mean over draws of a posterior with a density."
        )
    codes = isinstance(model, QuantisedModel)
    images = asked.images
    if images is not None and images >= getattr(card, SIZES[asked.split]):
        images = None
    prior = asked.prior or usual_prior(model)
    weighing(run, model, prior)  # one that does not suit is told before any work
    return replace(asked, k=1 if codes else asked.k, images=images, prior=prior)


def kept_likelihood(run: Run, asked: Asked) -> Likelihood | None:
    """What was measured before of these very weights and images; None where nothing was. Raises as
    `settled`."""
    asked = settled(run, asked)
    made_of = _made_of(run, asked)

    def read(file: Tensors) -> Likelihood | None:
        facts = dict(file.metadata)
        told = {name: facts.pop(name) for name in FACTS}
        if facts != made_of:
            return None
        arrays = [file.array(each.name, "F64", (None,)) for each in dataclasses.fields(Weighed)]
        if len({len(each) for each in arrays}) > 1 or not len(arrays[0]):
            return None
        of, step, *kinds = (int(told[name]) for name in FACTS)
        dequantised, codes, given_labels = map(bool, kinds)
        weighed = Weighed(*arrays)
        binarise = run.config().data.binarise
        return Likelihood(asked, of, step, dequantised, codes, given_labels, weighed, binarise)

    return derived.find(run, _name(asked), read)


FACTS = ("of", "step", "dequantised", "codes", "given_labels")
"""Of a `Likelihood`, as the head of its file has them."""


def _keep(run: Run, found: Likelihood) -> None:
    facts = {name: str(int(getattr(found, name))) for name in FACTS}
    arrays = {each.name: getattr(found.weighed, each.name) for each in dataclasses.fields(Weighed)}
    derived.keep(run, _name(found.asked), arrays, _made_of(run, found.asked) | facts)


def _name(asked: Asked) -> str:
    return layout.likelihood(
        asked.split, asked.weights, str(asked.prior), asked.k, asked.images or 0
    )


def _made_of(run: Run, asked: Asked) -> dict[str, str]:
    """All that a likelihood depends on."""
    prior, fitted = layout.prior(str(asked.prior)), ""
    with suppress(UserError):  # where there can be no cache
        fitted = derived.fingerprint(derived.derived_folder(run), prior)
    return {
        "version": str(VERSION),
        "weights": derived.fingerprint(run, WHICH[asked.weights]),
        "parts": derived.fingerprint(run, PARTS),
        "fitted": fitted or derived.fingerprint(run, prior),
        "seed": str(asked.seed),
    }


def _prior(run: Run, model: LatentModel, name: str, progress: Progress) -> Weighing:
    """The prior, fitted or learned where it has to be."""

    def ready() -> Weighing:
        found = weighing(run, model, name)
        with torch.inference_mode():
            found.log_prob(model.sample_prior(1))  # what it is made of is looked for, or missed
        return found

    return once_learned(ready, run, lambda: model, name, progress)


# --- as measures ----------------------------------------------------------------------------------


def _asked(request: Request) -> Asked:
    return Asked(request.k, request.split, request.images)


def _said(found: Likelihood) -> str:
    return "\n".join([f"k = {found.asked.k} draws.", *found.notes()])


def _nll(found: Likelihood) -> tuple[float, float | None]:
    return found.nll, found.nll_se


def _bits(found: Likelihood) -> tuple[float, float | None]:
    return found.bits_per_dim, found.bits_per_dim_se


def _bound(found: Likelihood) -> tuple[float, float | None]:
    each = -found.weighed.elbo
    se = None if found.images < 2 else float(each.std(ddof=1)) / math.sqrt(found.images)
    return float(each.mean()), se


def _register(
    name: str, read: Callable[[Likelihood], tuple[float, float | None]], **facts: Any
) -> None:
    """A figure with its standard error that is read off a likelihood: they are all weighed
    together."""

    def estimate(run: Run, found: Likelihood) -> Estimate:
        told = around(*read(found), found.measured_on, _said(found))
        return dataclasses.replace(told, basis=_basis(run, found))

    def kept(run: Run, request: Request) -> Estimate | None:
        found = kept_likelihood(run, _asked(request))
        return None if found is None else estimate(run, found)

    def check(run: Run, request: Request) -> None:
        settled(run, _asked(request))

    @measures.register(
        name,
        kept=kept,
        check=check,
        seconds=_seconds,
        together="likelihood",
        of="Likelihood",
        better="lower",
        order=10,
        **facts,
    )
    def build(run: Run, request: Request, progress: Progress) -> Estimate:
        return estimate(run, evaluate_likelihood(run, _asked(request), progress=progress))


def _basis(run: Run, found: Likelihood) -> str:
    """Of the same images, a density or a probability, with labels or without."""
    kind = "density" if found.dequantised else "probability"
    return f"{images_of(run)} {found.binarise} {kind}{' given labels' * found.given_labels}"


def _seconds(run: Run, request: Request) -> float | None:
    """By how fast the run was measured: a draw is decoded, which is a part of that."""
    asked, rate = settled(run, _asked(request)), run.summary().get("images_per_s")
    images = request.images or getattr(run.data_card(), SIZES[request.split])
    return images * asked.k / rate if rate else None


_register(
    "nll",
    _nll,
    label="−log p(x)",
    head=r"$-\log p(x)$",
    blurb="Importance-weighted, k draws an image: what papers call the NLL.",
    unit="nats",
    paper="Burda, Grosse and Salakhutdinov (2016)",
)
_register(
    "bits-per-dim",
    _bits,
    label="Bits per dimension",
    blurb="The same for each value of an image, which compares over sizes.",
    unit="bits",
    paper="Theis, van den Oord and Bethge (2016)",
)
_register(
    "bound",
    _bound,
    label="−ELBO",
    head="$-$ELBO",
    blurb="The bound of one draw, the mean over the same k draws.",
    unit="nats",
    paper="Kingma and Welling (2014)",
)
