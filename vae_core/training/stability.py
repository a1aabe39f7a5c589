"""Steps that may not count: found before they are taken, skipped, and three in a row lead back.

A step that comes to no number is skipped, and so, where that is wanted, is one whose loss spikes.
Three in a row lead back to the last save, with half the learning rate. After three returns the run
ends; who resumes it goes on from that save with the learning rate halved once more.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

ADVICE = "Train again with a smaller train.learning_rate or with train.gradient_clip."

SPIKE_WINDOW, SPIKE_MIN = 100, 20
"""Losses that a spike is compared with, and how many there must be before one is called so."""

MAX_SKIPS = 3
"""Steps in a row."""
MAX_ROLLBACKS = 3
BACKOFF_FACTOR = 0.5


class Diverged(Exception):
    """The weights cannot be gone on with; the reason, as a sentence's second half."""


@dataclass(frozen=True)
class StepCheck:
    """Whether a step may be applied, known to the device alone until somebody asks.

    losses: what each player of the step minimises, scalars. norms: of the gradients of its weights.
    refused: 1.0 where the step must not be applied, else 0.0, a scalar; torch's fused optimisers
        take it as `found_inf` and leave everything as it is by themselves.
    spike: why a finite step is not wanted, "" where it is.
    """

    losses: Mapping[str, Tensor]
    norms: Mapping[str, Tensor]
    refused: Tensor
    spike: str = ""

    def problem(self) -> str:
        """Why the step must not be applied, "" where it may be; waits for the device."""
        if self.spike or not self.refused:
            return self.spike
        player = next((name for name, loss in self.losses.items() if not loss.isfinite()), None)
        if player is not None:
            return f"the loss of the {player} is {float(self.losses[player]):g}"
        player = next(name for name, norm in self.norms.items() if not norm.isfinite())
        return f"the gradient of the {player} is not finite"

    def spiking(self, why: str) -> StepCheck:
        """The same step, refused for what it would do."""
        return replace(self, spike=why, refused=torch.ones_like(self.refused))


def check_step(
    losses: Mapping[str, Tensor], players: Mapping[str, Iterable[nn.Parameter]]
) -> StepCheck:
    """Look at what each player of a step minimises, scalars, and at the gradients of its weights.

    A norm is finite only where all the numbers are, and it is what clipping goes by. Nobody waits
    for the device.
    """
    norms = {
        player: nn.utils.get_total_norm(
            [each.grad for each in players[player] if each.grad is not None]
        )
        for player in losses
    }
    detached = {player: loss.detach() for player, loss in losses.items()}
    numbers = torch.stack([*detached.values(), *norms.values()])
    return StepCheck(detached, norms, numbers.isfinite().all().logical_not().float())


def find_non_finite(state: Any) -> str:
    """The name of the first tensor in nested mappings with a number that is none, "" without one.

    Least and largest value tell: they are NaN where one is, and need no memory beside the tensor.
    """
    named = [
        (name, t) for name, t in named_tensors(state, "") if t.is_floating_point() and t.numel()
    ]
    if not named:
        return ""
    ends = torch.stack([torch.stack(t.aminmax()).float() for _, t in named])
    wrong = ~ends.isfinite().all(1)
    return named[int(wrong.int().argmax())][0] if wrong.any() else ""


def named_tensors(state: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested mappings, with its dotted name."""
    if isinstance(state, Tensor):
        yield name, state.detach()
    elif isinstance(state, Mapping):
        for key, value in state.items():
            yield from named_tensors(value, f"{name}.{key}" if name else str(key))


class BufferSnapshot:
    """What a step changes beside the weights, so that a skipped one leaves no trace.

    Random numbers that it drew stay drawn: the next step has others.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        """`modules` own buffers, such as running means and codebooks."""
        self._buffers = [buffer for module in modules for buffer in module.buffers()]
        self.take()

    def take(self) -> None:
        """Copy what the buffers hold now."""
        self._copies = [buffer.clone() for buffer in self._buffers]

    @torch.no_grad()
    def restore(self, refused: Tensor) -> None:
        """Bring back what was copied, where a step was `refused`, as `StepCheck` has it."""
        for buffer, copy in zip(self._buffers, self._copies, strict=True):
            buffer.copy_(torch.where(refused > 0, copy, buffer))


class SpikeDetector:
    """Losses that jump: far above those just before, in units of how far these lie apart.

    The spread is the median distance from the median. Unlike a ratio it has a meaning for losses
    below zero too, which a density's nats can be; unlike a deviation no spike stretches it.
    """

    def __init__(self, limit: float) -> None:
        """`limit`: how many spreads above the median a loss may lie."""
        self.limit = limit
        self._recent: dict[str, deque[float]] = {}

    def check(self, losses: Mapping[str, Tensor]) -> str:
        """Why a step with these losses of its players is not taken, "" where it may be."""
        values = {player: float(loss.detach()) for player, loss in losses.items()}
        for player, loss in values.items():
            recent = self._recent.setdefault(player, deque(maxlen=SPIKE_WINDOW))
            if len(recent) < SPIKE_MIN:
                continue
            middle = statistics.median(recent)
            spread = statistics.median(abs(each - middle) for each in recent)
            if loss - middle > self.limit * max(spread, 1e-6 * abs(middle)):
                return f"the loss of the {player} jumped to {loss:.5g} from about {middle:.5g}"
        for player, loss in values.items():
            self._recent[player].append(loss)
        return ""

    def reset(self) -> None:
        """Begin anew, as where a weight was set by hand and every loss becomes another."""
        self._recent = {}

    def state_dict(self) -> dict[str, list[float]]:
        """What `load_state_dict` takes."""
        return {player: list(recent) for player, recent in self._recent.items()}

    def load_state_dict(self, state: Mapping[str, Iterable[float]]) -> None:
        """Go on from a state."""
        self._recent = {player: deque(seen, SPIKE_WINDOW) for player, seen in state.items()}


@dataclass
class Recovery:
    """Skips and rollbacks so far; part of the training state, so that a resume counts on.

    skipped: steps in a row that were not taken. returns: to a save, in the whole run. left: those
    that may still be made. factor: what they have left of the learning rate.
    """

    skipped: int = 0
    returns: int = 0
    left: int = MAX_ROLLBACKS
    factor: float = 1.0

    def step_taken(self) -> None:
        """Nothing is skipped in a row any more."""
        self.skipped = 0

    def step_skipped(self, problem: str) -> None:
        """Count a step that was not taken; a Diverged when it was one too many."""
        self.skipped += 1
        if self.skipped >= MAX_SKIPS:
            raise Diverged(f"{MAX_SKIPS} steps in a row were not taken, the last one as {problem}")

    def roll_back(self) -> bool:
        """Count a return; False where it was one too many, and training is to end."""
        self.skipped = 0
        self.returns += 1
        self.factor *= BACKOFF_FACTOR
        ends = self.left == 0
        self.left = MAX_ROLLBACKS if ends else self.left - 1
        return not ends

    def state_dict(self) -> dict[str, Any]:
        """What `from_state` takes."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Recovery:
        """Count on from a state; {} stands for one of a version that did not count."""
        return cls(**{field.name: state[field.name] for field in fields(cls) if state})

    def describe(
        self, problem: Diverged, from_step: int, step: int, rate: float, goes_on: bool
    ) -> str:
        """What happened to a training that had come to `from_step` and is back at `step`, and what
        comes of it, in sentences. `rate`: the learning rate that it has now. `goes_on`: whether it
        trains on, or has ended."""
        happened = f"At step {from_step} training diverged: {problem}."
        if goes_on:
            return f"{happened} It went back to step {step}, with the learning rate at {rate:.3g}."
        ended = f"{happened} It had gone back {self.returns - 1} times before, so it has ended."
        if not step:
            return f"{ended} Nothing had been saved yet. {ADVICE}"
        return (
            f"{ended} The weights of step {step} are saved; resume goes on from them with the "
            f"learning rate at {rate:.3g}. Or: {ADVICE[0].lower()}{ADVICE[1:]}"
        )
