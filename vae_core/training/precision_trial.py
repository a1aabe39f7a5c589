"""Which precision a run trains in where that is left open: some steps of each, before the first.

They are taken on copies of the weights, on the batches and with the noise that the run begins with,
in turns, so that a machine that slows down slows both. The lower precision is taken where it is
faster and its losses are those of fp32.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from vae_core.choices import Choice
from vae_core.config import RunConfig
from vae_core.data import Dataset
from vae_core.data.batches import epoch_batches
from vae_core.families.footprint import COPIES
from vae_core.models import LatentModel
from vae_core.objective import Objective
from vae_core.progress import Progress, no_progress
from vae_core.training.memory import PROBE_IMAGES, free_memory
from vae_core.training.precision import FULL, CannotCompute, lower_precision
from vae_core.training.state import TrainState

SETTING = "train.precision"

STEPS, WARM_UP = 12, 2
"""Steps of each precision; the first ones, in which libraries get ready, are not timed."""

SECONDS = 2.0
"""That all steps together may take, beside those that find out how long one takes; but there are
more than `WARM_UP`."""

WORTH = 1.05
"""How much faster it has to be: less is within what a machine's speed varies by."""

MEMORY_SHARE = 0.5
"""Of the memory that is free: what the copies may take with their gradients and averages."""

TOLERANCE = 0.01
"""How far the losses of a step may lie apart, as a share of the largest of them in fp32: a loss may
come near 0. Rounding to bf16 changed them by 0.0001 (96-192-384 network, CIFAR-10) and 0.0023
(five stages, 64×64) after 24 steps."""


class Trial(Protocol):
    """A training in one precision, as far as it is tried."""

    def step(self, images: int) -> Mapping[str, float]:
        """Take the next step, on so many images, and wait until it is done: what each player
        minimised."""
        ...


@dataclass
class Measured:
    """What the steps of a trial took, in seconds, and what each player minimised in them."""

    seconds: list[float] = field(default_factory=list)
    losses: dict[str, list[float]] = field(default_factory=dict)

    def take(self, trial: Trial, images: int, clock: Callable[[], float]) -> None:
        """Another step."""
        start = clock()
        losses = trial.step(images)
        self.seconds.append(clock() - start)
        for player, loss in losses.items():
            self.losses.setdefault(player, []).append(loss)

    @property
    def typical(self) -> float:
        """Seconds of a step in the median."""
        return statistics.median(self.seconds[WARM_UP:])


def choose_precision(
    config: RunConfig,
    dataset: Dataset,
    model: LatentModel,
    objective: Objective,
    progress: Progress = no_progress,
) -> Choice:
    """What `train.precision` comes to for this network on this machine, and why; model and
    objective stay as they are."""
    low, why_none = lower_precision(model.device)
    if not low:
        return Choice(SETTING, FULL, why_none)
    weights = sum(each.nbytes for part in (model, objective) for each in part.parameters())
    if 2 * COPIES * weights > MEMORY_SHARE * free_memory(model.device):
        return Choice(SETTING, FULL, f"There is too little memory to try {low} before.")

    def start(name: str) -> TrialTraining:
        settings = config.updated({"train": {"precision": name, "compile": False, "ema": 0.0}})
        return TrialTraining(settings, dataset, *copy.deepcopy((model, objective)))

    return compare(low, start, config.train.batch_size, progress)


def compare(
    low: str,
    start: Callable[[str], Trial],
    batch: int,
    progress: Progress = no_progress,
    clock: Callable[[], float] = time.perf_counter,
) -> Choice:
    """Choose between fp32 and a lower precision.

    Args:
        start: begins a training in a precision, the same in both; a `CannotCompute` where it
            cannot be computed.
        batch: images of a step. Fewer are taken where a step on all would take too long.
    """
    full = start(FULL)
    try:
        lower = start(low)
    except CannotCompute as error:
        return Choice(SETTING, FULL, f"{error.reason[0].upper()}{error.reason[1:]}.")
    images = affordable(full, batch, SECONDS / (2 * STEPS), clock)
    affordable(lower, images, math.inf, clock)
    ours, theirs, begun = Measured(), Measured(), clock()
    for number in range(STEPS):
        if number > WARM_UP and clock() - begun > SECONDS:  # few images of a large network
            break
        progress("Trying which precision is faster", number / STEPS)
        ours.take(full, images, clock)
        theirs.take(lower, images, clock)
    times = f"{_shown(theirs.typical)} in {low} and {_shown(ours.typical)} in fp32"
    apart = max(
        difference(losses, theirs.losses.get(player, [])) for player, losses in ours.losses.items()
    )
    if math.isinf(apart):
        return Choice(SETTING, FULL, f"In {low} the loss comes to no number.")
    if apart > TOLERANCE:
        return Choice(SETTING, FULL, f"In {low} the loss is another than in fp32, by {apart:.1%}.")
    if ours.typical < WORTH * theirs.typical:
        return Choice(SETTING, FULL, f"A step takes {times}.")
    return Choice(SETTING, low, f"A step takes {times}, and the loss is the same.")


def affordable(
    trial: Trial, most: int, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> int:
    """How many images, up to `most`, a step takes at most so long for; steps on more and more are
    taken until that is known, twice as long in all as the last of them."""
    images = min(PROBE_IMAGES, most)
    while True:
        start = clock()
        trial.step(images)
        if images == most or 2 * (clock() - start) > seconds:
            return images
        images = min(most, 2 * images)


def difference(full: Sequence[float], low: Sequence[float]) -> float:
    """How far the losses in lower precision lie from those in fp32 where they do furthest, as a
    share of the largest; infinite where they are not of the same steps, or no numbers."""
    if len(full) != len(low) or not all(map(math.isfinite, (*full, *low))):
        return math.inf
    return max(abs(a - b) for a, b in zip(full, low, strict=True)) / (max(map(abs, full)) or 1.0)


class TrialTraining:
    """The beginning of a run on weights that nobody keeps."""

    def __init__(
        self, config: RunConfig, dataset: Dataset, model: LatentModel, objective: Objective
    ) -> None:
        """Raises a UserError where it cannot be computed, or memory is short."""
        self._state = TrainState(config, dataset, model, objective)
        self._state.keep_layers_in_full()
        self._state.check_memory()
        self._batches = epoch_batches(dataset.train, config.train, 0)

    def step(self, images: int) -> Mapping[str, float]:
        """The next step of the run, on the first so many images of its batch."""
        state = self._state
        device = state.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(state.step)  # some objectives draw from it
            indices = self._batches[state.step % len(self._batches)][:images]
            sums, check = state.players.step(*state.batch(indices))
            # Read after the step, so that a GPU has done all of it.
            totals = {player: float(each) for player, each in sums.totals.items()}
        state.step += 1
        return dict.fromkeys(totals, math.nan) if check.problem() else totals


def _shown(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"
