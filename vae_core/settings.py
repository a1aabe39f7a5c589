"""What a setting is: a validated pydantic field that also carries its title, unit and help.

The same field makes the form in the app, the `--set` option on the command line and the entry in
`config.json`, so there is one place where a setting is described.
"""

from __future__ import annotations

import difflib
import reprlib
import typing
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)
from pydantic.fields import FieldInfo

T = TypeVar("T")

AUTO = "auto"
"""What stands in a configuration in the place of a value that the data are to decide."""

_TAKE_AUTO = BeforeValidator(lambda value: None if value == AUTO else value)

if TYPE_CHECKING:
    # Nothing is built, counted or trained before `vae_core.auto.resolve`: to whoever does, it is
    # the value.
    Auto = Annotated[T, AUTO]
else:
    Auto = Annotated[
        T | None,
        _TAKE_AUTO,
        PlainSerializer(lambda value: AUTO if value is None else value),
    ]
"""The type of a setting that may be left to the data: `Auto[int]` is an int, or None where it is
open, which configurations spell "auto"."""


class Settings(BaseModel):
    """Frozen, finite, and strict about keys: an unknown key is an error, not a silent no-op."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )


class NoOptions(Settings):
    """For entries that have nothing to set."""


def setting(
    default: Any, title: str, help: str, *, unit: str = "", more: bool = False, **constraints: Any
) -> Any:
    """A pydantic field with what a form needs.

    Args:
        title: the label, sentence case.
        help: one line that says what the setting does to the *result*.
        unit: shown behind the label.
        more: True puts the setting under "More settings" instead of in plain sight.
        constraints: pydantic's own (`ge`, `le`, `gt`, `max_length`, …).
    """
    extra: dict[str, Any] = {"unit": unit, "more": more}
    return Field(default, title=title, description=help, json_schema_extra=extra, **constraints)


def is_open(value: object) -> bool:
    """Whether a setting that may be left to the data is still left to them."""
    return value is None or value == AUTO


def may_be_open(info: FieldInfo) -> bool:
    """Whether a field is of type `Auto`."""
    return _TAKE_AUTO in info.metadata


def explain(error: ValidationError, where: str, model: type[BaseModel] | None = None) -> str:
    """Turn pydantic's first complaint into one sentence that names the key.

    Args:
        where: the path of the object that was validated, "" for the root.
        model: its class; lets an unknown key suggest the nearest known one.
    """
    first = error.errors(include_url=False)[0]
    path = ".".join([where] * bool(where) + [str(part) for part in first["loc"]])
    if first["type"] == "extra_forbidden":
        return f"There is no setting {path!r}.{_suggest(first['loc'], where, model)}"
    message = first["msg"].removeprefix("Value error, ")
    got = first.get("input")
    shown = "" if isinstance(got, dict) else f" (it is {reprlib.repr(got)})"
    return f"{path or 'The configuration'}: {message}{shown}."


def nested_settings(annotation: Any) -> type[BaseModel] | None:
    """The settings class inside an annotation (`X`, `X | None`), if there is one."""
    for candidate in (annotation, *typing.get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _suggest(loc: tuple[int | str, ...], where: str, model: type[BaseModel] | None) -> str:
    for part in loc[:-1]:
        field = model.model_fields.get(str(part)) if model else None
        model = nested_settings(field.annotation) if field else None
    if model is None:
        return ""
    prefix = [where] * bool(where) + [str(part) for part in loc[:-1]]
    known = list(model.model_fields)
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    if close:
        return f" Did you mean {'.'.join([*prefix, close[0]])!r}?"
    return f" Known here: {', '.join(known)}." if known else " Nothing can be set here."
