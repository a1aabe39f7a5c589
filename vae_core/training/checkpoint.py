"""Checkpoints: when one is due, which weights are the best so far, and how both are written.

A save is one step: the weights for everybody, and the training state for a resume.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from vae_core.errors import UserError
from vae_core.metrics import Measurement
from vae_core.runs import BEST, NEXT_BEST, NEXT_STATE, OBJECTIVE, STATE, Run
from vae_core.runs.saves import commit, write_save
from vae_core.training.events import Checkpoint
from vae_core.weights import load_weights

MAX_SHARE = 0.01
"""Of the time: what saving may take, and what is done beside it at the end of an epoch."""


class TimeBudget:
    """Work that may take a share of the time: after it come at least 1 / `MAX_SHARE` times as long
    without it. By a clock that nobody sets."""

    def __init__(self) -> None:
        self._ended, self._took, self._beside = time.monotonic(), 0.0, 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the work was last done, or since there was nothing to do."""
        return time.monotonic() - self._ended

    def allows(self) -> bool:
        """True where the work may be done again."""
        return self.elapsed >= max(self._took, self._beside) / MAX_SHARE

    def reset(self) -> None:
        """Nothing is to be done now, whatever time has passed."""
        self._ended = time.monotonic()

    def took_beside(self, seconds: float) -> None:
        """What is measured goes on in a thread, or has ended there, and took so long."""
        self._beside = seconds

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Around the work; what it takes is measured."""
        started, self._beside = time.monotonic(), 0.0
        try:
            yield
        finally:
            self._ended = time.monotonic()
            self._took = self._ended - started


class SaveSchedule(TimeBudget):
    """Saves at the steps that were asked for, by time, and at the end of an epoch where the one
    before is not too fresh."""

    def __init__(self, every_s: float | None, every: int | None) -> None:
        """`every_s`: seconds after which one is due, `every`: steps; None for none of these."""
        super().__init__()
        self.every_s, self.every = every_s, every

    def due(self, step: int, ends_epoch: bool = False) -> bool:
        """Whether to save after `step`."""
        asked = self.every is not None and step % self.every == 0
        return asked or self.overdue() or (ends_epoch and self.allows())

    def overdue(self) -> bool:
        """Whether one is due by time."""
        return self.every_s is not None and self.elapsed >= self.every_s and self.allows()


@dataclass
class BestWeights:
    """The weights of the best validation so far, in memory until a save takes them along.

    Totals compare only where they were weighed alike: by what is in force in the last step. So
    there is none before a warm-up is over, and a value that is set by hand begins anew.
    """

    step: int | None = None
    total: float = math.inf
    controls: Mapping[str, float] = field(default_factory=dict)
    unsaved: Mapping[str, Any] | None = None
    """The modules' weights on the host, where no save holds them yet."""

    def update(
        self,
        measured: Measurement,
        step: int,
        modules: Mapping[str, Mapping[str, Tensor]],
        final: Mapping[str, float],
    ) -> None:
        """Copy the weights that were measured, `modules` of model and objective, if they are the
        best. `final`: the controls in the last step of the run, as far as is known now."""
        if measured.controls != final:
            return
        if measured.controls == self.controls and not measured.total < self.total:
            return
        self.step, self.total, self.controls = step, measured.total, dict(measured.controls)
        self.unsaved = {
            name: {key: tensor.to("cpu", copy=True) for key, tensor in tensors.items()}
            for name, tensors in modules.items()
        }

    def state_dict(self) -> dict[str, Any] | None:
        """What `from_state` takes: all but the weights, which lie beside it."""
        if self.step is None:
            return None
        return {"step": self.step, "total": self.total, "controls": dict(self.controls)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any] | None) -> BestWeights:
        """Go on from what a save holds."""
        if state is None:
            return cls()
        return cls(int(state["step"]), float(state["total"]), dict(state["controls"]))


def save_checkpoint(run: Run, checkpoint: Checkpoint) -> None:
    """Write weights and state as one step, see `write_save`; of the weights their average, where
    one is kept. A UserError when the disk is full or the folder cannot be written."""
    state = _to_cpu(checkpoint.state)
    best = None
    if checkpoint.best is not None:
        best = _weights(checkpoint.best, state["best"]["step"])
    buffer = io.BytesIO()
    torch.save(state, buffer)
    shown = state.get("average", state["modules"])
    write_save(run, _weights(shown, checkpoint.step), buffer.getvalue(), best)


def copied(checkpoint: Checkpoint) -> Checkpoint:
    """A save with tensors of its own, in the memory of the CPU: what it is of may go on. The best
    weights are copies already."""
    return replace(checkpoint, state=_to_cpu(checkpoint.state, copy=True))


def load_state(run: Run) -> Mapping[str, Any] | None:
    """The training state that belongs to the run's weights, None when the run has not saved one.

    For its only worker: a save that was cut off is completed where its weights had come, and
    dropped where they had not. A UserError when the file is damaged, or there are weights and no
    state.
    """
    step = run.weights_step()
    has_next = step is not None and run.file(NEXT_STATE).exists()
    if has_next and _read(run, NEXT_STATE)["step"] == step:
        commit(run)
    for cut_off in (NEXT_STATE, NEXT_BEST):
        run.file(cut_off).unlink(missing_ok=True)
    if run.file(STATE).exists():
        state = _read(run, STATE)
        best = state.get("best") or {}
        if run.weights_step(BEST) != best.get("step"):  # damaged, or not of this state
            run.file(BEST).unlink(missing_ok=True)
            state["best"] = None
        return state
    if step:
        raise UserError(
            f"{run.title} has weights of step {step} but no {STATE} to go on from; its "
            "weights can be explored, and a new run can be trained with its settings."
        )
    return None


def load_best(run: Run, model: nn.Module, objective: nn.Module) -> None:
    """Give model and objective the weights of the best validation that a save has taken along.

    Raises:
        UserError: when the file is missing or damaged.
    """
    try:
        with run.tensors(BEST) as file:
            load_weights(file, model, objective)
    except (OSError, ValueError) as error:
        raise UserError(f"{BEST} of run {run.id!r} is damaged: {error}.") from None


def _to_cpu(state: Any, *, copy: bool = False) -> Any:
    """Nested values with every tensor in the memory of the CPU; `copy` those that lie there too."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=copy)
    if isinstance(state, Mapping):
        return {key: _to_cpu(value, copy=copy) for key, value in state.items()}
    return state


def _weights(modules: Mapping[str, Mapping[str, Tensor]], step: int) -> bytes:
    """A file of the model's tensors by their names, and the objective's own behind a prefix."""
    prefixed = (("", modules["model"]), (OBJECTIVE, modules["objective"]))
    tensors = {p + name: each.contiguous() for p, own in prefixed for name, each in own.items()}
    return save(tensors, {"step": str(step)})


def _read(run: Run, name: str) -> dict[str, Any]:
    try:
        state = run.training_state(name)
        reason = "" if isinstance(state["step"], int) else "it names no step"
    except Exception as error:  # a damaged file fails in more ways than torch names
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    if reason:
        raise UserError(
            f"{name} of run {run.id!r} is damaged ({reason}); the run cannot be resumed exactly. "
            "Its weights can still be explored."
        )
    return state
