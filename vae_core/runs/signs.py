"""Signs of life of whoever works on a folder: its process or, elsewhere, its heartbeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_core.errors import UserError
from vae_core.runs.holder import Job, Watch, is_here, process_is

if TYPE_CHECKING:
    from vae_core.runs.folder import Folder

JOB = "job.json"
COUNTER = 16
"""Digits of the heartbeat, at the head of a lease."""


_watch = Watch()


def job_in(folder: Folder) -> Job | None:
    """Who works or last worked here; None where nobody did, or it cannot be read."""
    try:
        return folder._parse(JOB, Job)
    except UserError:
        return None


def lives(folder: Folder, job: Job) -> bool:
    """Whether this holder is at work. One elsewhere is, until it has been silent for too long."""
    if job.ended:
        return False
    here = process_is(job)
    return silent_s(folder, job) < job.silent_s if here is None else here


def silent_s(folder: Folder, job: Job) -> float:
    """For how many seconds this process has seen no heartbeat of a holder elsewhere."""
    return _watch.unchanged_s(_key(folder, job), lambda: _counter(folder, job.lease))


def unproven(folder: Folder) -> Job | None:
    """The holder elsewhere of which it is not known yet whether it lives: looked at, never seen to
    beat, and not silent for long enough; None where there is none such."""
    job = job_in(folder)
    if job is None or job.ended or process_is(job) is not None:
        return None
    known = _watch.has_looked(_key(folder, job))
    silent = silent_s(folder, job)
    return job if silent < job.silent_s and (silent > 0 or not known) else None


def silence(folder: Folder) -> str:
    """Why whoever worked elsewhere is taken for dead, as a sentence; "" for all others."""
    job = job_in(folder)
    if job is None or job.ended or is_here(job):
        return ""
    return f"There has been no sign of life from {job.host} for {job.silent_s:.0f} s."


def busy(folder: Folder, job: Job) -> str:
    """What to say while `job` holds the folder."""
    said = folder.busy_here if is_here(job) else f"is {folder.doing} on {job.host}."
    return f"{folder.kind.capitalize()} {folder.id!r} {said}"


def _key(folder: Folder, job: Job) -> tuple[str, str, int]:
    return str(folder.path), job.token, job.lease


def head(count: int) -> bytes:
    return f"{count:0{COUNTER}d}".encode()


def _counter(folder: Folder, number: int) -> bytes:
    return beginning(folder, f"lease-{number}", COUNTER)


def beginning(folder: Folder, name: str, size: int) -> bytes:
    """The first bytes of a file of the folder, b"" where there is none.

    It is opened each time: that is when a network file system asks its server for what is new.
    """
    try:
        with folder.opened(name) as file:
            return file.read(size)
    except OSError:
        return b""
