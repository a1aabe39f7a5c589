"""Which process it is: host, boot and process id, so that none anywhere is mistaken for another.

A process id says something only where it was given: in one boot of one machine, and there in one
namespace of process ids, of which each container has its own. A holder elsewhere lives as long as
its heartbeat changes, by the reader's own clock. No wall clock is asked: it may be set by hours.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import secrets
import socket
import sys
import time
import uuid
from collections.abc import Callable, Hashable
from pathlib import Path

import psutil

from vae_core.runs.schemas import LONGEST_SILENCE_S, SILENT_S, Job

SILENT_VARIABLE = "VAE_SILENT_S"

_SAME_START_S = 10.0


def job_of(pid: int, lease: int, token: str) -> Job:
    """The process `pid` of this host, named for everybody."""
    boot, pids = _place(os.getpid())
    host = re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname())[:253]
    return Job(
        pid=pid,
        started=_start_time(pid) or 0.0,
        host=host or "unknown",
        boot=boot,
        pids=pids,
        token=token,
        lease=lease,
        silent_s=silence_s(),
    )


def silence_s() -> float:
    """After how many seconds without a sign of life others are taken for dead, as VAE_SILENT_S says
    where it says what can be."""
    try:
        seconds = float(os.environ.get(SILENT_VARIABLE) or SILENT_S)
    except ValueError:
        return SILENT_S
    return seconds if 0 < seconds <= LONGEST_SILENCE_S else SILENT_S


def is_running(job: Job) -> bool | None:
    """Whether the very process that `job` names is running; None where that cannot be told here."""
    if not job.boot:
        return _earlier_is_running(job)
    if (job.boot, job.pids) != _place(os.getpid()):
        return None
    start = _start_time(job.pid)
    return None if start is None else 0 <= start == job.started


def is_local(job: Job) -> bool:
    """True where `job` is a process of this boot, in this namespace of process ids."""
    return not job.boot or (job.boot, job.pids) == _place(os.getpid())


def writer_name(pid: int) -> str:
    """A process of here in a few characters, for the names of files that are not whole yet."""
    return f"{_place_digest()}-{pid}-{_start_time(pid) or 0:.0f}"


def writer_is_running(name: str) -> bool | None:
    """Whether the process whose `writer_name` begins `name` runs; None if it is not of here."""
    found = re.match(r"([0-9a-f]{8})-([0-9]{1,10})-([0-9]{1,20})-", name)
    if found is None:  # as earlier versions called them
        return False
    if found[1] != _place_digest():
        return None
    start = _start_time(int(found[2]))
    return None if start is None else f"{start:.0f}" == found[3]


class Watch:
    """For how long things have not changed, as this process saw it itself, in seconds."""

    MOST = 10_000

    def __init__(self, longest_gap_s: float = SILENT_S / 2) -> None:
        """`longest_gap_s`: what counts of the time between two looks. Whoever looks after a long
        while (a machine that slept, a network that hung) has to look again."""
        self._seen: dict[Hashable, tuple[Hashable, float, float]] = {}
        self._longest_gap_s = longest_gap_s

    def unchanged_s(self, key: Hashable, look: Callable[[], Hashable]) -> float:
        """Look, and tell for how long there has been the same to see; 0 at the first look."""
        now = time.monotonic()  # before the look, which may take long
        value = look()
        before, last, still = self._seen.pop(key, (value, now, 0.0))
        still = still + min(now - last, self._longest_gap_s) if before == value else 0.0
        while len(self._seen) >= self.MOST:
            self._seen.pop(next(iter(self._seen)), None)
        self._seen[key] = (value, now, still)
        return still

    def has_looked(self, key: Hashable) -> bool:
        """True where there was a look before."""
        return key in self._seen


@functools.lru_cache(maxsize=4)
def _place(pid: int) -> tuple[str, str]:
    """Boot and namespace of process ids of this process, whose id is `pid`."""
    if sys.platform != "linux":  # the kernel's start times tell one boot from another
        return f"{socket.gethostname()}-{uuid.getnode():012x}", ""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        pids = os.readlink("/proc/self/ns/pid")
        if os.path.lexists("/proc/self/ns/time"):  # start times are told as of this one
            pids += " " + os.readlink("/proc/self/ns/time")
        if boot and os.readlink("/proc/self") == str(pid):  # else /proc shows other process ids
            return boot, pids
    except (OSError, ValueError):
        pass
    return secrets.token_hex(16), ""  # it cannot be told, so nobody else is of here


def _place_digest() -> str:
    return hashlib.blake2b("/".join(_place(os.getpid())).encode(), digest_size=4).hexdigest()


def _start_time(pid: int) -> float | None:
    """When a process of here began; -1 where there is none, None where it hides from us."""
    try:
        if sys.platform != "linux":
            process = psutil.Process(pid)
            dead = process.status() == psutil.STATUS_ZOMBIE
            return -1.0 if dead else float(process.create_time())
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        state, *fields = stat.rpartition(b")")[2].split()
        return -1.0 if state in (b"Z", b"X") else float(fields[18])
    except psutil.AccessDenied:
        return None
    except (psutil.Error, OverflowError, ValueError):
        return -1.0
    except OSError:
        return None if 0 < pid < 2**31 and psutil.pid_exists(pid) else -1.0


def _earlier_is_running(job: Job) -> bool:
    """As earlier versions told it: by a start time that was computed from the wall clock."""
    try:
        process = psutil.Process(job.pid)
        same = abs(process.create_time() - (job.create_time or 0.0)) < _SAME_START_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError, OverflowError):  # gone, not ours to see, or no process id
        return False
