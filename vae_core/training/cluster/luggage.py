"""Which files of a run folder travel to the machine that trains it, and which come back.

What comes back is believed no more than a folder that a stranger has sent: a name is one of those
below, so that no path leads out of the folder, and nothing is larger than its kind may be.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from vae_core.errors import UserError
from vae_core.runs import Run, layout

PIECE = 4 * 2**20
"""Bytes of a file that travel at a time."""

SAVE = (layout.WEIGHTS, layout.STATE, layout.BEST)
"""What makes a save, which comes as one."""

GOES = (
    layout.CONFIG,
    layout.CHOICES,
    layout.DATA_CARD,
    layout.PARTS,
    layout.ENVIRONMENT,
    layout.HISTORY,
    layout.INITIAL,
    layout.INITIAL_CARD,
    layout.SELECTION,
    *SAVE,
    layout.NEXT_STATE,
    layout.NEXT_BEST,
)
"""All that a worker reads of the run that it begins or goes on with; the last two where a save was
cut off, which it completes."""

COMES = (
    layout.CONFIG,
    layout.CHOICES,
    layout.DATA_CARD,
    layout.PARTS,
    layout.ENVIRONMENT,
    layout.ENCODINGS,
    layout.THUMBNAILS,
    layout.THUMBNAIL,
    layout.SUMMARY,
)
"""What a worker writes anew each time, beside history, log, status, previews and saves."""

PREVIEW = re.compile(rf"{layout.PREVIEWS}/[0-9a-z-]{{1,60}}\.png")
MOST_PREVIEWS = 10_000

LONGEST_LOG = 64 * layout.MB
"""Of a worker's output; what comes after it stays where it is."""

_TAIL = 4096


@dataclass(frozen=True)
class Found:
    """A file that waits to be fetched: `token` changes with each writing. `data` is all of it where
    it is small, else None."""

    token: str
    size: int
    data: bytes | None = None


@dataclass(frozen=True)
class Changes:
    """What is new in the folder of a run at its place.

    over: its worker has ended, and there will be nothing else. status: its status file.
    history: whole lines from byte `history_from` on, which is 0 where those before have changed.
    more: there is more of the history or the log at once. log: what came since the last time.
    files: by name, what was written since. save: whether weights, state and best are one save.
    host: which machine that is.
    """

    over: bool
    status: bytes
    history_from: int
    history: bytes
    log_from: int
    log: bytes
    more: bool
    files: Mapping[str, Found] = field(default_factory=dict)
    host: str = ""


def travels(name: str, names: tuple[str, ...]) -> str:
    """The name itself, where it is one of `names` or a preview. A UserError for any other."""
    if name in names or PREVIEW.fullmatch(name):
        return name
    raise UserError(f"A file called {name[:80]!r} came from the cluster; it is none of a run.")


def within(name: str, size: int) -> int:
    """The size itself, where a file of that name may have it. A UserError where it may not."""
    try:
        layout.require_within(name, size)
    except OSError as error:
        raise UserError(f"{name} came from the cluster, but {error}.") from None
    return size


def tail(run: Run, name: str, size: int) -> str:
    """What the last of the first `size` bytes of a file are, as a digest: two files that grow, and
    have the same there, have the same before it."""
    start = max(0, size - _TAIL)
    try:
        with run.opened(name) as file:
            file.seek(start)
            data = file.read(size - start)
    except OSError:
        data = b""
    return hashlib.blake2b(data, digest_size=16).hexdigest()
