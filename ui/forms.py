"""Forms made from settings: one field, one widget; the answer is what differs from the start.

A widget is chosen by the type of the field alone. Fields marked `more` go into a second place.
What was typed is kept in the session under the form's key, so it survives another page.
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import streamlit as st
from pydantic.fields import FieldInfo
from streamlit.delta_generator import DeltaGenerator

from ui.keep import keep, remember
from vae_core.registry import Registry
from vae_core.settings import Settings

AUTOMATIC = "auto"
_LARGEST = 2**53 - 1  # what a browser can count to


@dataclass(frozen=True)
class Place:
    """Where a form draws: the fields in sight, and those under "More settings"."""

    sight: DeltaGenerator
    more: DeltaGenerator


@dataclass(frozen=True)
class Question:
    """One field of a form: where it belongs, what it is, and the value it starts with.

    `owner` is the class of the settings it belongs to: two backbones may both have a `hidden`.
    """

    path: tuple[str, ...]
    owner: str
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


@dataclass(frozen=True)
class Form:
    """What to ask beyond the fields of a settings object.

    choices: registries to choose from, by dotted path; a plain text field becomes a list.
    nested: settings that validate a dictionary field, by dotted path.
    sight, below: dotted paths that are shown in sight, or not, whatever their field says.
    hidden: dotted paths that are not asked.
    """

    choices: Mapping[str, Registry[Any]] = field(default_factory=dict)
    nested: Mapping[str, Settings] = field(default_factory=dict)
    sight: frozenset[str] = frozenset()
    below: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()

    def questions(self, settings: Settings, path: tuple[str, ...] = ()) -> Iterator[Question]:
        """Every field that is asked, in the order of declaration."""
        for name, info in type(settings).model_fields.items():
            here = (*path, name)
            dotted = ".".join(here)
            value = self.nested.get(dotted, getattr(settings, name))
            if dotted in self.hidden:
                continue
            if isinstance(value, Settings):
                yield from self.questions(value, here)
            elif info.annotation is not None and not _is_dictionary(info.annotation):
                extra = info.json_schema_extra
                more = bool(extra.get("more")) if isinstance(extra, dict) else False
                more = (more or dotted in self.below) and dotted not in self.sight
                yield Question(here, type(settings).__name__, info, value, more)

    def ask(self, settings: Settings, key: str, place: Place) -> dict[str, Any]:
        """Draw the form and return the answers that differ from `settings`, nested by path.

        Args:
            key: names the form in the session; one key, one set of remembered answers.
        """
        changes: dict[str, Any] = {}
        questions = list(self.questions(settings))
        for more, container in ((False, place.sight), (True, place.more)):
            for cell, question in _cells(container, [q for q in questions if q.more == more]):
                answer = self._answer(
                    cell, question, widget_key(key, question.owner, question.path)
                )
                if answer != question.start:
                    _put(changes, question.path, answer)
        return changes

    def _answer(self, cell: DeltaGenerator, question: Question, key: str) -> Any:
        dotted = ".".join(question.path)
        if dotted in self.choices:
            registry = self.choices[dotted]
            labels = {entry.name: entry.label for entry in registry}
            return _select(cell, question, key, labels)
        annotation, optional = _without_none(question.info.annotation)
        return widget_for(annotation)(cell, question, key, annotation, optional)


# --- one widget for each kind of annotation ------------------------------------------------------

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
    return _select(cell, question, key, {option: named.get(option, option) for option in options})


def _toggle(cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool) -> bool:
    remember(key, question.start)
    return keep(key, cell.toggle(question.title, key=key, help=question.help))


def _integer(
    cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool
) -> int | None:
    low, high = bounds(question.info)
    low = -_LARGEST if low is None else math.ceil(low)
    high = _LARGEST if high is None else math.floor(high)
    remember(key, question.start)
    value = cell.number_input(
        question.title,
        min_value=low,
        max_value=high,
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
    low, high = bounds(question.info)
    remember(key, question.start)
    value = cell.number_input(
        question.title,
        min_value=None if low is None else float(low),
        max_value=None if high is None else float(high),
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


def _select(cell: DeltaGenerator, question: Question, key: str, labels: dict[Any, Any]) -> Any:
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


# --- what a field says --------------------------------------------------------------------------


def bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    """The smallest and largest value that a field takes, None where it is open.

    An exclusive bound is returned as it is; validation refuses the one value too many.
    """
    low: float | None = None
    high: float | None = None
    for constraint in info.metadata:
        low = getattr(constraint, "ge", getattr(constraint, "gt", low))
        high = getattr(constraint, "le", getattr(constraint, "lt", high))
    return low, high


def step_of(start: float | None) -> float:
    """A tenth of the magnitude of `start`: 1e-4 for 1e-3, 0.1 for 1 and where nothing is known."""
    if not start:
        return 0.1
    return 10.0 ** (math.floor(math.log10(abs(start))) - 1)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """The annotation without `| None`, and whether it had it."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        return parts[0], True
    return annotation, False


def widget_key(key: str, owner: str, path: tuple[str, ...]) -> str:
    """Streamlit's key of one field of the form `key`."""
    return ".".join((key, owner, *path))


def _is_dictionary(annotation: Any) -> bool:
    return (typing.get_origin(annotation) or annotation) is dict


# --- where things go --------------------------------------------------------------------------


def _cells(
    container: DeltaGenerator, questions: list[Question]
) -> Iterator[tuple[DeltaGenerator, Question]]:
    """Rows of two, so that labels line up."""
    for start in range(0, len(questions), 2):
        row = container.columns(2, vertical_alignment="bottom", gap="small")
        yield from zip(row, questions[start : start + 2], strict=False)


def _put(changes: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        changes = changes.setdefault(part, {})
    changes[path[-1]] = value
