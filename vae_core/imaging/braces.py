"""Names with braces, as shells and WebDataset have them: `train-{000..099}.tar`, `{a,b}.zip`."""

from __future__ import annotations

import re

from vae_core.errors import UserError
from vae_core.units import grouped

MOST_NAMES = 100_000

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")


def expanded(pattern: str) -> list[str]:
    """Every name that `pattern` stands for, in order; itself where it has no such braces.

    `{07..12}` counts with as many digits as its first number has, `{a,b}` lists. Several may stand
    beside one another, none in another.

    Raises:
        UserError: when they are too many.
    """
    names = [""]
    rest = 0
    for found in _BRACES.finditer(pattern):
        choices = _choices(found[1])
        if choices is None:
            continue
        before = pattern[rest : found.start()]
        count = len(names) * len(choices)
        if count > MOST_NAMES:
            raise UserError(
                f"The braces in {pattern!r} stand for {grouped(count)} names; let them be at most "
                f"{grouped(MOST_NAMES)}."
            )
        names = [name + before + choice for name in names for choice in choices]
        rest = found.end()
    return list(dict.fromkeys(name + pattern[rest:] for name in names))


def _choices(inside: str) -> list[str] | None:
    """What braces stand for; None where they are none of ours."""
    counted = _RANGE.fullmatch(inside)
    if counted is None:
        return inside.split(",") if "," in inside else None
    first, last = int(counted[1]), int(counted[2])
    step = 1 if first <= last else -1
    numbers = range(first, last + step, step)[: MOST_NAMES + 1]  # what is more is refused anyway
    return [f"{number:0{len(counted[1])}}" for number in numbers]
