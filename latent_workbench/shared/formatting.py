"""Numbers and texts as people read them: three significant figures, Markdown that is only text."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any

from vae_core.config import Binarisation, RunConfig
from vae_core.runs import in_words
from vae_core.settings import nested_settings

LONGEST = 300
_MARKDOWN = re.compile(r"([\\`*\[\]<>!$~|])")


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
    digits = 2 - int(f"{value:.2e}".partition("e")[2])
    if digits <= 0:
        return grouped(round(value))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if value < 1 else text


def grouped(count: int) -> str:
    """A whole number with thin gaps between thousands: 60 000."""
    return f"{count:,}".replace(",", "\u2009")


def image_count(count: int, split: str, binarise: Binarisation = "none") -> str:
    """How many images of which part, and how they were binarised, as it stands beside a figure:
    3 000 validation images."""
    return in_words(grouped(count), split, binarise)


@cache
def setting_title(path: str) -> str:
    """What the form calls the setting at a path such as "model.latent_dim"; "" where there is no
    such setting."""
    kind: Any = RunConfig
    for part in path.split("."):
        field = getattr(kind, "model_fields", {}).get(part)
        if field is None:
            return ""
        kind = nested_settings(field.annotation) or field
    return str(getattr(kind, "title", None) or "")


def escape_markdown(text: str, longest: int = LONGEST) -> str:
    """Words out of a file as Markdown that shows just them, on one line, cut where it is long.

    A picture of some other server, say, is not fetched because a run's status names it.
    """
    one_line = " ".join(text[: longest + 1].split())
    cut = one_line if len(text) <= longest else one_line[: longest - 1] + "…"
    return _MARKDOWN.sub(r"\\\1", cut)
