"""What Explore shows of a run, as a value that a link carries."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vae_core.errors import UserError

PRINCIPAL, RAW, LOCAL, CLASSES, SAVED = "principal", "raw", "local", "classes", "saved"
KINDS = (PRINCIPAL, RAW, LOCAL, CLASSES, SAVED)
NEIGHBOURS = 200
MOST_NEIGHBOURS = 100_000
MOST_SLIDERS = 4096
FURTHEST = 1e6
REACH = 3.0
"""A slider goes from −3 σ to 3 σ."""
MOST_LABELS = 2**15 - 1

NAMES = ("directions", "label", "neighbours", "at", "shown", "values", "base", "given", "dial")
"""The parameters of the address, each of them optional."""


@dataclass(frozen=True)
class View:
    """Directions, slider values and base. Vectors are float32 bytes, which compare and hash."""

    kind: str = PRINCIPAL
    label: int = 0
    """Class directions lead from the mean of this label."""
    neighbours: int = NEIGHBOURS
    at: bytes | None = None
    """Where local directions were fitted; None is the mean."""
    shown: int | None = None
    """Number of sliders; None leaves it to the page."""
    values: tuple[float, ...] | None = None
    base: bytes | None = None
    """What the sliders cannot express; None is the center of the directions."""
    condition: int | None = None
    """The label of a conditional model, `given` in the address; None leaves it to the page."""
    dial: float | None = None
    """Where the dial of a model is turned to, such as its β; None is where it usually is."""
    z: bytes | None = None
    """The point itself, by which it is found again under other directions; not in the address."""

    def to_query(self, prefix: str = "") -> dict[str, str]:
        """The parameters of the address: those that differ from what a new view has."""
        local, values = self.kind == LOCAL, self.values or ()
        found = {
            "directions": None if self.kind == PRINCIPAL else self.kind,
            "label": self.label if self.kind == CLASSES else None,
            "neighbours": self.neighbours if local else None,
            "at": to_text(self.at) if local and self.at is not None else None,
            "shown": self.shown,
            "values": ",".join(f"{value:.6g}" for value in values) if any(values) else None,
            "base": None if self.base is None else to_text(self.base),
            "given": self.condition,
            "dial": None if self.dial is None else f"{self.dial:.6g}",
        }
        return {prefix + name: str(value) for name, value in found.items() if value is not None}


def from_query(parameters: Mapping[str, str], prefix: str = "") -> View:
    """The view of an address; raises UserError naming the parameter that cannot be read."""
    named = {name: parameters[prefix + name] for name in NAMES if prefix + name in parameters}
    kind = named.get("directions", PRINCIPAL)
    if kind not in KINDS:
        raise UserError(f"The link's directions={kind[:40]!r} are none of {', '.join(KINDS)}.")
    values = _values(named["values"]) if "values" in named else None
    base = to_bytes("base", named["base"]) if "base" in named else None
    return View(
        kind=kind,
        label=_whole(named, "label", 0, MOST_LABELS) or 0,
        neighbours=_whole(named, "neighbours", 2, MOST_NEIGHBOURS) or NEIGHBOURS,
        at=to_bytes("at", named["at"]) if "at" in named else None,
        shown=_whole(named, "shown", 1, MOST_SLIDERS),
        values=() if values is None and base is not None else values,
        base=base,
        condition=_whole(named, "given", 0, MOST_LABELS),
        dial=_positive(named, "dial"),
    )


def to_text(vector: bytes) -> str:
    """Float32 bytes as text that may stand in an address."""
    return base64.urlsafe_b64encode(vector).decode().rstrip("=")


def to_bytes(name: str, text: str) -> bytes:
    """The inverse of `to_text`; raises UserError for text that holds no finite float32 numbers."""
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        numbers = np.frombuffer(found, "<f4")
    except (binascii.Error, ValueError):
        raise UserError(f"The link's {name} is damaged; was the address cut off?") from None
    if not len(numbers) or not (np.abs(numbers) <= FURTHEST).all():  # false for NaN too
        raise UserError(f"The link's {name} holds numbers that no latent space has.")
    return found


def _whole(named: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    text = named.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise UserError(f"The link's {name} has to be a whole number from {least} to {most}.")
    return int(text)


def _positive(named: Mapping[str, str], name: str) -> float | None:
    text = named.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= FURTHEST:
        raise UserError(f"The link's {name} has to be a number above 0.")
    return value


def _values(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = (math.nan,)
    if len(values) > MOST_SLIDERS or not all(abs(value) <= REACH for value in values):
        raise UserError("The link's values have to be numbers of σ from −3 to 3, with commas.")
    return values
