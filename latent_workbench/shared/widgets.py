"""One widget for each kind of setting, chosen by the type of its field alone."""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import streamlit as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from streamlit.delta_generator import DeltaGenerator

from latent_workbench.shared.keep import keep, remember
from vae_core.settings import Settings

AUTOMATIC = "auto"


@dataclass(frozen=True)
class Question:
    """One field of a form: where it belongs, what it is, and the value it starts with.

    `settings` are those it belongs to: two backbones may both have a `hidden`.
    """

    path: tuple[str, ...]
    settings: Settings
    info: FieldInfo
    start: Any
    more: bool

    @property
    def title(self) -> str:
        """The label, with the unit behind it."""
        extra = self.info.json_schema_extra
        unit = str(extra.get("unit") or "") if isinstance(extra, dict) else ""
        title = self.info.title or self.path[-1]
        return f"{title} ({unit})" if unit else title

    @property
    def help(self) -> str | None:
        return self.info.description

    @property
    def owner(self) -> str:
        """The class of the settings."""
        return type(self.settings).__name__

    def refusal(self, answer: Any) -> str:
        """Why the settings do not take this answer, in a sentence; "" where they do."""
        name = self.path[-1]
        try:
            type(self.settings).model_validate(self.settings.model_dump() | {name: answer})
        except ValidationError as error:
            for each in error.errors(include_url=False):
                if each["loc"][:1] == (name,):
                    return refused(self.info.title or name, each["msg"])
        return ""


N = TypeVar("N", int, float)
Widget = Callable[[DeltaGenerator, Question, str, Any, bool], Any]


def widget_for(annotation: Any) -> Widget:
    """What draws settings of this type.

    Raises:
        TypeError: for a type that no form knows yet.
    """
    kind = typing.get_origin(annotation) or annotation
    try:
        return _WIDGETS[kind]
    except KeyError:
        raise TypeError(f"no widget for settings of type {annotation!r}") from None


def _choice(cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool) -> Any:
    options = [*([None] if optional else []), *typing.get_args(kind)]
    named = {"auto": AUTOMATIC, None: AUTOMATIC}
    return select(cell, question, key, {option: named.get(option, option) for option in options})


def _toggle(cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool) -> bool:
    remember(key, question.start)
    return keep(key, cell.toggle(question.title, key=key, help=question.help))


def _integer(
    cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool
) -> int | None:
    remember(key, question.start)
    value = cell.number_input(  # without bounds, see `bounded`
        question.title,
        value=None if optional else "min",
        step=1,
        key=key,
        help=question.help,
        placeholder=AUTOMATIC,
    )
    return keep(key, value)


def _real(
    cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool
) -> float | None:
    remember(key, question.start)
    value = cell.number_input(  # without bounds, see `bounded`
        question.title,
        value=None if optional else "min",
        step=step_of(question.start),
        format="%.6g",
        key=key,
        help=question.help,
        placeholder="none",
    )
    return keep(key, value)


def _text(
    cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool
) -> str | None:
    remember(key, question.start or "")
    value = cell.text_input(
        question.title, key=key, help=question.help, placeholder=AUTOMATIC if optional else None
    )
    value = keep(key, value).strip()
    return None if optional and not value else value


def _numbers(cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool) -> Any:
    """Several numbers in one line; what is no list of numbers is returned as typed, so that
    validation names the field and quotes it."""
    start = ", ".join(f"{number:g}" for number in question.start or ())
    remember(key, start)
    help = f"{question.help or ''} Numbers, separated by commas."
    text = cell.text_input(
        question.title, key=key, help=help, placeholder=AUTOMATIC if optional else None
    )
    text = keep(key, text).strip().strip("()[]").rstrip(",")
    if text == start:
        return question.start
    if optional and not text:
        return None
    try:
        return tuple(json.loads(f"[{text}]"))
    except ValueError:
        return text


_WIDGETS: dict[Any, Widget] = {
    Literal: _choice,
    bool: _toggle,
    int: _integer,
    float: _real,
    str: _text,
    tuple: _numbers,
}


def select(cell: DeltaGenerator, question: Question, key: str, labels: dict[Any, Any]) -> Any:
    """A list to choose from; `labels` says how each value is shown."""
    for value in (question.start, question.info.default):  # such as "auto", beside a registry
        if value not in labels:
            labels = {value: AUTOMATIC if value == "auto" else value, **labels}
    options = list(labels)
    remember(key, question.start)
    if st.session_state[key] not in options:
        st.session_state[key] = question.start
    value = cell.selectbox(
        question.title,
        options,
        key=key,
        help=question.help,
        format_func=lambda option: str(labels.get(option, option)),
    )
    return keep(key, value)


def bounded(
    cell: DeltaGenerator, label: str, key: str, low: N, high: N, start: N, **options: Any
) -> tuple[N, str]:
    """A number that belongs to no setting, and why it cannot be taken, "" where it can.

    The widget itself has no bounds: a browser keeps what lies beyond them to itself, so the page
    would go on with an older number than the one that its field shows.
    """
    remember(key, start)
    step = 1 if isinstance(start, int) else step_of(start)
    value: N = keep(key, cell.number_input(label, step=step, key=key, **options))
    problem = "" if low <= value <= high else f"{label} lies between {low:g} and {high:g}."
    complain(cell, problem)
    return value, problem


def complain(place: DeltaGenerator, problem: str) -> None:
    """Say beside a field why what it holds cannot be taken; nothing where there is no problem."""
    if problem:
        place.markdown(f":red[:small[:material/error: {problem}]]")


def refused(title: str, message: str) -> str:
    """A complaint of pydantic's as a sentence about the field `title`."""
    what = message.removeprefix("Value error, ").removeprefix("Input ")
    return f"{title} {what}." if message.startswith("Input ") else f"{title}: {what}."


def step_of(start: float | None) -> float:
    """A tenth of the magnitude of `start`: 1e-4 for 1e-3, 0.1 for 1 and where nothing is known."""
    if not start:
        return 0.1
    return 10.0 ** (math.floor(math.log10(abs(start))) - 1)


def without_none(annotation: Any) -> tuple[Any, bool]:
    """The annotation without `| None`, and whether it had it."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        return parts[0], True
    return annotation, False
