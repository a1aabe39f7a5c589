"""A sweep's folder: made, read while its scheduler works, and sent messages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vae_core.errors import UserError
from vae_core.progress import Progress, no_progress
from vae_core.runs import Folder, Store, layout
from vae_core.runs.lease import silence_message
from vae_core.runs.migrations import first_of
from vae_core.runs.reader import Reader
from vae_core.runs.schemas import unknown_keys
from vae_core.sweeps.spec import SweepSpec, check
from vae_core.sweeps.state import ACTIVE, Entry, SweepState, apply_message

FOLDER = ".sweeps"
"""Inside a store; the dot keeps it from being taken for a run."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class Sweep(Folder):
    """One sweep of a store."""

    kind = "sweep"
    ended_by = "cancel"

    def __init__(self, store: Store, name: str) -> None:
        super().__init__(store.path / FOLDER / name)
        self.store = store

    def spec(self) -> SweepSpec:
        """What it tries. A UserError when sweep.json is missing or damaged."""
        return self.parse(layout.SWEEP_SPEC, SweepSpec)

    def spec_to_run(self) -> SweepSpec:
        """What it tries, where runs are to be made of it by this version. Raises as `spec`, and a
        UserError when another version asked for more than this one knows."""
        spec = self.spec()
        if unknown := list(unknown_keys(spec)):
            raise UserError(
                f"{self.title} cannot be gone on with by this version: {layout.SWEEP_SPEC} "
                f"has entries that it does not know ({first_of(unknown)})."
            )
        return spec

    def state(self) -> SweepState:
        """Where it stands: as the scheduler wrote it, with the messages since. A UserError when
        state.json is missing or damaged."""
        state = self.written_state()
        for message in self.records(layout.CONTROL, state.offset)[0]:
            state = apply_message(state, message)
        if state.state in ACTIVE and not self.is_alive():
            state = self.written_state().model_copy(update={"entries": state.entries})
            if state.state in ACTIVE:
                why = state.message or silence_message(self)
                return state.model_copy(update={"state": "interrupted", "message": why})
        return state

    def written_state(self) -> SweepState:
        """What the scheduler last wrote."""
        return self.parse(layout.SWEEP_STATE, SweepState)

    def storage(self) -> str:
        """Address of the study. A UserError when the study in the folder is no file of its own."""
        for name in (layout.STUDY, layout.EARLIER_STUDY):
            for end in ("", ".lock", ".new", "-journal", "-wal"):
                self.require_file(name + end)
        return self.spec().storage or f"journal:///{self.file(layout.STUDY).absolute()}"

    def send(self, command: str, **values: Any) -> None:
        """Send a message to the scheduler, which reads it at once; see `apply_message`."""
        self.append(layout.CONTROL, {"command": command, **values})


def has_sweep(store: Store, name: str) -> bool:
    """True where the store has a sweep called `name`."""
    return Sweep(store, _checked(name)).has(layout.SWEEP_SPEC)


def get_sweep(store: Store, name: str) -> Sweep:
    """The sweep called `name`. A UserError when there is none."""
    if not has_sweep(store, name):
        raise UserError(f"There is no sweep called {name!r} in {store.path}.")
    return Sweep(store, name)


def create_sweep(
    store: Store, name: str, spec: SweepSpec, progress: Progress = no_progress
) -> Sweep:
    """Claim the name, open the study and write the queue; nothing is left behind on an error. A
    UserError when the specification is not possible, the name is in use here or in the shared
    storage, the storage cannot be reached or nothing can be written."""
    check(spec)
    with _new_folder(store, name, spec) as sweep:
        from vae_core.sweeps.study import open_study, read_spec, write_spec

        storage = sweep.storage()
        study = open_study(storage, name)
        if read_spec(study, storage) is not None:
            raise UserError(
                f"The shared storage already has a sweep called {name!r}; choose another name, or "
                "leave out the values of β to join it."
            )
        write_spec(study, spec, storage, progress)
    return sweep


def join_sweep(store: Store, name: str, storage: str, workers: int, **here: Any) -> Sweep:
    """Take part, from this store, in a sweep that another machine began; `here` is what else of the
    specification is one's own, such as the place. A UserError when the storage cannot be reached
    or has no such sweep, or the name is taken."""
    from vae_core.sweeps.study import open_study, read_spec

    found = read_spec(open_study(storage, _checked(name)), storage)
    if found is None:
        raise UserError(f"There is no sweep called {name!r} to join; give values of β to begin it.")
    spec = found.model_copy(update={"storage": storage, "workers": workers, **here})
    with _new_folder(store, name, spec) as sweep:
        return sweep


def launch(sweep: Sweep) -> None:
    """Start the scheduler of a sweep that has none, as a process of its own, which outlives the
    browser and the server; one that is paused is woken. A UserError when nothing is left to do, or
    its folder is damaged."""
    from vae_core.training.jobs import spawn  # imports torch

    sweep.spec_to_run()
    state = sweep.state()
    if state.state in ("finished", "cancelled"):
        raise UserError(f"Sweep {sweep.id!r} is {state.state}; there is nothing to resume.")
    sweep.send("resume")
    if state.state in ACTIVE:
        return
    starting = sweep.written_state().model_copy(update={"state": "starting"})
    sweep.write_json(layout.SWEEP_STATE, starting)
    spawn(sweep, ["sweep-work", sweep.id], sweep.store.path)


def sweeps_of(store: Store) -> list[Sweep]:
    """Every sweep of the store, the newest first."""
    names = filter(_NAME.fullmatch, Reader(store.path).names(FOLDER))
    found = [each for name in names if (each := Sweep(store, name)).has(layout.SWEEP_SPEC)]
    return sorted(found, key=lambda each: each.version(layout.SWEEP_SPEC) or 0, reverse=True)


@contextmanager
def _new_folder(store: Store, name: str, spec: SweepSpec) -> Iterator[Sweep]:
    """A new folder with the specification, and the queue once the block is left; none on errors."""
    sweep = Sweep(store, _checked(name))
    try:
        sweep.path.mkdir(parents=True)
    except FileExistsError:
        raise UserError(
            f"There is already a sweep called {name!r} in {store.path}; choose another name."
        ) from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"The sweep cannot be created in {store.path}: {reason}.") from None
    try:
        with_password = spec.storage is not None
        sweep.write_json(layout.SWEEP_SPEC, spec, private=with_password)
        yield sweep
        entries = tuple(Entry(number=i, params=point) for i, point in enumerate(spec.points()))
        queue = SweepState(state="stopped", workers=spec.workers, entries=entries)
        sweep.write_json(layout.SWEEP_STATE, queue)
    except BaseException:
        shutil.rmtree(sweep.path, ignore_errors=True)
        raise


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is no name of a sweep; use letters, digits, dots, dashes and underscores, "
            "at most 40, beginning with a letter or digit."
        )
    return name
