"""What a tracker is told of a run, and the registry of trackers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from vae_core.extras import extra
from vae_core.registry import Entry, Registry
from vae_core.runs import Run, layout

PROJECT = "latent-workbench"
"""What runs are listed under, where a tracker has projects or experiments."""


@dataclass(frozen=True)
class About:
    """A run as a tracker lists it.

    settings: by dotted name. started: seconds since 1970, when it was begun first.
    id: what the tracker itself has called it in an earlier session, "" in the first.
    """

    name: str
    settings: Mapping[str, str | float | bool]
    started: float
    id: str = ""


@dataclass(frozen=True)
class Moment:
    """What is known of one step.

    time: seconds since 1970. scalars: such as "train/recon", in the units of the run's family.
    images: PNG files, by name.
    """

    step: int
    time: float
    scalars: Mapping[str, float]
    images: Mapping[str, bytes]


class Tracker(Protocol):
    """One run in one tracker, open. Whatever its methods raise ends it alone."""

    id: str
    """What the tracker calls the run; it gets it back when the run is resumed."""

    def write(self, moments: Sequence[Moment]) -> None:
        """Add moments in ascending steps; they are on the disk when it returns."""

    def end(self, moment: Moment, embeddings: Callable[[], Mapping[str, bytes]]) -> None:
        """Training is over; `moment` has what was measured of the final weights.

        `embeddings` makes the files of TensorBoard's Embedding Projector, for who shows them.
        """

    def close(self) -> None:
        """Let go of its files."""


@dataclass(frozen=True, kw_only=True)
class TrackerEntry(Entry[Callable[[Path, About], Tracker]]):
    """A tracker, made from the folder that its files lie in.

    module: what is imported, which the optional extra of the tracker's own name installs.
    shows: the command of its user interface, with {folder} in the place of its files; for people.
    environment: what keeps the library at home. Variables of the prefixes in `own` that are set by
        whoever starts it, such as keys, are not seen by it.
    """

    module: str
    shows: str
    environment: Mapping[str, str]
    own: tuple[str, ...] = ()


trackers: Registry[TrackerEntry] = Registry("tracker", TrackerEntry)


def require_trackers(names: Collection[str]) -> None:
    """Refuse a training that is to be tracked by what is not here.

    Raises:
        UserError: naming what is unknown, or what has to be installed.
    """
    for entry in [trackers[name] for name in names]:
        if find_spec(entry.module) is None:  # importing may take seconds
            extra(entry.module, entry.name, f"Tracking by {entry.label}")


def folder_of(run: Run, name: str) -> Path:
    """Where the files of one tracker lie: they are copied, moved and deleted with the run."""
    return run.file(f"{layout.TRACK}/{name}")


def tracks(run: Run) -> Iterator[tuple[TrackerEntry, Path, str]]:
    """The trackers that have files in a run, the folder of each, and the command that shows it."""
    for entry in trackers:
        folder = folder_of(run, entry.name)
        if run.has(f"{layout.TRACK}/{entry.name}"):
            yield entry, folder, entry.shows.format(folder=folder)
