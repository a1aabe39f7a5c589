"""From a run folder back to a model, and to the images it was trained on where they are present."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from safetensors import SafetensorError, safe_open

from vae_core.config import RunConfig
from vae_core.data import Dataset, ImageSet, Progress, load_dataset, no_progress
from vae_core.data.difference import Difference
from vae_core.data.recorded import (
    Recorded,
    as_recorded,
    grown,
    named,
    never_seen,
    recorded_of,
)
from vae_core.errors import UserError
from vae_core.families import build, families
from vae_core.models import LatentModel
from vae_core.objectives import Objective
from vae_core.registry import unknown
from vae_core.runs import PARTS, WEIGHTS, DataCard, Run


@dataclass(frozen=True)
class LoadedRun:
    """A trained model in evaluation mode and what it was made from; `step` made its weights."""

    run: Run
    config: RunConfig
    card: DataCard
    model: LatentModel
    objective: Objective
    step: int


def load_run(run: Run, device: str = "cpu") -> LoadedRun:
    """Rebuild a run's model from its folder alone.

    Raises:
        UserError: when the run has no weights yet, or a file of it is missing or damaged.
    """
    config, card = run.config(), run.data_card()
    path = run.file(WEIGHTS)
    if not path.exists():
        raise UserError(f"Run {run.id!r} has no weights yet; they come with its first save.")
    model, objective = build(config, card)
    try:
        with safe_open(path, "pt", device=device) as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            step = int((file.metadata() or {}).get("step", 0))
        model.load_state_dict(weights)
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"The weights of run {run.id!r} are damaged: {reason}.") from None
    return LoadedRun(run, config, card, model.to(device).eval(), objective.to(device), step)


def weights_step(run: Run) -> int:
    """The step whose weights lie in a run, read from the head of their file.

    Raises:
        UserError: when the run has no weights yet or they are damaged.
    """
    path = run.file(WEIGHTS)
    if not path.exists():
        raise UserError(f"Run {run.id!r} has no weights yet; they come with its first save.")
    try:
        with safe_open(path, "pt") as file:
            return int((file.metadata() or {}).get("step", 0))
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"The weights of run {run.id!r} are damaged: {error}.") from None


def load_part(
    run: Run, split: str, data_dir: str | None = None, progress: Progress = no_progress
) -> tuple[Dataset, ImageSet]:
    """The data set of a run and the part of it that `split` names: train, validation or test.

    The parts are those of the run, see `dataset_of`: nothing that it learned from is held out.

    Args:
        data_dir: where the data set lies on this machine, in place of where it lay in training.

    Raises:
        UserError: when it is not present, is not the one trained on, has no such part, or has
            labels that the model was not told in training.
    """
    dataset = dataset_of(run, data_dir, progress)
    found = part_of(dataset, split)
    difference = dataset.difference
    if split == "validation" and difference is not None and not difference.recorded:
        raise UserError(
            f"{difference.sentence} Its validation images cannot be told from them: measure the "
            "test images where there are some, or train it again.",
            shell="--split test",
        )
    if not len(found):
        said = difference.sentence if difference else ""
        raise UserError(
            f"Of the {split} images of run {run.id!r} none is there. {said} Put them back, or "
            "name the folder where they lie.",
            shell="--data-dir",
        )
    refuse_unknown_labels(run, dataset, found)
    return dataset, found


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
    config = config.model_copy(update={"data_dir": data_dir or config.data_dir})
    dataset = named(load_dataset(config, progress), card.label_names)
    if dataset.image_shape != card.image_shape:
        raise UserError(
            f"The images are {dataset.image_shape}, the model was trained on "
            f"{card.image_shape}; give the same data set."
        )
    if recorded is None:
        return replace(dataset, difference=Difference(recorded=False))
    if recorded_of(dataset).digest() == recorded.digest():
        return dataset
    if config.limit is not None:  # what it leaves out may be the run's
        everything = load_dataset(config.model_copy(update={"limit": None}), progress)
        dataset = named(everything, card.label_names)
    if grow:
        return grown(dataset, recorded, config.limit)
    own = as_recorded(dataset, recorded)
    if own.difference is not None and own.difference.elsewhere:
        held_out = never_seen(dataset.validation, recorded)
        test = dataset.test and never_seen(dataset.test, recorded)
        return replace(dataset, validation=held_out, test=test, difference=own.difference)
    if own.test is None and dataset.test is not None and not len(recorded.hashes["test"]):
        return replace(own, test=never_seen(dataset.test, recorded))
    return own


def recorded_by(run: Run) -> Recorded | None:
    """What a run recorded of its images; None where it did not.

    Raises:
        UserError: when the file is damaged.
    """
    path = run.file(PARTS)
    try:
        return Recorded.from_bytes(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{PARTS} of run {run.id!r} is damaged: {error}.") from None


def refuse_unknown_labels(run: Run, dataset: Dataset, images: ImageSet) -> None:
    """Refuse images whose label the model of a run cannot be told, by the label's name.

    Raises:
        UserError: when there are some.
    """
    if not families[run.config().family].needs_labels:
        return
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


def part_of(dataset: Dataset, split: str) -> ImageSet:
    """The part of a data set that `split` names: train, validation or test.

    Raises:
        UserError: when it has no such part.
    """
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    if split not in parts:
        raise unknown("split", split, parts)
    part = parts[split]
    if part is None:
        raise UserError(
            f"Data set {dataset.name!r} has no test images; take the validation images.",
            shell="--split validation",
        )
    return part
