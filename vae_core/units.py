"""Counts, sizes and uncertain figures as people read them."""

from __future__ import annotations

import math


def grouped(count: int) -> str:
    """A count as it stands in a sentence: 12 000."""
    return f"{count:_}".replace("_", " ")


def gigabytes(size: int) -> str:
    """Three figures in GB, in MB below 1 GB: 12.3 GB, 450 MB, 0 MB."""
    value, unit = (size / 1e9, "GB") if size >= 1e9 else (size / 1e6, "MB")
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"


def plus_minus(value: float, uncertainty: float) -> str:
    """A figure rounded to two digits of its uncertainty: 90.0 ± 1.9."""
    digits = uncertain_digits(uncertainty)
    return f"{value:.{digits}f} ± {uncertainty:.{digits}f}"


def uncertain_digits(uncertainty: float) -> int:
    """Decimals that show two digits of an uncertainty; four where there is none."""
    if not (uncertainty > 0 and math.isfinite(uncertainty)):
        return 4
    return max(0, 1 - math.floor(math.log10(uncertainty)))
