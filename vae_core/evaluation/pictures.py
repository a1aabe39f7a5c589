"""How like held-out images a run's samples and reconstructions are: FID, KID and their kin.

All of them are of the same pictures, whose features are compared once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vae_core.errors import UserError
from vae_core.evaluation.measure import Estimate, Request, measures
from vae_core.evaluation.subject import (
    SIZES,
    images_of,
    once_learned,
    usual_prior,
    without_weights,
)
from vae_core.loading import load_run
from vae_core.metrics.quality.manifold import LEAST_IMAGES
from vae_core.progress import Progress
from vae_core.quality import (
    MOST_HELD_OUT,
    MOST_TRAINING,
    RECONSTRUCTIONS,
    Quality,
    kept_quality,
    measure_quality,
)
from vae_core.runs import Run, in_words, part_name

TOGETHER = "pictures"

TAUGHT = 128_000
"""Images that the classifier sees while it is taught, at most; a step of one costs three times what
looking at it does."""

SECONDS_A_VALUE, SECONDS_A_SOURCE, SECONDS_A_PAIR = 1.3e-7, 3.0, 5e-8
"""As a core of a few years ago takes: of a value of an image that is taught, of comparing one kind
of pictures whatever their number, and of two images."""


@dataclass(frozen=True)
class Kind:
    """Which pictures: what they are called in names, in labels and in lists, and what of a run
    they are, as `Quality.of` has it."""

    suffix: str
    label: str
    of: str
    source: Callable[[Run], str]
    order: int


KINDS = (
    Kind("", "samples", "Samples", lambda run: usual_prior(without_weights(run)), 20),
    Kind("-reconstructions", "reconstructions", "Reconstructions", lambda run: RECONSTRUCTIONS, 30),
)


def _register(
    name: str, label: str, blurb: str, better: str, paper: str, kinds: tuple[Kind, ...] = KINDS
) -> None:
    """A figure of `Figures`, of each of these pictures."""
    for kind in kinds:
        _register_of(kind, name, label=label, blurb=blurb, better=better, paper=paper)


def _register_of(kind: Kind, name: str, label: str, **facts: Any) -> None:
    def read(run: Run, found: Quality) -> Estimate:
        figure = getattr(found.figures, name)
        if figure is None:
            raise UserError(" ".join(found.notes))
        said = [f"Features: {found.features.said}", *found.notes]
        if figure.bias:
            said.append(f"About {figure.bias:.2g} of FID is the number of images.")
        basis = f"{images_of(run)} {found.features.digest} {found.held_out}"
        return Estimate(
            figure.value, figure.low, figure.high, _measured_on(run, found), "\n".join(said), basis
        )

    def known(run: Run, request: Request) -> Estimate | None:
        kept = kept_quality(run, request.split, of=[kind.source(run)])
        return read(run, kept[0]) if kept else None

    def check(run: Run, request: Request) -> None:
        _may_be_compared(run, request)
        if kind.source(run) == RECONSTRUCTIONS and (said := without_weights(run).no_encoder):
            raise UserError(f"Run {run.id!r} reconstructs nothing. {said}")
        known(run, request)  # of too few pictures some figures are none

    @measures.register(
        f"{name}{kind.suffix}",
        label=f"{label} of {kind.label}",
        unit="",
        of=kind.of,
        order=kind.order,
        takes=frozenset(),
        together=TOGETHER,
        seconds=_seconds,
        check=check,
        kept=known,
        **facts,
    )
    def build(run: Run, request: Request, progress: Progress) -> Estimate:
        prior = usual_prior(without_weights(run))

        def compared() -> tuple[Quality, ...]:
            return measure_quality(run, request.split, priors=[prior], progress=progress).measured

        measured = once_learned(compared, run, lambda: load_run(run).model, prior, progress)
        return read(run, next(each for each in measured if each.of == kind.source(run)))


def _measured_on(run: Run, found: Quality) -> str:
    images = in_words(found.held_out, found.split, run.config().data.binarise)
    return f"{found.figures.pictures} pictures against {images}"


def _seconds(run: Run, request: Request) -> float | None:
    """About so long: features are learned, made of all images and of three kinds of pictures, and
    every two of them are held against each other."""
    card = run.data_card()
    held_out = min(MOST_HELD_OUT, getattr(card, SIZES[request.split]))
    training = min(MOST_TRAINING, card.n_train)
    values = math.prod(card.image_shape)
    seen = TAUGHT + (4 * held_out + training) / 3
    pairs = held_out * (3 * held_out + training)
    return SECONDS_A_VALUE * seen * values + 3 * SECONDS_A_SOURCE + SECONDS_A_PAIR * pairs


def _may_be_compared(run: Run, request: Request) -> None:
    """Raises a `UserError` where there are not images enough."""
    held_out = getattr(run.data_card(), SIZES[request.split])
    if held_out < LEAST_IMAGES:
        raise UserError(
            f"Run {run.id!r} has {in_words(held_out, request.split)}; comparing pictures with them "
            f"needs {LEAST_IMAGES}. Choose the images of another part than "
            f"{part_name(request.split)}."
        )


_register(
    "fid",
    "FID",
    "Distance of two Gaussians through the features of pictures and of held-out images.",
    "lower",
    "Heusel et al. (2017)",
)
_register(
    "kid",
    "KID",
    "The same without Gaussians and without bias for the number of images.",
    "lower",
    "Bińkowski et al. (2018)",
)
_register(
    "precision",
    "Precision",
    "The share of pictures that lie among the images: how natural they are.",
    "higher",
    "Kynkäänniemi et al. (2019)",
)
_register(
    "recall",
    "Recall",
    "The share of images that lie among the pictures: how much of them is there.",
    "higher",
    "Kynkäänniemi et al. (2019)",
)
_register(
    "density",
    "Density",
    "How dense images are where pictures lie; 1 is what images themselves have.",
    "higher",
    "Naeem et al. (2020)",
)
_register(
    "coverage",
    "Coverage",
    "The share of images with a picture in their neighbourhood.",
    "higher",
    "Naeem et al. (2020)",
)
_register(
    "copying",
    "Copying",
    "How often a picture is nearer to a training image than held-out images are: ½ is new, 1 a "
    "copy, which all other measures take for perfect.",
    "neither",
    "Meehan, Chaudhuri and Dasgupta (2020)",
    KINDS[:1],
)
