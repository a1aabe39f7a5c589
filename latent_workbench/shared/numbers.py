"""Numbers as people read them: three significant figures, no powers of ten below 10⁵."""

from __future__ import annotations

import math

from vae_core.runs import in_words


def number(value: float | None, unknown: str = "—") -> str:
    """`value` with three significant figures: 97.0, 0.0123, 12 300, 1.2e+05 above 10⁵."""
    if value is None or not math.isfinite(value):
        return unknown
    if value < 0:
        return "−" + number(-value)
    if value == 0:
        return "0"
    if value >= 1e5:
        return f"{value:.3g}"
    if float(value).is_integer():
        return grouped(int(value))
    digits = max(0, 2 - _exponent(value))
    if digits == 0:
        return grouped(round(value))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if value < 1 else text


def grouped(count: int) -> str:
    """A whole number with thin gaps between thousands: 60 000."""
    return f"{count:,}".replace(",", "\u2009")


def images(count: int, split: str) -> str:
    """How many images of which part, as it stands beside a figure: 3 000 validation images."""
    return in_words(grouped(count), split)


def _exponent(value: float) -> int:
    return int(f"{value:.2e}".partition("e")[2])
