"""The right to write a folder, held by one process of all hosts; no lock of the system is needed.

lease-N    made by exclusive creation, which of several processes one achieves, on network file
           systems too. N counts the folder's leases. Its head is a counter, the heartbeat, which
           the holder raises every few seconds.
job.json   who holds the last lease. Its token is the fence: before each write the holder looks
           whether the token is still its own, and ends without writing where it is not.

A lease is taken from a holder that ended, or that is dead: see `holder.py`.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pydantic import ValidationError

from vae_core.errors import LeaseLost, UserError
from vae_core.runs.holder import Job, job_of
from vae_core.runs.signs import COUNTER, JOB, beginning, busy, head, job_in, lives
from vae_core.runs.writing import new_file

if TYPE_CHECKING:
    from vae_core.runs.folder import Folder

TOKEN_VARIABLE = "VAE_LEASE"
"""In the environment of a process that was started to work under a lease: the token of it."""

BEATS = 12
"""Heartbeats in the time after whose silence a holder is taken for dead."""

_RESERVE = 64 * 1024
_ATTEMPTS = 20


class Lease:
    """A lease that this process holds, for itself or for one that it starts."""

    def __init__(self, folder: Folder, job: Job) -> None:
        self.folder, self.job = folder, job
        self.path = folder.file(f"lease-{job.lease}")
        self._count = 0
        self._lost: LeaseLost | None = None
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)

    def require(self) -> None:
        """Look whether the folder is there and nobody has taken it.

        Raises:
            LeaseLost: where it is not, or somebody has.
        """
        if self.job.token.encode() in beginning(self.folder, JOB, _RESERVE):
            return  # nobody else's job holds it; before each write this has to be cheap
        job = job_in(self.folder)
        name = f"{self.folder.kind.capitalize()} {self.folder.id!r}"
        if job is not None:
            raise LeaseLost(
                f"{name} was taken over by process {job.pid} on {job.host}. This process ends and "
                "writes nothing more."
            )
        if self.folder.path.is_dir() and os.path.lexists(self.folder.file(JOB)):
            raise UserError(f"{JOB} of {self.folder.kind} {self.folder.id!r} cannot be read.")
        raise LeaseLost(f"{name} was deleted. This process ends and writes nothing more.")

    def check(self) -> None:
        """As `require`, as of the last heartbeat; costs nothing.

        Raises:
            LeaseLost: where the heartbeat found that it is lost.
        """
        if self._lost is not None:
            raise self._lost

    def keep(self) -> None:
        """Beat from now on, in a thread of its own, until the lease is released."""
        self._heart.start()

    def beat(self) -> None:
        """Raise the counter, in its place: a full disk does not hinder that.

        Raises:
            LeaseLost: as `require`.
            OSError: when it cannot be written.
        """
        self.require()
        self._count += 1
        with self.path.open("r+b", buffering=0) as file:  # never made anew
            file.write(head(self._count))

    def hand_over(self, pid: int) -> None:
        """Let process `pid`, which was given the token, have the lease from now on."""
        self.require()
        now = job_in(self.folder)
        if now is not None and now.pid == self.job.pid:  # else it has taken it up already
            self._say(job_of(pid, self.job.lease, self.job.token))
        self.folder.lease = None

    def take_up(self) -> None:
        """Hold for this process the lease that another one has taken for it."""
        self.require()
        self._say(job_of(os.getpid(), self.job.lease, self.job.token))

    def spend_reserve(self) -> None:
        """Give up the space that was kept for last words on a full disk."""
        with suppress(OSError):
            os.truncate(self.path, COUNTER)

    def release(self) -> None:
        """Say that this work has ended. What cannot be written is told by the process's end."""
        if self._ended.is_set():
            return
        self._ended.set()
        if self._heart.is_alive():
            self._heart.join(timeout=self.job.silent_s)
        try:
            self._say(self.job.model_copy(update={"ended": True}))
        except LeaseLost:
            return
        except UserError:
            with suppress(OSError):
                self.folder.file(JOB).unlink()
        finally:
            self.folder.lease = None
        with suppress(OSError):
            self.path.unlink()

    def _say(self, job: Job) -> None:
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


def take(folder: Folder, pid: int) -> Lease:
    """Take the folder's lease for process `pid`.

    Raises:
        UserError: while somebody holds it, or when it cannot be written or comes with the app.
    """
    folder.require_own()
    for _ in range(_ATTEMPTS):
        said, seen = job_in(folder), _numbers(folder)
        before = _holder(folder, seen)
        if before is not None and lives(folder, before):
            raise UserError(busy(folder, before))
        number = 1 + max(before.lease if before else 0, *seen, 0)
        job = job_of(pid, number, secrets.token_hex(16))
        lease = Lease(folder, job)
        if not _create(folder, lease):
            continue
        # Somebody else has come, or has come and gone: what was seen is old.
        if _numbers(folder) - seen - {number} or job_in(folder) != said:
            lease.path.unlink(missing_ok=True)
            continue
        try:
            folder.write_json(JOB, job)
        except UserError:
            lease.path.unlink(missing_ok=True)
            raise
        for old in seen:
            folder.file(f"lease-{old}").unlink(missing_ok=True)
        folder.lease = lease
        return lease
    raise UserError(f"{folder.kind.capitalize()} {folder.id!r} {folder.busy_here}")


@contextmanager
def held(folder: Folder) -> Iterator[Lease]:
    """Hold the folder for this process, and beat; a process that was started for it was given it.
    Who holds it already goes on holding it.

    Raises:
        UserError: while somebody else holds it, or when it cannot be written.
        LeaseLost: when it was given, and has been taken or deleted since.
    """
    if folder.lease is not None:
        yield folder.lease
        return
    token = os.environ.pop(TOKEN_VARIABLE, "")
    if token:
        job = job_in(folder)
        folder.lease = lease = Lease(folder, job or Job(pid=0, token=token))
        lease.job = lease.job.model_copy(update={"token": token})
        lease.take_up()
    else:
        lease = take(folder, os.getpid())
    lease.keep()
    try:
        yield lease
    finally:
        lease.release()


def _numbers(folder: Folder) -> set[int]:
    """The numbers of the leases that lie here.

    Raises:
        UserError: when the folder cannot be read.
    """
    try:
        names = os.listdir(folder.path)
    except OSError as error:
        raise folder._unread(".", error) from None
    return {int(name[6:]) for name in names if re.fullmatch(r"lease-[0-9]{1,9}", name)}


def _holder(folder: Folder, numbers: set[int]) -> Job | None:
    """Who holds the last lease: as job.json says, or the lease itself where it came but now."""
    job, newest = job_in(folder), max(numbers, default=0)
    if newest <= (job.lease if job else 0):
        return job
    try:
        said = beginning(folder, f"lease-{newest}", _RESERVE)[COUNTER:]
        return Job.model_validate_json(said.strip())
    except ValidationError:  # just being made, or damaged: it has to beat
        return Job(pid=0, host="another-machine", boot="?", lease=newest)


def _create(folder: Folder, lease: Lease) -> bool:
    """Make the file of a lease with all that is in it; False where there is one already.

    A link is made or not, whatever becomes of the network; some file systems have none.
    """
    text = head(0) + b"\n" + lease.job.model_dump_json().encode() + b"\n"
    content = text.ljust(_RESERVE)
    try:
        temporary = new_file(folder.path, content)
    except OSError as error:
        raise folder._unwritten(lease.path.name, error) from error
    try:
        try:
            os.link(temporary, lease.path)
        except FileExistsError:
            found = beginning(
                folder, lease.path.name, _RESERVE
            )  # made all the same, if the answer was lost
            return found[COUNTER:] == content[COUNTER:]
        except OSError:
            with lease.path.open("xb") as file:
                file.write(content)
        return True
    except FileExistsError:
        return False
    except OSError as error:
        raise folder._unwritten(lease.path.name, error) from error
    finally:
        temporary.unlink(missing_ok=True)
