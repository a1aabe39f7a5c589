"""Numbers that are none: found before a step counts, and before anything of it is kept."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

INSTEAD = "Train again with a smaller train.learning_rate or with train.gradient_clip."

SPIKE_SEEN, SPIKE_LEAST = 100, 20
"""Losses that a spike is held against, and how many there must be before one is called so."""


def verdict(losses: Mapping[str, Tensor], players: Mapping[str, Iterable[nn.Parameter]]) -> str:
    """Why a step must not be applied, "" where it may be.

    A sum is finite only where all its numbers are: of the ways to look at every gradient it is
    the quickest, 0.13 ms for 0.9 M weights.

    Args:
        losses: what each player of this step minimises, scalars.
        players: the weights of all players, with their gradients.
    """
    sums = {
        player: torch.stack([each.grad.sum() for each in players[player] if each.grad is not None])
        for player in losses
    }
    totals = torch.stack([loss.detach() for loss in losses.values()])
    if torch.cat([totals, *sums.values()]).isfinite().all():  # one wait for the device
        return ""
    player = next((name for name, loss in losses.items() if not loss.isfinite()), None)
    if player is not None:
        return f"the loss of the {player} is {float(losses[player].detach()):g}"
    player = next(name for name, values in sums.items() if not values.isfinite().all())
    return f"the gradient of the {player} is not finite"


def broken(state: Any) -> str:
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
    if isinstance(state, Tensor):
        yield name, state.detach()
    elif isinstance(state, Mapping):
        for key, value in state.items():
            yield from named_tensors(value, f"{name}.{key}" if name else str(key))


class Moment:
    """What a step changes beside the weights, so that one that may not count leaves no trace.

    Random numbers that it drew stay drawn: the next step has others.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        """`modules` own buffers, such as running means and codebooks."""
        self._buffers = [buffer for module in modules for buffer in module.buffers()]
        self.remember()

    def remember(self) -> None:
        """Keep what is now."""
        self._kept = [buffer.clone() for buffer in self._buffers]

    @torch.no_grad()
    def restore(self) -> None:
        """Bring back what was remembered."""
        for buffer, kept in zip(self._buffers, self._kept, strict=True):
            buffer.copy_(kept)


class Spikes:
    """Losses that jump: far above those just before, in units of how far these lie apart.

    The spread is the median distance from the median. Unlike a ratio it has a meaning for losses
    below zero too, which a density's nats can be; unlike a deviation no spike stretches it.
    """

    def __init__(self, limit: float) -> None:
        """`limit`: how many spreads above the median a loss may lie."""
        self.limit = limit
        self._recent: dict[str, deque[float]] = {}

    def judge(self, losses: Mapping[str, Tensor]) -> str:
        """Why a step with these losses of its players is not taken, "" where it may be."""
        values = {player: float(loss.detach()) for player, loss in losses.items()}
        for player, loss in values.items():
            recent = self._recent.setdefault(player, deque(maxlen=SPIKE_SEEN))
            if len(recent) < SPIKE_LEAST:
                continue
            middle = statistics.median(recent)
            spread = statistics.median(abs(each - middle) for each in recent)
            if loss - middle > self.limit * max(spread, 1e-6 * abs(middle)):
                return f"the loss of the {player} jumped to {loss:.5g} from about {middle:.5g}"
        for player, loss in values.items():
            self._recent[player].append(loss)
        return ""

    def forget(self) -> None:
        """Begin anew, as where a weight was set by hand and every loss becomes another."""
        self._recent = {}

    def state(self) -> dict[str, list[float]]:
        """What `restore` takes."""
        return {player: list(recent) for player, recent in self._recent.items()}

    def restore(self, state: Mapping[str, Iterable[float]]) -> None:
        """Go on from a state."""
        self._recent = {player: deque(seen, SPIKE_SEEN) for player, seen in state.items()}
