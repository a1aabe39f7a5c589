"""A sweep's folder: made, read while its scheduler works, and told what to do."""

from __future__ import annotations

import re
import secrets
import shutil
from typing import Any

from vae_core.errors import UserError
from vae_core.runs import Folder, Store, layout
from vae_core.runs.lease import silence_message
from vae_core.runs.migrations import first_of
from vae_core.runs.reader import Reader
from vae_core.runs.schemas import unknown_keys
from vae_core.sweeps.spec import SweepSpec, check
from vae_core.sweeps.state import ACTIVE, Entry, SweepState, obey

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
        """What it tries.

        Raises:
            UserError: when sweep.json is missing or damaged.
        """
        return self.parse(layout.SWEEP_SPEC, SweepSpec)

    def spec_to_run(self) -> SweepSpec:
        """What it tries, where runs are to be made of it by this version.

        Raises:
            UserError: as `spec`, or when another version asked for more than this one knows.
        """
        spec = self.spec()
        if unknown := list(unknown_keys(spec)):
            raise UserError(
                f"Sweep {self.id!r} cannot be gone on with by this version: {layout.SWEEP_SPEC} "
                f"has entries that it does not know ({first_of(unknown)})."
            )
        return spec

    def state(self) -> SweepState:
        """Where it stands: as the scheduler said it, with what it was told since.

        Raises:
            UserError: when state.json is missing or damaged.
        """
        said = self.last_status()
        for message in self.records(layout.CONTROL, said.heard)[0]:
            said = obey(said, message)
        if said.state in ACTIVE and not self.is_alive():
            said = self.last_status().model_copy(update={"entries": said.entries})
            if said.state in ACTIVE:
                why = said.message or silence_message(self)
                return said.model_copy(update={"state": "interrupted", "message": why})
        return said

    def last_status(self) -> SweepState:
        """What the scheduler last wrote."""
        return self.parse(layout.SWEEP_STATE, SweepState)

    def storage(self) -> str:
        """URL of the study.

        Raises:
            UserError: when the study in the folder is no file of its own.
        """
        for end in ("", "-journal", "-wal"):
            self.require_file(layout.STUDY + end)
        return self.spec().storage or f"sqlite:///{self.file(layout.STUDY)}"

    def identity(self) -> str:
        """What tells this folder from all others that take part in the same study; "" in those of
        a time before it was kept.

        Raises:
            UserError: when it is there and cannot be read.
        """
        return self.text(layout.IDENTITY).strip() if self.has(layout.IDENTITY) else ""

    def send(self, command: str, **values: Any) -> None:
        """Tell the scheduler, which listens several times a second; see `state.obey`."""
        self.append(layout.CONTROL, {"command": command, **values})


def has_sweep(store: Store, name: str) -> bool:
    """True where the store has a sweep called `name`."""
    return Sweep(store, _checked(name)).has(layout.SWEEP_SPEC)


def get_sweep(store: Store, name: str) -> Sweep:
    """The sweep called `name`.

    Raises:
        UserError: when there is none.
    """
    if not has_sweep(store, name):
        raise UserError(f"There is no sweep called {name!r} in {store.path}.")
    return Sweep(store, name)


def create_sweep(store: Store, name: str, spec: SweepSpec) -> Sweep:
    """Claim the name, open the study and write the queue; nothing is left behind on an error.

    Raises:
        UserError: when the specification is not possible, the name is in use here or in the
            shared storage, the storage cannot be reached or nothing can be written.
    """
    sweep = _claimed(store, name, check(spec))
    try:
        _begin(sweep, spec)
    except BaseException:
        shutil.rmtree(sweep.path, ignore_errors=True)
        raise
    return sweep


def join_sweep(store: Store, name: str, storage: str, workers: int) -> Sweep:
    """Take part, from this store, in a sweep that another machine began.

    Raises:
        UserError: when the storage cannot be reached or has no such sweep, or the name is taken.
    """
    from vae_core.sweeps.study import open_study, shared_spec

    found = shared_spec(open_study(storage, _checked(name)), storage)
    if found is None:
        raise UserError(f"There is no sweep called {name!r} to join; give values of β to begin it.")
    spec = found.model_copy(update={"storage": storage, "workers": workers})
    sweep = _claimed(store, name, spec)
    try:
        sweep.write_json(layout.SWEEP_STATE, _queue(spec))
    except UserError:
        shutil.rmtree(sweep.path, ignore_errors=True)
        raise
    return sweep


def sweeps_of(store: Store) -> list[Sweep]:
    """Every sweep of the store, the newest first."""
    names = Reader(store.path).names(FOLDER)
    found = [Sweep(store, name) for name in names if _NAME.fullmatch(name)]
    made = {
        sweep: sweep.version(layout.SWEEP_SPEC) or 0
        for sweep in found
        if sweep.has(layout.SWEEP_SPEC)
    }
    return sorted(made, key=made.__getitem__, reverse=True)


def _claimed(store: Store, name: str, spec: SweepSpec) -> Sweep:
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
        sweep.write_bytes(layout.IDENTITY, secrets.token_hex(16).encode())
        private = spec.storage is not None  # with a password
        sweep.write_json(layout.SWEEP_SPEC, spec, private=private)
    except UserError:
        shutil.rmtree(sweep.path, ignore_errors=True)
        raise
    return sweep


def _begin(sweep: Sweep, spec: SweepSpec) -> None:
    from vae_core.sweeps.study import open_study, share_spec, shared_spec

    storage = sweep.storage()
    study = open_study(storage, sweep.id)
    if shared_spec(study, storage) is not None:
        raise UserError(
            f"The shared storage already has a sweep called {sweep.id!r}; choose another name, or "
            "leave out the values of β to join it."
        )
    share_spec(study, spec, storage)
    sweep.write_json(layout.SWEEP_STATE, _queue(spec))


def _queue(spec: SweepSpec) -> SweepState:
    entries = tuple(Entry(number=i, params=point) for i, point in enumerate(spec.points()))
    return SweepState(state="stopped", workers=spec.workers, entries=entries)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is no name of a sweep; use letters, digits, dots, dashes and underscores, "
            "at most 40, beginning with a letter or digit."
        )
    return name
