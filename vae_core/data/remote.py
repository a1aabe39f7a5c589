"""Collections that lie elsewhere: their files are brought here, each once, and read as any other.

What comes goes to the cache piece by piece; a file that breaks off goes on where it ended, and
begins again where it is another one by now, or its server gives no parts of it. Nothing is opened
before all of it is there, and then within the bounds that hold for everybody's files.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from os import replace, utime
from pathlib import Path
from typing import Any

from vae_core.data.addresses import (
    RemoteFile,
    file_system,
    host,
    in_words,
    listed,
    mark,
    told_of,
)
from vae_core.data.cache import CacheLock, acquire, mark_used, require_space
from vae_core.data.npy import SUMMARY
from vae_core.errors import UserError
from vae_core.files import replacing
from vae_core.locations import CACHE_VARIABLE, cache_folder, data_folder, is_address
from vae_core.progress import Progress
from vae_core.signed import signature_of, without_signature
from vae_core.units import gigabytes, grouped

FILES = "files"
PIECE = 8 * 2**20
"""Bytes that are asked for at once, and held in memory for each file on its way."""

AT_ONCE = 4
"""Files that come at once."""

TRIES, FIRST_WAIT_S = 6, 0.5
"""Of a piece, each after twice as long: half a minute without a connection is waited for."""

MOST_UNSIZED = 20_000_000_000
"""Bytes of a file whose server does not say how many it has."""

POLL_S = 0.25


@contextmanager
def brought_here(place: str, progress: Progress) -> Iterator[Path]:
    """The folder or file that `place` names, a path or an address; it stays for the `with` block.

    Raises:
        UserError: when it cannot be fetched; what came is kept for the next try.
    """
    if not is_address(place):
        yield data_folder(place)
        return
    path, lock = _fetched(without_signature(place), progress)
    try:
        yield path
    finally:
        lock.release()


def _fetched(address: str, progress: Progress) -> tuple[Path, CacheLock]:
    """The files of an address, held by a lock: of several processes one fetches, others wait."""
    system = file_system(address, signature_of(address))
    entry = cache_folder() / f"remote-{hashlib.sha256(address.encode()).hexdigest()[:20]}"
    wanted: list[RemoteFile] | None = None
    while True:
        try:
            entry.mkdir(parents=True, exist_ok=True)
            lock = acquire(entry, exclusive=False)
            if lock is not None:
                if wanted is None:
                    try:
                        wanted = listed(system, address, progress)
                    except BaseException as error:
                        # What was fetched before serves without a connection too.
                        if isinstance(error, UserError) and (kept := _kept(entry)):
                            return kept, lock
                        lock.release()
                        raise
                if _are_there(entry, wanted):
                    mark_used(entry)
                    return _opened(entry, wanted), lock
                lock.release()
                lock = acquire(entry, exclusive=True)
            if lock is None:
                progress("Another process is fetching these files", None)
                time.sleep(POLL_S)
                continue
        except FileNotFoundError:  # it has just been removed
            continue
        except OSError as error:
            raise _unwritable(entry, error) from None
        assert wanted is not None
        try:
            _fetch_all(system, wanted, entry, progress)
        except BaseException:
            lock.release()
            raise
        lock.share()
        return _opened(entry, wanted), lock


def _kept(entry: Path) -> Path | None:
    """What an earlier call has fetched whole, whatever has become of it since."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads((entry / SUMMARY).read_text())["files"]
        paths = [entry / FILES / str(name) for name, _ in found]
        if all(path.is_file() for path in paths):
            return paths[0] if len(paths) == 1 else entry / FILES
    return None


def _are_there(entry: Path, wanted: Sequence[RemoteFile]) -> bool:
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads((entry / SUMMARY).read_text())["files"]
        return kept == [[each.name, each.mark] for each in wanted] and all(
            _is_whole(entry / FILES / each.name, each) for each in wanted
        )
    return False


def _opened(entry: Path, wanted: Sequence[RemoteFile]) -> Path:
    return entry / FILES / wanted[0].name if len(wanted) == 1 else entry / FILES


def _fetch_all(system: Any, wanted: list[RemoteFile], entry: Path, progress: Progress) -> None:
    """Bring what is not there yet, some at a time."""
    folder = entry / FILES
    try:
        (entry / SUMMARY).unlink(missing_ok=True)
        parts = {
            folder / each.name: folder / f"{each.name}.{each.mark[:12]}.part" for each in wanted
        }
        if folder.exists():
            for path in folder.rglob("*"):  # what is no longer named, or is another file by now
                if path.is_file() and path not in parts and path not in parts.values():
                    path.unlink()
        left = []
        for each in wanted:
            (folder / each.name).parent.mkdir(parents=True, exist_ok=True)
            if not _is_whole(folder / each.name, each):
                (folder / each.name).unlink(missing_ok=True)
                left.append(each)
    except OSError as error:
        raise _unwritable(entry, error) from None
    come = _Come(left, parts, folder)
    require_space(come.total - come.bytes, entry, "The files")
    over = threading.Event()
    pool = ThreadPoolExecutor(AT_ONCE, "fetch")
    fetching = [
        pool.submit(_fetch, system, each, folder / each.name, parts[folder / each.name], come, over)
        for each in left
    ]
    try:
        while not all(each.done() for each in fetching):
            progress(come.message(host(wanted[0].url)), come.share)
            done, _ = wait(fetching, POLL_S)
            for ended in done:
                ended.result()
        for ended in fetching:
            ended.result()
        with replacing(entry / SUMMARY) as file:
            file.write(json.dumps({"files": [[each.name, each.mark] for each in wanted]}).encode())
    except OSError as error:
        raise _unwritable(entry, error) from None
    finally:
        over.set()
        pool.shutdown(wait=False, cancel_futures=True)


class _Come:
    """What has come of how much."""

    def __init__(self, left: Sequence[RemoteFile], parts: dict[Path, Path], folder: Path) -> None:
        self.files, self.bytes = len(left), 0
        self.total = sum(each.size or 0 for each in left)
        for each in left:
            with suppress(OSError):
                self.bytes += parts[folder / each.name].stat().st_size
        self._began, self._before = time.monotonic(), self.bytes

    @property
    def share(self) -> float | None:
        return min(1.0, self.bytes / self.total) if self.total else None

    def message(self, host: str) -> str:
        files = "1 file" if self.files == 1 else f"{grouped(self.files)} files"
        of_all = f" of {gigabytes(self.total)}" if self.total else ""
        speed = (self.bytes - self._before) / max(1e-3, time.monotonic() - self._began)
        return (
            f"Fetching {files} from {host}: {gigabytes(self.bytes)}{of_all}, "
            f"{gigabytes(int(speed))}/s"
        )


def _fetch(
    system: Any, file: RemoteFile, path: Path, part: Path, come: _Come, over: threading.Event
) -> None:
    """One file, piece by piece into `part`, which then becomes `path`."""
    failed, in_pieces = 0, file.size is not None
    while True:
        have = part.stat().st_size if part.exists() else 0
        if have and not in_pieces:  # it comes in no pieces, so it begins again
            part.unlink()
            come.bytes, have = come.bytes - have, 0
        try:
            for piece in _pieces(system, file, have, in_pieces):
                if over.is_set():
                    return
                with part.open("ab") as out:
                    out.write(piece)
                come.bytes, have, failed = come.bytes + len(piece), have + len(piece), 0
                if have > (MOST_UNSIZED if file.size is None else file.size):
                    part.unlink()
                    raise UserError(f"{file.url} has more bytes than its server said; try again.")
            if file.size is not None and have < file.size:
                raise _BrokenOff from ConnectionError(f"it ended after {gigabytes(have)}")
            break
        except _BrokenOff as broken:
            error = broken.__cause__
            if in_pieces and isinstance(error, ValueError):
                in_pieces = False
                continue
            failed += 1
            if failed == TRIES or _is_final(error):
                raise UserError(
                    f"{file.url} could not be fetched: {in_words(error)}. What has come is kept; "
                    "try again once the server can be reached."
                ) from None
            over.wait(FIRST_WAIT_S * 2 ** (failed - 1))
        if over.is_set():
            return
    if mark(file.name, told_of(system, file.url)) != file.mark:
        part.unlink()
        raise UserError(
            f"{file.url} changed while it was fetched. Wait until nothing is written there, then "
            "try again."
        )
    utime(part, ns=(_moment(file), _moment(file)))
    replace(part, path)


class _BrokenOff(Exception):
    """A file did not come to its end; the cause is whatever its protocol raised."""


def _pieces(system: Any, file: RemoteFile, have: int, in_pieces: bool) -> Iterator[bytes]:
    """What is missing of a file; all of it, in one answer, where it comes in no pieces."""
    options = {"block_size": PIECE, "cache_type": "none"} if in_pieces else {"block_size": 0}
    try:
        with system.open(file.url, "rb", **options) as remote:
            if have:
                remote.seek(have)
            while piece := remote.read(PIECE):
                yield piece
    except Exception as error:  # each protocol has errors of its own
        raise _BrokenOff from error


def _is_final(error: BaseException | None) -> bool:
    """Whether trying again is in vain: fsspec says of all that fails that it is not there."""
    status = getattr(error and (error.__cause__ or error), "status", None)
    if isinstance(status, int):
        return 400 <= status < 500 and status not in (408, 429)
    return isinstance(error, PermissionError) or (
        isinstance(error, FileNotFoundError) and error.__cause__ is None
    )


def _moment(file: RemoteFile) -> int:
    """A time for the file here, in ns: the same whenever the same file is fetched, so that what was
    prepared of it is found again."""
    return int(file.mark[:8], 16) // 2 * 10**9


def _is_whole(path: Path, file: RemoteFile) -> bool:
    with suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns == _moment(file) and file.size in (None, found.st_size)
    return False


def _unwritable(entry: Path, error: OSError) -> UserError:
    return UserError(
        f"What is fetched could not be written to {entry.parent}: {in_words(error)}. Free some "
        f"space there, or let the environment variable {CACHE_VARIABLE} name another folder."
    )
