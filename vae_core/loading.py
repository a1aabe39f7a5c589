"""From a run folder back to a model, and to the images it was trained on where they are present."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from vae_core.config import RunConfig
from vae_core.data import Dataset, ImageSet, Progress, no_progress
from vae_core.errors import UserError
from vae_core.families import build, build_on_meta, families
from vae_core.families.footprint import require_memory_to_open
from vae_core.halves import connect
from vae_core.models import LatentModel
from vae_core.objective import Objective
from vae_core.registry import unknown
from vae_core.run_data import dataset_of, refuse_unknown_labels
from vae_core.runs import BEST, OBJECTIVE, STATE, WEIGHTS, DataCard, Run, Tensors
from vae_core.weights import read_weights, require_weights

WHICH = {"last": WEIGHTS, "best": BEST}
"""The weights that a run keeps: those of its last save, and those of its best validation."""


@dataclass(frozen=True)
class LoadedRun:
    """A trained model and its objective in evaluation mode, and what they were made from.

    `step` made the weights. Where those of the objective are not known, as an older version did
    not keep them for readers, they are NaN, and so is whatever depends on them.
    """

    run: Run
    config: RunConfig
    card: DataCard
    model: LatentModel
    objective: Objective
    step: int

    def sound(self) -> LoadedRun:
        """Itself, for who hands its weights or what comes out of them to others.

        Raises:
            UserError: when the weights are no numbers, as older versions saved some.
        """
        if not all(tensor.isfinite().all() for tensor in self.model.state_dict().values()):
            raise UserError(
                f"Weights of run {self.run.id!r} are no numbers: the training diverged. Train "
                "again with a smaller learning rate."
            )
        return self


def load_run(run: Run, device: str = "cpu", which: str = "last") -> LoadedRun:
    """Rebuild a run's model from its folder alone, with the last weights or the best.

    Raises:
        UserError: when the run has no such weights yet, a file of it is missing or damaged, or the
            model is larger than may be opened.
    """
    config, card = run.config(), run.data_card()
    name = _weights_of(run, which)
    require_memory_to_open(config, card)
    try:
        with run.tensors(name) as file:
            has_own = require_weights(file, *build_on_meta(config, card))
            model, objective = build(config, card)
            connect(model, run)
            model.load_state_dict(read_weights(file, model, ""))
            step = _step(file)
            own = read_weights(file, objective, OBJECTIVE) if has_own else None
        objective.load_state_dict(own or _earlier(objective, run, step))
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"The weights of run {run.id!r} are damaged: {reason}.") from None
    size = run.summary().get("latent_dim", model.latent_size)
    if size != model.latent_size:  # a model whose weights fit images of any size, and other data
        raise UserError(
            f"Run {run.id!r} is damaged: it was measured with {size} latent dimensions, and its "
            f"settings make {model.latent_size}."
        )
    model, objective = model.to(device).eval(), objective.to(device).eval()
    return LoadedRun(run, config, card, model, objective, step)


def _step(file: Tensors) -> int:
    return file.step() if "step" in file.metadata else 0


def _earlier(objective: Objective, run: Run, step: int) -> dict[str, Tensor]:
    """The weights of an objective whose run was saved by a version that wrote the model's alone:
    those of the training state of `step` where it is there, NaN where it is not."""
    unknown_ones = {
        name: torch.full_like(tensor, math.nan) if tensor.is_floating_point() else tensor
        for name, tensor in objective.state_dict().items()
    }
    if unknown_ones and run.has(STATE):
        with suppress(Exception):  # damaged or foreign: then nothing can be told
            state = run.training_state()
            known: dict[str, Tensor] = state["modules"]["objective"]
            if state["step"] == step and known.keys() == unknown_ones.keys():
                return known
    return unknown_ones


def _weights_of(run: Run, which: str) -> str:
    if which not in WHICH:
        raise unknown("kind of weights", which, WHICH)
    if run.has(WHICH[which]):
        return WHICH[which]
    if which == "best" and run.has(WEIGHTS):
        raise UserError(
            f"Run {run.id!r} keeps no best weights: they come with the first save after a "
            "validation at the final weights of its terms. Take the last ones."
        )
    raise UserError(f"Run {run.id!r} has no weights yet; they come with its first save.")


def weights_step(run: Run, which: str = "last") -> int:
    """The step whose weights lie in a run, read from the head of their file.

    Raises:
        UserError: when the run has no weights yet or they are damaged.
    """
    name = _weights_of(run, which)
    try:
        with run.tensors(name) as file:
            return _step(file)
    except (OSError, ValueError) as error:
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
