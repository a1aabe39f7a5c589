"""A configuration as it lies in a run: with the number of its format, and maybe from another time.

A run is stored with every setting spelt out. So a setting that is missing did not exist then, and
means what earlier runs did (`earlier.py`). One that is unknown beside all that are known was added
since: a later version wrote it, and it is set aside, so that the run can be looked at. One that is
unknown in the place of a known one is a slip of somebody's hand, and an error.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from vae_core.config import RunConfig, parse_config
from vae_core.errors import UserError
from vae_core.nested import require_shallow
from vae_core.registry import OPTIONS
from vae_core.runs.earlier import as_meant
from vae_core.settings import nested_settings

FORMAT = 1
"""Of config.json. Raised when a version writes what the one before would misread."""

MOST_SHOWN = 5


@dataclass(frozen=True)
class StoredConfig:
    """config: what this version understands. beyond: what it does not, "" for nothing."""

    config: RunConfig
    beyond: str = ""


def to_store(config: RunConfig) -> dict[str, Any]:
    """The configuration as `config.json` holds it."""
    return {"format": FORMAT, **config.model_dump(mode="json")}


def stored_config(text: str) -> StoredConfig:
    """What `to_store` made, in this version, an earlier or a later one.

    Raises:
        UserError: when it is no configuration.
    """
    try:
        values = json.loads(text)
        require_shallow(values)
    except (ValueError, RecursionError) as error:
        raise UserError(f"it is not valid JSON ({error})") from None
    if not isinstance(values, dict):
        raise UserError("it is no JSON object")
    written = values.pop("format", 0)
    if type(written) is not int or not 0 <= written < 2**31:
        raise UserError("its format is no number of a version")
    aside: list[str] = []
    known = _known(values, RunConfig, "", aside, later=written > FORMAT)
    try:
        config = as_meant(parse_config(_with_known_options(known, aside)))
        _require_numbers(config)
    except UserError as error:
        later = " A later version wrote it." if written > FORMAT else ""
        raise UserError(f"{error}{later}") from None
    if written <= FORMAT and not aside:
        return StoredConfig(config)
    more = f" and {len(aside) - MOST_SHOWN} more" if len(aside) > MOST_SHOWN else ""
    shown = ", ".join(aside[:MOST_SHOWN]) + more
    what = f"with settings that this one does not know ({shown})" if aside else "in a later format"
    return StoredConfig(config, f"It was configured by a later version, {what}.")


def _known(
    values: Mapping[str, Any], kind: type[BaseModel], path: str, aside: list[str], later: bool
) -> dict[str, Any]:
    """`values` without what `kind` has no field for, which is named in `aside`."""
    missing = kind.model_fields.keys() - values.keys()
    spelt_out = values.keys() & kind.model_fields.keys()
    kept: dict[str, Any] = {}
    for key, value in values.items():
        field = kind.model_fields.get(key)
        inner = nested_settings(field.annotation) if field else None
        beside = later or (spelt_out and not difflib.get_close_matches(key[:80], missing, n=1))
        if field is None and beside:
            aside.append(f"{path}{key}"[:80])
        elif inner is not None and isinstance(value, dict):
            kept[key] = _known(value, inner, f"{path}{key}.", aside, later)
        else:
            kept[key] = value
    return kept


def _with_known_options(values: dict[str, Any], aside: list[str]) -> dict[str, Any]:
    """The same for the options of its family and its backbone, as far as these are registered."""
    values, model = dict(values), values.get("model")
    family = OPTIONS.get(("family", str(values.get("family"))))
    if family is not None and isinstance(values.get("objective"), dict):
        values["objective"] = _known(values["objective"], family, "objective.", aside, later=False)
    if isinstance(model, dict) and isinstance(model.get("options"), dict):
        backbone = OPTIONS.get(("backbone", str(model.get("backbone"))))
        if backbone is not None:
            options = _known(model["options"], backbone, "model.options.", aside, later=False)
            values["model"] = model | {"options": options}
    return values


def _require_numbers(config: RunConfig) -> None:
    """What every page shows of an objective, whose family alone knows the rest."""
    beta = config.objective.get("beta", 0.0)
    if isinstance(beta, bool) or not isinstance(beta, int | float):
        raise UserError("objective.beta: Input should be a valid number")
