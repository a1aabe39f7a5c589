"""What the program decided where the configuration left it to it, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BY_MACHINE = frozenset({"train.precision"})
"""Settings that the machine decides; the images decide all others."""


@dataclass(frozen=True)
class Choice:
    """A setting that was left open, as it was resolved.

    setting: its path, such as "data.image_size".
    value: what it became, as `config.json` has it.
    reason: one sentence for the person, with the figures that led there.
    """

    setting: str
    value: Any
    reason: str
