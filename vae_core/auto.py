"""Settings that were left to the data, decided from them: how many images, how large, how alike.

A setting is open where the configuration says "auto". What is decided here depends on the images
and on the settings before it alone, never on the machine: the same folder, the same run. The size
of the images and the range of their values are decided while they are read (`data/`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from vae_core.choices import Choice
from vae_core.config import RunConfig
from vae_core.data import Dataset
from vae_core.data.content import Content, changes_kind, dimensions, look_at, two_tone
from vae_core.data.windows import IN_MEMORY
from vae_core.errors import UserError
from vae_core.families import meta_model
from vae_core.families.footprint import footprint, machine_memory
from vae_core.models.likelihoods import COLOUR, GREY
from vae_core.progress import Progress, no_progress
from vae_core.run_data import data_card
from vae_core.runs import DataCard
from vae_core.settings import is_open
from vae_core.units import gigabytes

LEAST_LATENTS, MOST_LATENTS = 16, 128
BATCHES_PER_EPOCH = 8
LEAST_BATCH, MOST_BATCH = 8, 64
MEMORY_SHARE = 0.25
"""Of the machine's memory: what a batch may take."""

LEAST_STEPS, MOST_STEPS, STEPS_OF_ONE = 2000, 20_000, 120
PATIENCE, LEAST_PATIENCE = 0.15, 10
"""Of the epochs, and epochs at least, that a better validation is waited for."""

ENOUGH_MEASURED, MEASURED_SHARE = 1000, 0.02
"""Validation images at the end of an epoch: so many at least, and of many training images this."""

PAPER = 0.5
"""Share of the values near black or white from which on images are ink on paper."""

NAMED = {"flip": "Mirrored", "shift": "Shifted"}

ENOUGH_IMAGES = 20_000
"""So many vary by themselves."""


@dataclass(frozen=True)
class Known:
    """What a decision is made from: images, and the configuration with all that is decided before.

    content: a sample of the training images.
    """

    config: RunConfig
    card: DataCard
    content: Content


Decision = Callable[[Known], tuple[Any, str]]
"""The value of a setting, and the reason as a sentence for the person."""


def likelihood(known: Known) -> tuple[str, str]:
    """Bernoulli takes a grey value for the chance of a white pixel: for ink, not for light. A
    family that is about another keeps that."""
    name, reason = _suiting(known)
    try:
        meta_model(usual(known.config).updated({"model": {"likelihood": name}}), known.card)
    except UserError:
        return COLOUR, "This family finds the noise by itself."
    return name, reason


def _suiting(known: Known) -> tuple[str, str]:
    if known.card.image_shape[0] != 1:
        return COLOUR, "Colour values are measured, with a noise that is learned."
    share = two_tone(known.content)
    if share >= PAPER:
        return GREY, f"{share:.0%} of the values are nearly black or white: ink on paper."
    return COLOUR, f"Only {share:.0%} of the values are nearly black or white: shades of grey."


def latent_dim(known: Known) -> tuple[int, str]:
    """Twice the dimensions of the images: so many suffice to lay them out without a crossing
    (Whitney, 1936), and those that are not needed a VAE leaves unused."""
    if _on_maps(known.config, known.card):
        return LEAST_LATENTS, f"At every place of a map {LEAST_LATENTS} keep enough detail."
    found = dimensions(known.content)
    if math.isnan(found):
        return LEAST_LATENTS, "There are too few images to estimate in how many ways they vary."
    wanted = 8 * math.ceil(2 * found / 8)
    chosen = max(LEAST_LATENTS, min(MOST_LATENTS, wanted))
    said = (
        f"The images vary in about {found:.0f} ways (maximum likelihood estimate of Levina and "
        f"Bickel, {len(known.content.images)} images); a code needs up to twice as many"
    )
    bound = "" if chosen == wanted else f", and {chosen} is the {_extreme(chosen, wanted)}"
    return chosen, f"{said}{bound}. Those not needed stay unused."


def batch_size(known: Known) -> tuple[int, str]:
    """A power of two: an epoch of few images is not one step, one of many is not endless."""
    n = known.card.n_train
    wished = 2 ** int(math.log2(max(1, n / BATCHES_PER_EPOCH)))
    size = min(n, max(LEAST_BATCH, min(MOST_BATCH, wished)))
    image = footprint(usual(known.config), known.card).image
    fits = max(1, int(MEMORY_SHARE * machine_memory() / max(1, image)))
    if fits < size:
        return fits, f"So many images of {_size(known.card)} fit into a quarter of the memory."
    steps = math.ceil(n / size)
    return size, f"{n} training images make {steps} step{'s' * (steps > 1)} an epoch."


def augmentation(known: Known) -> tuple[str, str]:
    """Mirrored and shifted images, where they could be images of the collection."""
    n = known.card.n_train
    if n >= ENOUGH_IMAGES:
        return "none", f"{n} images vary enough by themselves."
    against = {name: changes_kind(known.content, name) for name in NAMED}
    fine = [name for name, why in against.items() if not why]
    found = "+".join(fine) or "none"
    said = [
        f"{NAMED[name]} images {f'would be others: {why}' if why else 'look like the others'}."
        for name, why in against.items()
    ]
    return found, " ".join(said)


def epochs(known: Known) -> tuple[int, str]:
    """A budget of steps, whatever an epoch is: few images are seen often, many seldom."""
    n = known.card.n_train
    steps = min(MOST_STEPS, max(LEAST_STEPS, round(STEPS_OF_ONE * math.sqrt(n))))
    per_epoch = math.ceil(n / known.config.train.batch_size)
    count = max(1, math.ceil(steps / per_epoch))
    return count, f"A budget of {steps} steps for {n} images: {per_epoch} an epoch."


def early_stopping_patience(known: Known) -> tuple[int, str]:
    """Long enough that a plateau is none of the measurement's."""
    count = max(LEAST_PATIENCE, math.ceil(PATIENCE * known.config.train.epochs))
    return count, (
        f"After {count} epochs without a better validation more of them seldom help; the best "
        "weights are kept."
    )


def validation_images(known: Known) -> tuple[int, str]:
    """All of them, or so many that measuring takes a hundredth of an epoch: an image that is
    measured costs 0.45 of one that is learned from."""
    held_out, n = known.card.n_validation, known.card.n_train
    count = max(ENOUGH_MEASURED, math.ceil(MEASURED_SHARE * n))
    if held_out <= count:
        return 0, f"All {held_out} images that are held out: measuring them takes little."
    return count, (
        f"{count} of the {held_out} images that are held out, always the same ones, tell how "
        "training goes; all are measured at its end."
    )


def shuffling(known: Known) -> tuple[str, str]:
    """All at once where a usual computer's memory has room for them, else by windows."""
    size = known.card.n_train * math.prod(known.card.image_shape)
    if size <= IN_MEMORY:
        return "whole", f"{known.card.n_train} images of {gigabytes(size)} fit in memory."
    return "windows", (
        f"{gigabytes(size)} of images may not fit in memory, and a disk reads blocks of them many "
        "times faster than one here, one there."
    )


DECISIONS: dict[str, Decision] = {
    "model.likelihood": likelihood,
    "model.latent_dim": latent_dim,
    "train.batch_size": batch_size,
    "train.augmentation": augmentation,
    "train.epochs": epochs,
    "train.early_stopping_patience": early_stopping_patience,
    "train.validation_images": validation_images,
    "train.shuffling": shuffling,
}
"""By the path of the setting, in the order in which they are made: each sees those before."""


def open_settings(config: RunConfig) -> list[str]:
    """The paths of the settings that a configuration leaves to the data, those of `data` apart."""
    return [path for path in DECISIONS if is_open(_value(config, path))]


def usual(config: RunConfig) -> RunConfig:
    """The configuration with the usual values in place of what is left open: to be looked at
    before there are data."""
    for path in open_settings(config):
        section, name = path.split(".")
        default = type(getattr(config, section)).model_fields[name].default
        config = _with(config, path, default)
    return config


def resolve(
    config: RunConfig, dataset: Dataset, progress: Progress = no_progress
) -> tuple[RunConfig, tuple[Choice, ...]]:
    """The configuration with nothing left open, and what was decided, in order.

    Args:
        dataset: as it was loaded from `config.data`; what was decided about it meanwhile is in it.

    Raises:
        UserError: when what was decided does not fit the settings that were fixed.
    """
    choices = list(dataset.choices)
    if dataset.resolved is not None:
        config = config.model_copy(update={"data": dataset.resolved})
    paths = open_settings(config)
    if not paths:
        return config, tuple(choices)
    progress("Looking at the images", None)
    known = Known(config, data_card(dataset), look_at(dataset.train))
    for number, path in enumerate(paths):
        progress("Deciding what was left open", number / len(paths))
        value, reason = DECISIONS[path](known)
        known = replace(known, config=_with(known.config, path, value))
        choices.append(Choice(path, value, reason))
    return known.config, tuple(choices)


def _on_maps(config: RunConfig, card: DataCard) -> bool:
    """Whether the latents of the family lie at many places, each with all dimensions."""
    shapes = meta_model(usual(config), card).latent_shapes
    return len(shapes) > 1 or len(shapes[0]) > 1


def _value(config: RunConfig, path: str) -> Any:
    section, name = path.split(".")
    return getattr(getattr(config, section), name)


def _with(config: RunConfig, path: str, value: Any) -> RunConfig:
    section, name = path.split(".")
    return config.updated({section: {name: value}})


def _extreme(chosen: int, wanted: int) -> str:
    return "least" if chosen > wanted else "most"


def _size(card: DataCard) -> str:
    return "×".join(map(str, card.image_shape[1:]))
