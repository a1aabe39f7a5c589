"""What the figures of a run were measured on: which part of its images, and how many."""

from __future__ import annotations

from dataclasses import dataclass

from vae_core.config import Binarisation, DataConfig
from vae_core.runs.layout import SUMMARY
from vae_core.runs.run import Run

TRAINED_ON = "cached"
"""The part that a survey of the images that a run keeps goes by: they are training images."""


@dataclass(frozen=True)
class MeasuredOn:
    """A part of a data set (train, validation or test), the number of images in it, and how they
    were made black and white."""

    split: str
    images: int
    binarise: Binarisation = "none"

    def __str__(self) -> str:
        return in_words(self.images, self.split, self.binarise)


BINARISED: dict[Binarisation, str] = {
    "none": "",
    "threshold": ", binarised at one half",
    "static": ", statically binarised",
    "dynamic": ", dynamically binarised",
}
"""What is said beside a figure of how its images were made black and white."""


def in_words(images: int | str, split: str, binarise: Binarisation = "none") -> str:
    """As it stands beside a figure: "3000 validation images, statically binarised"."""
    several = "" if str(images) == "1" else "s"
    return f"{images} {part_name(split)} image{several}{BINARISED[binarise]}"


def part_name(split: str) -> str:
    """The adjective of a part: training, validation or test."""
    return {"train": "training", TRAINED_ON: "training"}.get(split, split)


def measured_on(run: Run, data: DataConfig | None = None) -> MeasuredOn | None:
    """What the figures in the run's `summary.json` were measured on; None where there are none. A
    UserError when a file of the run is damaged.

    Args:
        data: the run's own settings, for who has read them already.
    """
    summary = run.summary()
    if "split" not in summary:
        return None
    data = data or run.config().data
    split, card = str(summary["split"]), run.data_card()
    if split == "validation":
        split = validated_on(run, data).split
    images = summary.get("images", card.n_validation if split == "validation" else card.n_test)
    if not isinstance(images, int):
        raise run.damaged(SUMMARY, "images is no number")
    return MeasuredOn(split, images, data.binarise)


def validated_on(run: Run, data: DataConfig | None = None) -> MeasuredOn:
    """What the validation records of the run's history were measured on; `data` as of
    `measured_on`.

    Runs of a time when a validation share of 0 meant the test part call that validation; here it
    is told by its name. A UserError when a file of the run is missing or damaged.
    """
    data = data or run.config().data
    card = run.data_card()
    # Since then a run keeps digests of its parts, and its test images are never its validation.
    borrowed = not card.digest and 0 < card.n_test == card.n_validation
    borrowed = borrowed and data.validation_fraction == 0
    split = "test" if borrowed else "validation"
    return MeasuredOn(split, card.n_validation, data.binarise)
