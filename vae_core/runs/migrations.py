"""A stored configuration, whichever version wrote it: its format, and what that version meant.

A run is stored with every setting spelt out. So a setting that is missing did not exist then, and
means what earlier runs did (`LEGACY_DEFAULTS`). One that is unknown beside all that are known was
added since: a later version wrote it, and it is set aside, so that the run can be looked at. One
that is unknown in the place of a known one is a slip of somebody's hand, and an error.

What cannot be told so, because a setting was renamed or came to mean something else, has a new
`FORMAT` and an entry in `MIGRATIONS`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from vae_core.config import RunConfig, parse_config
from vae_core.errors import UserError
from vae_core.nested import require_shallow
from vae_core.registry import OPTIONS
from vae_core.settings import nested_settings

FORMAT = 3
"""Of config.json. Raised when a version writes what the one before would misread."""

VERSION = "0.1.0"
"""Of this program, as pyproject.toml has it; written into `environment.json`."""

Values = dict[str, Any]


def _before_own_shapes(values: Values) -> Values:
    """Format 1: pictures became squares, 64×64 where nothing else was said, each file was scaled by
    itself, the first of its pages was taken, padding was learned like anything else, and no table
    was asked for labels."""
    data = values.get("data")
    if not isinstance(data, dict):
        return values
    meant = {"windowed": "file", "mask_padding": False, "pages": "first"}
    if data.get("dataset") == "folder":
        meant["label_column"] = "folder"
        if data.get("image_size") is None:
            meant["image_size"] = 64
    return values | {"data": data | meant}


def _before_precision(values: Values) -> Values:
    """Format 2: every network was trained in fp32."""
    train = values.get("train")
    if not isinstance(train, dict):
        return values
    return values | {"train": {"precision": "fp32"} | train}


MIGRATIONS: dict[int, Callable[[Values], Values]] = {
    0: lambda values: values,  # of a time before the number was kept; nothing else was different
    1: _before_own_shapes,
    2: _before_precision,
}
"""By format: from the values of `config.json` to those of the next format."""

LEGACY_DEFAULTS: dict[str, Mapping[str, Any]] = {}
"""By family: settings of the objective that came later, and what runs did before there were any."""

MOST_SHOWN = 5


@dataclass(frozen=True)
class StoredConfig:
    """config: what this version understands. note: what it does not, "" for nothing."""

    config: RunConfig
    note: str = ""


def to_store(config: RunConfig) -> Values:
    """The configuration as `config.json` holds it."""
    return {"format": FORMAT, **config.model_dump(mode="json")}


def stored_config(text: str) -> StoredConfig:
    """What `to_store` made, in this version, an earlier or a later one. A UserError when it is no
    configuration."""
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
    for earlier in range(written, FORMAT):
        values = MIGRATIONS[earlier](values)
    aside: list[str] = []
    known = _known(values, RunConfig, "", aside, later=written > FORMAT)
    try:
        config = _with_legacy_defaults(parse_config(_with_known_options(known, aside)))
        _require_numbers(config)
    except UserError as error:
        later = " A later version wrote it." if written > FORMAT else ""
        raise UserError(f"{error}{later}") from None
    if written <= FORMAT and not aside:
        return StoredConfig(config)
    what = f"with settings that this one does not know ({first_of(aside)})"
    return StoredConfig(
        config, f"It was configured by a later version, {what if aside else 'in a later format'}."
    )


def first_of(names: list[str]) -> str:
    """The first of these names, for a sentence."""
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(names[:MOST_SHOWN]) + more


def _with_legacy_defaults(config: RunConfig) -> RunConfig:
    """With the settings that its family had not yet; an objective that is empty was never spelt
    out, and takes the defaults."""
    before = LEGACY_DEFAULTS.get(config.family, {})
    if not config.objective or before.keys() <= config.objective.keys():
        return config
    return config.model_copy(update={"objective": {**before, **config.objective}})


def _known(
    values: Mapping[str, Any], kind: type[BaseModel], path: str, aside: list[str], later: bool
) -> Values:
    """`values` without what `kind` has no field for, which is named in `aside`."""
    missing = kind.model_fields.keys() - values.keys()
    spelt_out = values.keys() & kind.model_fields.keys()
    kept: Values = {}
    for key, value in values.items():
        field = kind.model_fields.get(key)
        inner = nested_settings(field.annotation) if field else None
        if field is None and (later or (spelt_out and not _misspelt(key, missing))):
            aside.append(f"{path}{key}"[:80])
        elif inner is not None and isinstance(value, dict):
            kept[key] = _known(value, inner, f"{path}{key}.", aside, later)
        else:
            kept[key] = value
    return kept


def _misspelt(key: str, missing: Collection[str]) -> bool:
    return bool(difflib.get_close_matches(key[:80], missing, n=1))


def _with_known_options(values: Values, aside: list[str]) -> Values:
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
