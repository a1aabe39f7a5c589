"""The data set of a run: the images that it recorded, in the parts that they had in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vae_core.data import Dataset, ImageSet, Progress, hold_outs, load_dataset, no_progress
from vae_core.data.difference import Difference
from vae_core.data.labels import renumbered
from vae_core.data.split_record import (
    SplitRecord,
    extend_splits,
    record_splits,
    restore_splits,
    unseen,
    without_newcomers,
)
from vae_core.errors import UserError
from vae_core.names import readable, shortened
from vae_core.runs import PARTS, DataCard, Run

LONGEST_NAME = 1000
"""Characters of a file's name as the data card has it."""


def data_card(dataset: Dataset) -> DataCard:
    """What a run keeps of its data set."""
    return DataCard(
        dataset=dataset.name,
        image_shape=dataset.image_shape,
        n_train=len(dataset.train),
        n_validation=len(dataset.validation),
        n_test=len(dataset.test) if dataset.test else 0,
        label_names=dataset.label_names,
        hold_outs=_hold_out_names(dataset),
        factor_names=dataset.factor_names,
        notes=dataset.notes,
    )


def _hold_out_names(dataset: Dataset) -> tuple[str, ...]:
    """What the files of the images in the previews are called; () where they came from none."""
    files = dataset.validation.files
    chosen = hold_outs(dataset) if files else ()
    return tuple(shortened(readable(files[i]), LONGEST_NAME) for i in chosen)


def dataset_of(
    run: Run, data_dir: str | None = None, progress: Progress = no_progress, grow: bool = False
) -> Dataset:
    """The data set of a run with the images of its own parts, labels numbered as it knows them.

    `difference` tells what is no longer as it was. Images that are not the run's belong to no
    part, unless none of the run's are there: then they are another data set, and its parts are
    its own. The same goes for a part that the run did not have.

    Args:
        grow: new images join the parts, as when a run goes on with them.

    Raises:
        UserError: when it is not present, or its images are of another shape.
    """
    config, card, recorded = run.config().data, run.data_card(), recorded_by(run)
    if not card.n_train and run.brought() is not None:
        raise UserError(
            f"Run {run.id!r} is a decoder that came without images, so that there is nothing to "
            "encode or to measure. Its own pictures can be explored."
        )
    config = config.model_copy(update={"data_dir": data_dir or config.data_dir})
    dataset = load_dataset(config, progress)
    if dataset.image_shape != card.image_shape and config.channels is None:
        # One picture in colour among grey ones makes colour of all: as the run has it, then.
        config = config.model_copy(update={"channels": card.image_shape[0]})
        dataset = load_dataset(config, progress)
    dataset = renumbered(dataset, card.label_names)
    if dataset.image_shape != card.image_shape:
        raise UserError(
            f"The images are {dataset.image_shape}, the model was trained on "
            f"{card.image_shape}; give the same data set."
        )
    if recorded is None:
        return replace(dataset, difference=Difference(recorded=False))
    if record_splits(dataset).digest() == recorded.digest():
        return dataset
    if config.limit is not None:  # what it leaves out may be the run's
        everything = load_dataset(config.model_copy(update={"limit": None}), progress)
        dataset = renumbered(everything, card.label_names)
    if config.selection is not None and config.selection_use == "only":
        recorded = without_newcomers(recorded, dataset)
    if grow:
        return extend_splits(dataset, recorded, config.limit)
    own = restore_splits(dataset, recorded)
    if own.difference is not None and own.difference.elsewhere:
        held_out = unseen(dataset.validation, recorded)
        test = dataset.test and unseen(dataset.test, recorded)
        return replace(dataset, validation=held_out, test=test, difference=own.difference)
    if own.test is None and dataset.test is not None and not len(recorded.hashes["test"]):
        return replace(own, test=unseen(dataset.test, recorded))
    return own


def recorded_by(run: Run) -> SplitRecord | None:
    """What a run recorded of its images; None where it did not.

    Raises:
        UserError: when the file is damaged.
    """
    try:
        with run.tensors(PARTS):  # its head is checked before its data are read
            return SplitRecord.from_bytes(run.read(PARTS))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{PARTS} of run {run.id!r} is damaged: {error}.") from None


def refuse_unknown_labels(run: Run, dataset: Dataset, images: ImageSet) -> None:
    """Refuse images whose label a model that takes labels cannot be told, by the label's name.

    Raises:
        UserError: when there are some.
    """
    known = run.data_card().label_names
    if images.labels is None:
        raise UserError(
            f"The images have no labels, and run {run.id!r} is told the label of each: "
            f"{_listed(known)}. Put them into folders of these names."
        )
    strange = np.unique(images.labels[images.labels >= len(known)])
    if len(strange):
        names = _listed([dataset.label_names[label] for label in strange])
        raise UserError(
            f"Run {run.id!r} knows no label {names}; it was trained on {_listed(known)}. "
            "Leave these images out, or give their folder one of these names."
        )


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
