"""From a run folder back to a model, and to the images it was trained on where they are present."""

from __future__ import annotations

from dataclasses import dataclass

from safetensors import SafetensorError, safe_open

from vae_core.config import RunConfig
from vae_core.data import Dataset, ImageSet, Progress, no_progress
from vae_core.errors import UserError
from vae_core.families import build, families
from vae_core.models import LatentModel
from vae_core.objectives import Objective
from vae_core.registry import unknown
from vae_core.run_data import dataset_of, refuse_unknown_labels
from vae_core.runs import WEIGHTS, DataCard, Run


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
    if families[run.config().family].needs_labels:
        refuse_unknown_labels(run, dataset, found)
    return dataset, found


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
