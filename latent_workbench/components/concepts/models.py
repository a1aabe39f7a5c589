"""The trained models and real images behind the figures: the current run where it fits, else one of
those that come with the app, else any that does."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from latent_workbench.live.resources import encodings_of
from latent_workbench.shared.catalog import RunFacts, catalog
from vae_core.errors import UserError
from vae_core.latent.explored import LABEL_COLORS
from vae_core.runs import Run

if TYPE_CHECKING:
    from vae_core.latent.encodings import Encodings

MOST_CLASSES = 10


def fitting(
    run: Run | None, fits: Callable[[RunFacts], bool], what: str, wanted: tuple[str, ...] = ()
) -> RunFacts:
    """The run that a figure is drawn from.

    Args:
        run: the current one, which is taken where it fits.
        what: is needed, in a sentence: "a VAE with two latents".
        wanted: the names of runs that are asked first of all others.

    Raises:
        UserError: when no run fits.
    """
    found = [facts for facts in catalog() if facts.usable and not facts.brought and fits(facts)]
    if not found:
        raise UserError(
            f"This figure is drawn from {what}, and no run here is one. Train one on the page "
            "Train, or copy the runs that come with the app into the folder of runs."
        )
    order = [run.id if run else "", *wanted]
    return min(found, key=lambda each: order.index(each.id) if each.id in order else len(order))


def kept(facts: RunFacts) -> Encodings:
    """The encodings of a run with images that it keeps whole.

    Raises:
        UserError: when it keeps none.
    """
    encodings = encodings_of(facts.run)
    if encodings is None or encodings.as_images(facts.run.data_card().image_shape) is None:
        raise UserError(
            f"Run {facts.id!r} keeps no images in full, which this figure is drawn from. Choose "
            "another run in the sidebar."
        )
    return encodings


def has_images(facts: RunFacts) -> bool:
    """True where a run keeps its images in full: at most 32 px a side, grey or in colour."""
    shape = facts.image_shape
    return shape is not None and max(shape[1:]) <= 32 and shape[0] in (1, 3)


def has_posteriors(facts: RunFacts) -> bool:
    """True where a run keeps its images in full, and encodes each as a distribution."""
    return has_images(facts) and facts.kl is not None


def one_of_each(encodings: Encodings, seed: int = 0) -> np.ndarray:
    """The rows of at most ten images, one of each label where there are labels: int64 [n]."""
    random = np.random.default_rng(seed)
    if encodings.labels is None:
        return random.choice(len(encodings.mu), min(MOST_CLASSES, len(encodings.mu)), False)
    classes = [label for label in np.unique(encodings.labels) if label >= 0][:MOST_CLASSES]
    return np.array([random.choice(np.flatnonzero(encodings.labels == each)) for each in classes])


def images_data(encodings: Encodings, rows: np.ndarray) -> dict[str, Any]:
    """Images with their posteriors as `images.js` reads them."""
    pixels = encodings.thumbnails[rows]
    labels = encodings.labels
    names = dict(enumerate(encodings.label_names))
    return {
        "rows": rows.tolist(),
        "shape": list(pixels.shape[1:]),
        "pixels": base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode(),
        "labels": [] if labels is None else [names.get(int(i), str(i)) for i in labels[rows]],
        "mu": encodings.mu[rows].tolist(),
        "logvar": None if encodings.logvar is None else encodings.logvar[rows].tolist(),
        "colors": list(LABEL_COLORS),
    }


def images_of(
    run: Run | None, what: str, *wanted: str, fits: Callable[[RunFacts], bool] = has_images
) -> dict[str, Any]:
    """A run, as `fitting` finds it, and of its images one of each label, as `images.js` reads them.

    Raises:
        UserError: as `fitting` and `kept`.
    """
    facts = fitting(run, fits, what, wanted)
    encodings = kept(facts)
    return {"run": facts.id, "images": images_data(encodings, one_of_each(encodings))}
