"""A registry by decorator: a name, what the app shows about it, its options, and how it is made.

Families, backbones, likelihoods, priors, data sets, presets and export formats are each one
registry. Adding one touches its own file; nothing anywhere asks `if name == …`.
"""

from __future__ import annotations

import difflib
import pkgutil
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from vae_core.errors import UserError
from vae_core.settings import NoOptions, explain

BuildT = TypeVar("BuildT")
F = TypeVar("F")

OPTIONS: dict[tuple[str, str], type[BaseModel]] = {}
"""By kind and name: the options of everything registered so far, for who may not import it."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What a form or a table shows of a registered thing.

    A kind that has more to say of its entries has a subclass with more fields.

    order: lists show entries in ascending order of it, and as they were registered where it is
        the same.
    """

    name: str
    label: str
    blurb: str
    options: type[BaseModel] = NoOptions
    paper: str = ""
    order: int = 100

    def parse_options(self, values: dict[str, Any], where: str) -> BaseModel:
        """Validate `values` into this entry's options.

        Raises:
            UserError: naming the key below `where` that is unknown or out of range.
        """
        try:
            return self.options.model_validate(values)
        except ValidationError as error:
            raise UserError(explain(error, where, self.options)) from None


@dataclass(frozen=True, kw_only=True)
class Entry(Listed, Generic[BuildT]):
    """A registered thing that is made by what a decorator stood above."""

    build: BuildT


EntryT = TypeVar("EntryT", bound=Listed)


class Registry(Generic[EntryT]):
    """Entries by name.

    Args:
        kind: what an entry is called in a sentence.
        entry: the class of its entries.
    """

    def __init__(self, kind: str, entry: type[EntryT]) -> None:
        self.kind = kind
        self._entry = entry
        self._entries: dict[str, EntryT] = {}

    def register(self, name: str, *, label: str, blurb: str, **facts: Any) -> Callable[[F], F]:
        """Decorator that adds the decorated builder under `name`.

        Args:
            facts: the other fields of the registry's entries.
        """

        def add(build: F) -> F:
            fields = {"name": name, "label": label, "blurb": blurb, "build": build, **facts}
            self.add(self._entry(**fields))
            return build

        return add

    def add(self, entry: EntryT) -> None:
        """Add an entry as it is."""
        if entry.name in self._entries:
            raise ValueError(f"{self.kind} {entry.name!r} is registered twice")
        self._entries[entry.name] = entry
        OPTIONS[self.kind, entry.name] = entry.options

    def discover(self, package: str, plugins: str) -> None:
        """Import what registers entries: every module in `package`, then every installed plug-in.

        A plug-in that fails is reported as a warning and left out.

        Args:
            package: the dotted name of a package, or of a single module, which has none inside.
            plugins: the group of entry points by which other packages name modules of theirs.
        """
        for module in pkgutil.iter_modules(getattr(import_module(package), "__path__", ())):
            import_module(f"{package}.{module.name}")
        for point in _installed().select(group=plugins):
            try:
                point.load()
            except Exception as error:  # whatever another package raises must not end this one
                owner = point.dist.name if point.dist else point.value
                reason = f"{type(error).__name__}: {error}"
                warnings.warn(
                    f"The {self.kind} {point.name!r} of {owner} is left out: {reason}.",
                    stacklevel=2,
                )

    def __getitem__(self, name: str) -> EntryT:
        """The entry called `name`.

        Raises:
            UserError: when there is none; the sentence lists those there are.
        """
        if name in self._entries:
            return self._entries[name]
        raise unknown(self.kind, name, [entry.name for entry in self])

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[EntryT]:
        return iter(sorted(self._entries.values(), key=lambda entry: entry.order))

    def __len__(self) -> int:
        return len(self._entries)


@cache
def _installed() -> Any:
    """The entry points of all installed packages, whose lists are read once for all registries;
    what they come in is called otherwise before Python 3.12."""
    return entry_points()


def unknown(kind: str, name: str, known: Collection[str]) -> UserError:
    """The error for a name that is not among `known`: it lists them and suggests the nearest."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UserError(f"There is no {kind} {name!r}; choose one of {', '.join(known)}.{hint}")
