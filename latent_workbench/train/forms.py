"""Forms made from settings: one field, one widget; the answer is what differs from the start.

A widget is chosen by the type of the field alone. Fields marked `more` go into a second place.
What was typed is kept in the session under the form's key, so it survives another page.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from streamlit.delta_generator import DeltaGenerator

from latent_workbench.shared.widgets import Question, complain, select, widget_for, without_none
from vae_core.registry import Registry
from vae_core.settings import Settings


@dataclass(frozen=True)
class Place:
    """Where a form draws: the fields in sight, and those under "More settings"."""

    sight: DeltaGenerator
    more: DeltaGenerator


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
                yield Question(here, settings, info, value, more)

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
            for cell, below, question in _cells(
                container, [q for q in questions if q.more == more]
            ):
                answer = self._answer(
                    cell, question, widget_key(key, question.owner, question.path)
                )
                if answer != question.start:
                    _put(changes, question.path, answer)
                    complain(below, question.refusal(answer))
        return changes

    def _answer(self, cell: DeltaGenerator, question: Question, key: str) -> Any:
        dotted = ".".join(question.path)
        if dotted in self.choices:
            registry = self.choices[dotted]
            labels = {entry.name: entry.label for entry in registry}
            return select(cell, question, key, labels)
        annotation, optional = without_none(question.info.annotation)
        return widget_for(annotation)(cell, question, key, annotation, optional)


def widget_key(key: str, owner: str, path: tuple[str, ...]) -> str:
    """Streamlit's key of one field of the form `key`."""
    return ".".join((key, owner, *path))


def _is_dictionary(annotation: Any) -> bool:
    return (typing.get_origin(annotation) or annotation) is dict


# --- where things go --------------------------------------------------------------------------


def _cells(
    container: DeltaGenerator, questions: list[Question]
) -> Iterator[tuple[DeltaGenerator, DeltaGenerator, Question]]:
    """Rows of two, so that labels line up, and the place below each row."""
    for start in range(0, len(questions), 2):
        row = container.columns(2, vertical_alignment="bottom", gap="small")
        below = container.container(gap=None)
        for cell, question in zip(row, questions[start : start + 2], strict=False):
            yield cell, below, question


def _put(changes: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        changes = changes.setdefault(part, {})
    changes[path[-1]] = value
