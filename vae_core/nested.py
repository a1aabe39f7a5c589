"""Nested mappings, as a configuration is before it is validated, from a file or from words."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from vae_core.errors import UserError


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """`old` with the values of `new` in their places; mappings are merged, the rest replaced."""
    result = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def require_json(value: Any, path: str = "") -> None:
    """Refuse what JSON cannot hold, also where a dictionary of options takes anything.

    Raises:
        UserError: naming the key, on numbers that are not finite and on text that is not UTF-8.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            require_json(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            require_json(inner, f"{path}.{index}")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{path}: must be a finite number (it is {value}).")
    elif isinstance(value, str) and value.encode(errors="ignore").decode() != value:
        raise UserError(f"{path}: {value!r} is no valid text; a file name there has to be renamed.")


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found


DEEPEST = 32
"""Brackets in brackets of a configuration or another file of a run."""


def require_shallow(value: Any) -> None:
    """Refuse what is nested so deep that whoever walks through it falls.

    Raises:
        ValueError: when it has more than `DEEPEST` levels.
    """
    level, depth = [value], 0
    while level:
        if (depth := depth + 1) > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """`["model.latent_dim=8", "objective.beta=4"]` as a nested mapping.

    A value is read as JSON where it is JSON and as text where it is not. Where two entries set
    the same key, the later one counts.

    Raises:
        UserError: on an entry without `=` or with an empty key.
    """
    nested: dict[str, Any] = {}
    for entry in settings:
        key, equals, text = entry.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise UserError(
                f"{entry!r} is no setting; write KEY=VALUE, such as model.latent_dim=8."
            )
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        for part in reversed(parts):
            value = {part: value}
        nested = merged(nested, value)
    return nested
