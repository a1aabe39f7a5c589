"""Counts and sizes as people read them."""

from __future__ import annotations


def grouped(count: int) -> str:
    """A count as it stands in a sentence: 12 000."""
    return f"{count:_}".replace("_", " ")


def gigabytes(size: int) -> str:
    """Three figures in GB, in MB below 1 GB: 12.3 GB, 450 MB, 0 MB."""
    value, unit = (size / 1e9, "GB") if size >= 1e9 else (size / 1e6, "MB")
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
