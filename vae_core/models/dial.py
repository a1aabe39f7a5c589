"""A number that a model is told beside its input, such as β."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vae_core.errors import UserError


@dataclass(frozen=True)
class Dial:
    """What the number is and where it may lie: > 0, every ratio worth the same.

    name: what a person calls it; key: what files and graphs do.
    low, high: the ends. usual: what it is where nobody says.
    """

    name: str
    key: str
    low: float
    high: float
    usual: float

    def require(self, value: float) -> float:
        """The value itself.

        Raises:
            UserError: when it lies beyond the ends.
        """
        slack = 1e-5  # a float32 lies so far from the number that it stands for
        if not self.low * (1 - slack) <= value <= self.high * (1 + slack):  # nor NaN
            raise UserError(
                f"{self.name} of this model lies between {self.low:g} and {self.high:g}; "
                f"{value:g} does not."
            )
        return value

    def values(self, n: int) -> list[float]:
        """n ≥ 2 values from end to end, each as many times the last."""
        ratio = self.high / self.low
        inner = [self.low * ratio ** (i / (n - 1)) for i in range(1, n - 1)]
        return [self.low, *inner, self.high]

    @property
    def span(self) -> tuple[float, float]:
        """Middle and half the length of the way between the ends, of logarithms."""
        low, high = math.log(self.low), math.log(self.high)
        return (low + high) / 2, (high - low) / 2
