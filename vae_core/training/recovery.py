"""What becomes of steps that may not count: they are skipped, and three in a row lead back.

Back is the last save, with half the learning rate. After three returns the run ends; who resumes
it goes on from that save with the learning rate halved once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from vae_core.training.soundness import INSTEAD

IN_A_ROW = 3
RETURNS = 3
FACTOR = 0.5


class Diverged(Exception):
    """What the weights have come to cannot be gone on with; the reason, as a sentence's second
    half."""


@dataclass
class Recovery:
    """What is counted on the way; part of the training state, so that a resume counts on.

    skipped: steps in a row that were not taken. returns: to a save, in the whole run. left: those
    that may still be made. factor: what they have left of the learning rate.
    """

    skipped: int = 0
    returns: int = 0
    left: int = RETURNS
    factor: float = 1.0

    def take(self) -> None:
        """A step was taken."""
        self.skipped = 0

    def skip(self, problem: str) -> None:
        """A step was not taken.

        Raises:
            Diverged: when it was one too many.
        """
        self.skipped += 1
        if self.skipped >= IN_A_ROW:
            raise Diverged(f"{IN_A_ROW} steps in a row were not taken, the last one as {problem}")

    def go_back(self) -> bool:
        """Count a return; False where it was one too many, and training is to end."""
        self.skipped = 0
        self.returns += 1
        self.factor *= FACTOR
        ends = self.left == 0
        self.left = RETURNS if ends else self.left - 1
        return not ends

    def state(self) -> dict[str, Any]:
        """What `restored` takes."""
        return asdict(self)

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Recovery:
        """Count on from a state; {} stands for one of a version that did not count."""
        return cls(**{field.name: state[field.name] for field in fields(cls) if state})


def told_of(
    problem: Diverged, reached: int, step: int, returns: int, rate: float, goes_on: bool
) -> str:
    """What happened to a training that is back at `step`, and what comes of it, in sentences.

    Args:
        reached: the step that it had come to. rate: the learning rate that it has now.
        goes_on: whether it trains on, or has ended.
    """
    happened = f"At step {reached} training diverged: {problem}."
    if goes_on:
        return f"{happened} It went back to step {step}, with the learning rate at {rate:.3g}."
    again = f"{happened} It had gone back {returns - 1} times before, so it has ended."
    if not step:
        return f"{again} Nothing had been saved yet. {INSTEAD}"
    return (
        f"{again} The weights of step {step} are saved; resume goes on from them with the "
        f"learning rate at {rate:.3g}. Or: {INSTEAD[0].lower()}{INSTEAD[1:]}"
    )
