"""Kinds of networks that are kept as they came, and how the files of one become `Halves`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vae_core.errors import UserError
from vae_core.families.footprint import require_memory_for
from vae_core.models import GivenModel, Halves, LatentModel
from vae_core.registry import Entry, Registry
from vae_core.runs import Run, layout
from vae_core.trust import digest_of, is_trusted, trust

ENCODER, DECODER = "encoder", "decoder"
"""What the files of the halves are called, before their ending."""

MOST_FILES = 100


@dataclass(frozen=True)
class Given:
    """The files of a network: their bytes by name, and the folder that they lie in."""

    files: Mapping[str, bytes]
    folder: Path

    @property
    def digest(self) -> str:
        """By which they are trusted."""
        return digest_of(self.files.items())

    def half(self, name: str, endings: tuple[str, ...]) -> bytes | None:
        """The file of a half, whichever of these endings it has; None where there is none."""
        found = (self.files.get(f"{name}{ending}") for ending in endings)
        return next((each for each in found if each is not None), None)


@dataclass(frozen=True, kw_only=True)
class HalvesKind(Entry[Callable[[Given], Halves]]):
    """endings: of its files. executes: opening it runs what somebody wrote."""

    endings: tuple[str, ...]
    executes: bool = False


kinds: Registry[HalvesKind] = Registry("kind of network", HalvesKind)
"""Functions `Given -> Halves`, which raise a `UserError` for what is none of that kind."""


def connect(model: LatentModel[Any], run: Run) -> None:
    """Give a model whose network the run keeps as it came its halves; others have theirs.

    Raises:
        UserError: as `halves_of`.
    """
    if isinstance(model, GivenModel):
        model.connect(halves_of(run, model.kind))


def halves_of(run: Run, kind: str) -> Halves:
    """What runs the network that a run keeps as it came.

    Raises:
        UserError: when its files are missing, damaged or too large, a library is not installed, or
            it is code that this person has not trusted.
    """
    entry, found = kinds[kind], read_given(run)
    if entry.executes and not is_trusted(found.digest):
        raise UserError(
            f"The network of run {run.id!r} is code ({entry.label}), and you have not said that "
            "you trust it: bring it once on the command line, with the word that says so, and it "
            "opens here. docs/bring-your-own.md tells how.",
            shell=f"python -m vae_core bring {run.path} --trust",
        )
    return entry.build(found)


def read_given(run: Run) -> Given:
    """The files of a network that a run keeps as it came.

    Raises:
        UserError: when one cannot be read, or they are too large.
    """
    names = run.names(layout.GIVEN)
    if len(names) > MOST_FILES:
        raise run.damaged(layout.GIVEN, f"it has {len(names)} files, at most {MOST_FILES}")
    require_memory_for(sum(run.size(layout.given(name)) for name in names))
    try:
        files = {name: run.read(layout.given(name)) for name in names}
    except OSError as error:
        raise run.unreadable(layout.GIVEN, error) from None
    return Given(files, run.path / layout.GIVEN)


def trust_run(run: Run) -> None:
    """Remember that the code of a run, as it is now, may run here.

    Raises:
        UserError: when it holds none, as `read_given`, or nothing can be remembered.
    """
    if not run.names(layout.GIVEN):
        raise UserError(f"{run.title} holds no code; it opens as it is.")
    trust(read_given(run).digest)


def tuple_of(found: object) -> tuple[Tensor, ...]:
    """What an encoder returned as (z,) or (μ, log σ²).

    Raises:
        UserError: when it is neither.
    """
    parts = tuple(found) if isinstance(found, tuple | list) else (found,)
    if len(parts) not in (1, 2) or not all(isinstance(part, Tensor) for part in parts):
        kinds_of = ", ".join(type(part).__name__ for part in parts[:4])
        raise UserError(
            f"The encoder returned {kinds_of}; it has to return z, or μ and log σ², as tensors."
        )
    return parts
