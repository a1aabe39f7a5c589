"""A registry by decorator: a name, what the app shows about it, its options, and how it is made.

Families, backbones, likelihoods and data sets are each one registry. Adding one touches its own
file; nothing anywhere asks `if name == …`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from vae_core.errors import UserError
from vae_core.settings import NoOptions, explain

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS: dict[tuple[str, str], type[BaseModel]] = {}
"""By kind and name: the options of everything registered so far, for who may not import it."""


@dataclass(frozen=True)
class Entry(Generic[F]):
    """One registered thing: `build` makes it, the rest is what a form or a table shows of it."""

    name: str
    label: str
    blurb: str
    build: F
    options: type[BaseModel] = NoOptions
    paper: str = ""

    def parse_options(self, values: dict[str, Any], where: str) -> BaseModel:
        """Validate `values` into this entry's options.

        Raises:
            UserError: naming the key below `where` that is unknown or out of range.
        """
        try:
            return self.options.model_validate(values)
        except ValidationError as error:
            raise UserError(explain(error, where, self.options)) from None


class Registry(Generic[F]):
    """Entries by name, in the order in which they were registered."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[F]] = {}

    def register(
        self,
        name: str,
        *,
        label: str,
        blurb: str,
        options: type[BaseModel] = NoOptions,
        paper: str = "",
    ) -> Callable[[F], F]:
        """Decorator that adds the decorated builder under `name`."""

        def add(build: F) -> F:
            self.add(Entry(name, label, blurb, build, options, paper))
            return build

        return add

    def add(self, entry: Entry[F]) -> None:
        """Add an entry that may say more than `register` takes."""
        if entry.name in self._entries:
            raise ValueError(f"{self.kind} {entry.name!r} is registered twice")
        self._entries[entry.name] = entry
        OPTIONS[self.kind, entry.name] = entry.options

    def __getitem__(self, name: str) -> Entry[F]:
        """The entry called `name`.

        Raises:
            UserError: when there is none; the sentence lists those there are.
        """
        if name in self._entries:
            return self._entries[name]
        raise unknown(self.kind, name, self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[Entry[F]]:
        return iter(self._entries.values())


def unknown(kind: str, name: str, known: Collection[str]) -> UserError:
    """The error for a name that is not among `known`: it lists them and suggests the nearest."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UserError(f"There is no {kind} {name!r}; choose one of {', '.join(known)}.{hint}")
