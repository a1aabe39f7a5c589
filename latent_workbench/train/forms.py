"""Forms made from settings: one field, one widget; the answer is what differs from the start.

A widget is chosen by the type of the field alone. Fields marked `more` go into a second place.
What was typed is kept in the session under the form's key, so it survives another page.
"""

from __future__ import annotations

import functools
import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from streamlit.delta_generator import DeltaGenerator

from latent_workbench.shared.inputs import field_error, step_of
from latent_workbench.shared.state import persistent, restore
from vae_core.config import Size, TrackerName, Window
from vae_core.registry import Registry
from vae_core.settings import Settings, may_be_open

AUTOMATIC = "auto"

LONGEST_LABEL = 14
"""Letters of a choice that half a row of the form at 1280 px has room for."""


@dataclass(frozen=True)
class Place:
    """Where a form draws: the fields in sight, and those under "More settings"."""

    sight: DeltaGenerator
    more: DeltaGenerator


@dataclass(frozen=True)
class Form:
    """What to ask beyond the fields of a settings object.

    choices: registries to choose from, by dotted path; a plain text field becomes a list, and one
        of several texts a list of which several can be chosen.
    nested: settings that validate a dictionary field, by dotted path.
    sight, below: dotted paths that are shown in sight, or not, whatever their field says.
    hidden: dotted paths that are not asked.
    decided: what settings that are left to the data come to, by dotted path, as far as is known.
    """

    choices: Mapping[str, Registry[Any]] = field(default_factory=dict)
    nested: Mapping[str, Settings] = field(default_factory=dict)
    sight: frozenset[str] = frozenset()
    below: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    decided: Mapping[str, Any] = field(default_factory=dict)

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
                yield Question(here, settings, info, value, more, self._empty(dotted, info))

    def _empty(self, dotted: str, info: FieldInfo) -> str:
        """What a field says that holds nothing."""
        if dotted in self.decided:
            return f"{AUTOMATIC}: {self.decided[dotted]}"
        return "none" if info.annotation == float | None and not may_be_open(info) else AUTOMATIC

    def ask(self, settings: Settings, key: str, place: Place) -> dict[str, Any]:
        """Draw the form and return the answers that differ from `settings`, nested by path.

        An answer that its field does not take is returned as well, for whoever validates the whole
        to refuse, and the form says why below the field.

        Args:
            key: names the form in the session; one key, one set of remembered answers.
        """
        changes: dict[str, Any] = {}
        questions = list(self.questions(settings))
        for more, container in ((False, place.sight), (True, place.more)):
            here = [question for question in questions if question.more == more]
            for cell, below, question in _cells(container, here, self._is_wide):
                answer = self._answer(
                    cell, question, widget_key(key, question.owner, question.path)
                )
                if answer != question.start:
                    _put(changes, question.path, answer)
                    field_error(below, question.refusal(answer))
        return changes

    def _is_wide(self, question: Question) -> bool:
        """Whether it takes a row to itself: several values, or names that half of one would cut."""
        entries = self.choices.get(".".join(question.path), ())
        return question.is_several or any(len(each.label) > LONGEST_LABEL for each in entries)

    def _answer(self, cell: DeltaGenerator, question: Question, key: str) -> Any:
        dotted = ".".join(question.path)
        if dotted in self.choices:
            registry = self.choices[dotted]
            labels = {entry.name: entry.label for entry in registry}
            several = typing.get_origin(question.info.annotation) is tuple
            return (select_several if several else select)(cell, question, key, labels)
        annotation, optional = without_none(question.info.annotation)
        return widget_for(annotation)(cell, question, key, annotation, optional)


def widget_key(key: str, owner: str, path: tuple[str, ...]) -> str:
    """Streamlit's key of one field of the form `key`."""
    return ".".join((key, owner, *path))


def _is_dictionary(annotation: Any) -> bool:
    return (typing.get_origin(annotation) or annotation) is dict


# --- where things go --------------------------------------------------------------------------


def _cells(
    container: DeltaGenerator, questions: list[Question], wide: Callable[[Question], bool]
) -> Iterator[tuple[DeltaGenerator, DeltaGenerator, Question]]:
    """Rows of two, so that labels line up, and the place below each row; what is `wide` has a row
    to itself."""
    while questions:
        alone = any(map(wide, questions[:2]))
        row: Sequence[DeltaGenerator]
        asked, questions = questions[: 1 if alone else 2], questions[1 if alone else 2 :]
        if wide(asked[0]):
            row = (container.container(gap=None),)
        else:
            row = container.columns(2, vertical_alignment="bottom", gap="small")
        below = container.container(gap=None)
        for cell, question in zip(row, asked, strict=False):
            yield cell, below, question


def _put(changes: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        changes = changes.setdefault(part, {})
    changes[path[-1]] = value


# --- one widget for each kind of setting ----------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """One field of a form: where it belongs, what it is, and the value it starts with.

    `settings` are those it belongs to: two backbones may both have a `hidden`. `empty` is what the
    field says where it holds nothing, or leaves it to the data.
    """

    path: tuple[str, ...]
    settings: Settings
    info: FieldInfo
    start: Any
    more: bool
    empty: str = AUTOMATIC

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
    def is_several(self) -> bool:
        """Whether it asks for several values, which take a whole row."""
        annotation = without_none(self.info.annotation)[0]
        return annotation in (Size, Window, tuple[TrackerName, ...])

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
    named = {"auto": question.empty, None: question.empty, "fit": "pad"}
    return select(cell, question, key, {option: named.get(option, option) for option in options})


def _toggle(cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool) -> Any:
    return _ask(cell.toggle, question, key, question.start)


def _number(cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool) -> Any:
    look = {"step": 1, "placeholder": question.empty}
    if kind is float:
        look |= {"step": step_of(question.start), "format": "%.6g"}
    value = None if optional else "min"  # without bounds, see `bounded`
    return _ask(cell.number_input, question, key, question.start, value=value, **look)


def _text(cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool) -> Any:
    hint = AUTOMATIC if optional else None
    text = _ask(cell.text_input, question, key, question.start or "", placeholder=hint).strip()
    return None if optional and not text else text


def _numbers(cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool) -> Any:
    """Several numbers in one line; what is no list of numbers is returned as typed, so that
    validation names the field and quotes it."""
    start = ", ".join(f"{number:g}" for number in question.start or ())
    help, hint = (
        f"{question.help or ''} Numbers, separated by commas.",
        AUTOMATIC * optional or None,
    )
    text = _ask(cell.text_input, question, key, start, help=help, placeholder=hint)
    text = text.strip().strip("()[]").rstrip(",")
    if text == start:
        return question.start
    if optional and not text:
        return None
    try:
        return tuple(json.loads(f"[{text}]"))
    except ValueError:
        return text


def _several(
    cell: DeltaGenerator, question: Question, key: str, kind: type[Any], start: tuple[Any, ...]
) -> tuple[Any, ...]:
    """A number for each field of a named tuple, side by side; what is left empty is None."""
    fields = typing.get_type_hints(kind, include_extras=True)
    row = cell.columns(len(fields), gap="small", vertical_alignment="bottom")
    unit = question.title.removeprefix(question.info.title or "")
    answers = []
    for place, (name, annotation), value in zip(row, fields.items(), start, strict=True):
        number, title = typing.get_args(annotation)
        look = {"step": 1} if number is int else {"step": step_of(value), "format": "%.6g"}
        ask = functools.partial(place.number_input, value=None, placeholder=AUTOMATIC, **look)
        help = f"{question.info.title}. {question.help}"
        answers.append(persistent(ask, title + unit, key=f"{key}.{name}", default=value, help=help))
    return tuple(answers)


def _sides(cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool) -> Any:
    """Two sides; one of them alone is a square."""
    start = question.start
    both = start if isinstance(start, tuple) else (start, None)
    height, width = _several(cell, question, key, kind, both)
    if height is None or width is None or height == width:
        return height if width is None else width
    return Size(height, width)


def _ends(cell: DeltaGenerator, question: Question, key: str, kind: Any, optional: bool) -> Any:
    """A lower and an upper end; neither without the other."""
    low, high = _several(cell, question, key, kind, question.start or (None, None))
    return None if low is None or high is None else Window(low, high)


def _ask(
    widget: Callable[..., Any], question: Question, key: str, default: Any, **options: Any
) -> Any:
    named = {"help": question.help} | options
    return persistent(widget, question.title, key=key, default=default, **named)


_WIDGETS: dict[Any, Widget] = {
    Literal: _choice,
    bool: _toggle,
    int: _number,
    float: _number,
    str: _text,
    tuple: _numbers,
    Size: _sides,
    Window: _ends,
}


def select(cell: DeltaGenerator, question: Question, key: str, labels: dict[Any, Any]) -> Any:
    """A list to choose from; `labels` says how each value is shown."""
    for value in (question.start, question.info.default):  # such as "auto", beside a registry
        if value not in labels:
            labels = {value: question.empty if value == "auto" else value, **labels}
    restore(key, question.start, labels)
    look = {"options": list(labels), "format_func": lambda option: str(labels.get(option, option))}
    return _ask(cell.selectbox, question, key, question.start, **look)


def select_several(
    cell: DeltaGenerator, question: Question, key: str, labels: dict[Any, Any]
) -> tuple[Any, ...]:
    """As `select`, for any number of values."""
    labels = labels | {value: value for value in question.start if value not in labels}
    look = {"options": list(labels), "format_func": labels.__getitem__, "placeholder": "none"}
    return tuple(_ask(cell.multiselect, question, key, list(question.start), **look))


def refused(title: str, message: str) -> str:
    """A complaint of pydantic's as a sentence about the field `title`."""
    what = message.removeprefix("Value error, ").removeprefix("Input ")
    return f"{title} {what}." if message.startswith("Input ") else f"{title}: {what}."


def without_none(annotation: Any) -> tuple[Any, bool]:
    """The annotation without `| None`, and whether it had it."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        return parts[-1], True  # the last one says more: one side, or both
    return annotation, False
