"""What the figures of a run were measured on: which part of its images, and how many."""

from __future__ import annotations

from dataclasses import dataclass

from vae_core.runs.layout import SUMMARY
from vae_core.runs.run import Run

TRAINED_ON = "cached"
"""The part that a survey of the images that a run keeps goes by: they are training images."""


@dataclass(frozen=True)
class MeasuredOn:
    """A part of a data set (train, validation or test) and the number of images in it."""

    split: str
    images: int

    def __str__(self) -> str:
        return in_words(self.images, self.split)


def in_words(images: int | str, split: str) -> str:
    """As it stands beside a figure: "3000 validation images"."""
    return f"{images} {part_name(split)} image{'' if str(images) == '1' else 's'}"


def part_name(split: str) -> str:
    """The adjective of a part: training, validation or test."""
    return {"train": "training", TRAINED_ON: "training"}.get(split, split)


def measured_on(run: Run) -> MeasuredOn | None:
    """What the figures in the run's `summary.json` were measured on; None where there are none. A
    UserError when a file of the run is damaged."""
    summary = run.summary()
    if "split" not in summary:
        return None
    split, card = str(summary["split"]), run.data_card()
    if split == "validation":
        split = validated_on(run).split
    images = summary.get("images", card.n_validation if split == "validation" else card.n_test)
    if not isinstance(images, int):
        raise run.damaged(SUMMARY, "images is no number")
    return MeasuredOn(split, images)


def validated_on(run: Run) -> MeasuredOn:
    """What the validation records of the run's history were measured on.

    Runs of a time when a validation share of 0 meant the test part call that validation; here it
    is told by its name. A UserError when a file of the run is missing or damaged.
    """
    card = run.data_card()
    # Since then a run keeps digests of its parts, and its test images are never its validation.
    borrowed = not card.digest and 0 < card.n_test == card.n_validation
    borrowed = borrowed and run.config().data.validation_fraction == 0
    return MeasuredOn("test" if borrowed else "validation", card.n_validation)
