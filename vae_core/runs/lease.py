"""The right to write a folder, held by one process of all hosts; no lock of the system is needed.

lease-N    made by exclusive creation, which of several processes one achieves, on network file
           systems too. N counts the folder's leases. Its head is a counter, the heartbeat, which
           the holder raises every few seconds.
job.json   who holds the last lease. Its token is the fence: before each write the holder looks
           whether the token is still its own, and ends without writing where it is not.

A lease is taken from a holder that ended, or that is dead: whose process is gone (`process.py`) or
which, elsewhere, has not been seen to beat for long.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pydantic import ValidationError

from vae_core.errors import LeaseLost, UserError
from vae_core.runs import layout
from vae_core.runs.atomic import write_temporary
from vae_core.runs.layout import JOB
from vae_core.runs.process import Watch, is_local, is_running, job_of
from vae_core.runs.schemas import Job

if TYPE_CHECKING:
    from vae_core.runs.folder import Folder

TOKEN_VARIABLE = "VAE_LEASE"
"""In the environment of a process that was started to work under a lease: the token of it."""

SHARED_VARIABLE = "VAE_SHARED_LEASE"
"""In that of one which writes under the lease of whoever started it, who goes on holding it."""

BEATS = 12
"""Heartbeats in the time after whose silence a holder is taken for dead."""

COUNTER = 16
"""Digits of the heartbeat, at the head of a lease."""

_RESERVE = 64 * 1024
_ATTEMPTS = 20

_watch = Watch()


def current_job(folder: Folder) -> Job | None:
    """Who works or last worked here; None where nobody did, or it cannot be read."""
    try:
        return folder.parse(JOB, Job)
    except UserError:
        return None


def is_alive(folder: Folder, job: Job) -> bool:
    """Whether this holder is at work. One elsewhere is, until it has been silent for too long."""
    if job.ended:
        return False
    here = is_running(job)
    return silent_s(folder, job) < job.silent_s if here is None else here


def silent_s(folder: Folder, job: Job) -> float:
    """For how many seconds this process has seen no heartbeat of a holder elsewhere."""
    name = layout.lease(job.lease)
    return _watch.unchanged_s(_key(folder, job), lambda: _beginning(folder, name, COUNTER))


def unproven_job(folder: Folder) -> Job | None:
    """The holder elsewhere of which it is not known yet whether it lives: looked at, never seen to
    beat, and not silent for long enough; None where there is none such."""
    job = current_job(folder)
    if job is None or job.ended or is_running(job) is not None:
        return None
    known = _watch.has_looked(_key(folder, job))
    silent = silent_s(folder, job)
    return job if silent < job.silent_s and (silent > 0 or not known) else None


def silence_message(folder: Folder) -> str:
    """Why whoever worked elsewhere is taken for dead, as a sentence; "" for all others."""
    job = current_job(folder)
    if job is None or job.ended or is_local(job):
        return ""
    return f"There has been no sign of life from {job.host} for {job.silent_s:.0f} s."


def busy_message(folder: Folder, job: Job) -> str:
    """What to say while `job` holds the folder."""
    said = folder.busy_here if is_local(job) else f"is {folder.doing} on {job.host}."
    return f"{folder.title} {said}"


class Lease:
    """A lease that this process holds, for itself or for one that it starts."""

    def __init__(self, folder: Folder, job: Job) -> None:
        self.folder, self.job = folder, job
        self.path = folder.file(layout.lease(job.lease))
        self._count = 0
        self._lost: LeaseLost | None = None
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)

    def require(self) -> None:
        """Look whether the folder is there and nobody has taken it; else a LeaseLost."""
        if self.job.token.encode() in _beginning(self.folder, JOB, _RESERVE):
            return  # nobody else's job holds it; before each write this has to be cheap
        job = current_job(self.folder)
        name = self.folder.title
        if job is not None:
            raise LeaseLost(
                f"{name} was taken over by process {job.pid} on {job.host}. This process ends and "
                "writes nothing more."
            )
        if self.folder.path.is_dir() and os.path.lexists(self.folder.file(JOB)):
            raise UserError(f"{JOB} of {self.folder.kind} {self.folder.id!r} cannot be read.")
        raise LeaseLost(f"{name} was deleted. This process ends and writes nothing more.")

    def check(self) -> None:
        """As `require`, as of the last heartbeat; costs nothing."""
        if self._lost is not None:
            raise self._lost

    def keep(self) -> None:
        """Beat from now on, in a thread of its own, until the lease is released."""
        self._heart.start()

    def beat(self) -> None:
        """Raise the counter, in its place: a full disk does not hinder that. Raises as `require`,
        and an OSError when it cannot be written."""
        self.require()
        self._count += 1
        with self.path.open("r+b", buffering=0) as file:  # never made anew
            file.write(_head(self._count))

    def hand_over(self, pid: int) -> None:
        """Let process `pid`, which was given the token, have the lease from now on."""
        self.require()
        now = current_job(self.folder)
        if now is not None and now.pid == self.job.pid:  # else it has taken it up already
            self._write_job(job_of(pid, self.job.lease, self.job.token))
        self.folder.lease = None

    def take_up(self) -> None:
        """Hold for this process the lease that another one has taken for it."""
        self.require()
        self._write_job(job_of(os.getpid(), self.job.lease, self.job.token))

    def spend_reserve(self) -> None:
        """Give up the space that was kept for last words on a full disk."""
        with suppress(OSError):
            os.truncate(self.path, COUNTER)

    def leave(self) -> None:
        """Write under it no more, and let whoever it is shared with go on holding it."""
        self._stop_beating()
        self.folder.lease = None

    def release(self) -> None:
        """Say that this work has ended. What cannot be written is told by the process's end."""
        if self._ended.is_set():
            return
        self._stop_beating()
        try:
            self._write_job(self.job.model_copy(update={"ended": True}))
        except LeaseLost:
            return
        except UserError:
            with suppress(OSError):
                self.folder.file(JOB).unlink()
        finally:
            self.folder.lease = None
        with suppress(OSError):
            self.path.unlink()

    def _stop_beating(self) -> None:
        self._ended.set()
        if self._heart.is_alive():
            self._heart.join(timeout=self.job.silent_s)

    def _write_job(self, job: Job) -> None:
        self.job = job
        self.folder.write_json(JOB, job)

    def _keep_beating(self) -> None:
        while not self._ended.is_set():
            try:
                self.beat()
            except LeaseLost as lost:
                self._lost = lost
                return
            except (OSError, UserError):  # the network is away, say: tried again
                pass
            self._ended.wait(self.job.silent_s / BEATS)


def acquire(folder: Folder, pid: int) -> Lease:
    """Take the folder's lease for process `pid`. A UserError while somebody holds it, or when it
    cannot be written or comes with the app."""
    folder.require_own()
    for _ in range(_ATTEMPTS):
        said, seen = current_job(folder), _numbers(folder)
        before = _holder(folder, seen)
        if before is not None and is_alive(folder, before):
            raise UserError(busy_message(folder, before))
        number = 1 + max(before.lease if before else 0, *seen, 0)
        job = job_of(pid, number, secrets.token_hex(16))
        lease = Lease(folder, job)
        if not _create(folder, lease):
            continue
        # Somebody else has come, or has come and gone: what was seen is old.
        if _numbers(folder) - seen - {number} or current_job(folder) != said:
            lease.path.unlink(missing_ok=True)
            continue
        try:
            folder.write_json(JOB, job)
        except UserError:
            lease.path.unlink(missing_ok=True)
            raise
        for old in seen:
            folder.file(layout.lease(old)).unlink(missing_ok=True)
        folder.lease = lease
        return lease
    raise UserError(f"{folder.title} {folder.busy_here}")


@contextmanager
def locked(folder: Folder) -> Iterator[Lease]:
    """Hold the folder for this process, and beat; a process that was started for it was given it,
    or shares it with whoever started it. Who holds it already goes on holding it. A UserError while
    somebody else holds it, or when it cannot be written; a LeaseLost when it was given, and has
    been taken or deleted since."""
    if folder.lease is not None:
        yield folder.lease
        return
    token, shared = (os.environ.pop(name, "") for name in (TOKEN_VARIABLE, SHARED_VARIABLE))
    if token or shared:
        job = current_job(folder) or Job(pid=0)
        given = job.model_copy(update={"token": token or shared})
        folder.lease = lease = Lease(folder, given)
        lease.require() if shared else lease.take_up()
    else:
        lease = acquire(folder, os.getpid())
    lease.keep()
    try:
        yield lease
    finally:
        lease.leave() if shared else lease.release()


def _numbers(folder: Folder) -> set[int]:
    """The numbers of the leases that lie here. A UserError when the folder cannot be read."""
    try:
        names = os.listdir(folder.path)
    except OSError as error:
        raise folder.unreadable(".", error) from None
    return {int(found[1]) for found in map(layout.LEASE.fullmatch, names) if found}


def _holder(folder: Folder, numbers: set[int]) -> Job | None:
    """Who holds the last lease: as job.json says, or the lease itself where it came but now."""
    job, newest = current_job(folder), max(numbers, default=0)
    if newest <= (job.lease if job else 0):
        return job
    try:
        said = _beginning(folder, layout.lease(newest), _RESERVE)[COUNTER:]
        return Job.model_validate_json(said.strip())
    except ValidationError:  # just being made, or damaged: it has to beat
        return Job(pid=0, host="another-machine", boot="?", lease=newest)


def _create(folder: Folder, lease: Lease) -> bool:
    """Make the file of a lease with all that is in it; False where there is one already.

    A link is made or not, whatever becomes of the network; some file systems have none.
    """
    text = _head(0) + b"\n" + lease.job.model_dump_json().encode() + b"\n"
    content = text.ljust(_RESERVE)
    try:
        temporary = write_temporary(folder.path, content)
        try:
            os.link(temporary, lease.path)
        except FileExistsError:  # made all the same, if the answer was lost
            found = _beginning(folder, lease.path.name, _RESERVE)
            return found[COUNTER:] == content[COUNTER:]
        except OSError:
            with lease.path.open("xb") as file:
                file.write(content)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise folder.unwritable(lease.path.name, error) from error
    return True


def _key(folder: Folder, job: Job) -> tuple[str, str, int]:
    return str(folder.path), job.token, job.lease


def _beginning(folder: Folder, name: str, size: int) -> bytes:
    """The first bytes of a file of the folder, b"" where there is none.

    It is opened each time: that is when a network file system asks its server for what is new.
    """
    try:
        with folder.opened(name) as file:
            return file.read(size)
    except OSError:
        return b""


def _head(count: int) -> bytes:
    return f"{count:0{COUNTER}d}".encode()
