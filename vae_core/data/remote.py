"""Collections that lie elsewhere: their files are brought here, each once, and read as any other.

An address is that of a file, of a folder, or of several files by `{000..099}` or `*`, in a protocol
of fsspec's. What comes goes to the cache piece by piece; a file that breaks off goes on where it
ended, and begins again where it is another one by now, or its server gives no parts of it. Nothing
is opened before all of it is there, and then within the bounds that hold for everybody's files.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import path as names
from os import replace, utime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from vae_core.data.cache import CacheLock, acquire, mark_used, require_space
from vae_core.data.npy import SUMMARY
from vae_core.errors import UserError
from vae_core.extras import PACKAGES, extra
from vae_core.files import replacing
from vae_core.imaging.archive import name_problem
from vae_core.imaging.braces import MOST_NAMES, expanded
from vae_core.imaging.kinds import kind_of
from vae_core.locations import CACHE_VARIABLE, cache_folder, data_folder, is_address
from vae_core.progress import Progress
from vae_core.signed import signature_of, without_signature
from vae_core.units import gigabytes, grouped

PROTOCOLS = frozenset(
    ("http", "https", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hf", "oss", "sftp", "ftp")
)
"""Those of fsspec's that fetch bytes from a server. Others open what lies on this machine, or run
what a file tells them to."""

FILES = "files"
PIECE = 8 * 2**20
"""Bytes that are asked for at once, and held in memory for each file on its way."""

AT_ONCE, ASKED_AT_ONCE = 4, 16
"""Files that come at once, and that are asked for their sizes at once."""

TRIES, FIRST_WAIT_S = 6, 0.5
"""Of a piece, each after twice as long: half a minute without a connection is waited for."""

SILENCE_S = 20
"""Of a server after which its connection counts as broken off."""

MOST_UNSIZED = 20_000_000_000
"""Bytes of a file whose server does not say how many it has."""

POLL_S = 0.25

_MARKS = ("ETag", "etag", "md5Hash", "Content-MD5", "Last-Modified", "LastModified", "mtime",
          "updated", "last_modified")  # fmt: skip
_SECRET = re.compile(r"(?<=://)\S+@|\?\S*")


@dataclass(frozen=True)
class RemoteFile:
    """A file as its server tells of it.

    name: below the folder that all of them share. size: None where it is not told.
    mark: another one where it is another file.
    """

    url: str
    name: str
    size: int | None
    mark: str


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
    system = _system(address, signature_of(address))
    entry = cache_folder() / f"remote-{hashlib.sha256(address.encode()).hexdigest()[:20]}"
    wanted: list[RemoteFile] | None = None
    while True:
        try:
            entry.mkdir(parents=True, exist_ok=True)
            lock = acquire(entry, exclusive=False)
            if lock is not None:
                if wanted is None:
                    try:
                        wanted = _listed(system, address, progress)
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


def _system(address: str, signature: str = "") -> Any:
    """What fsspec has for a protocol; where there is a signature, files are asked for with it."""
    protocol = urlsplit(address).scheme.lower()
    if protocol not in PROTOCOLS:
        raise UserError(
            f"Data are not read by {protocol}://; name an address that begins with https://, "
            "s3://, gs:// or the like, or a path."
        )
    fsspec = extra("fsspec", "remote", f"Reading {protocol}://")
    options: dict[str, Any] = {}
    if protocol in ("http", "https"):
        aiohttp = extra("aiohttp", "remote", f"Reading {protocol}://")
        patience = aiohttp.ClientTimeout(total=None, sock_connect=SILENCE_S, sock_read=SILENCE_S)
        options["client_kwargs"] = {"timeout": patience, "trust_env": True}  # proxies, ~/.netrc
        options["encoded"] = bool(signature)  # it is one of the address as it was written
    try:
        system = fsspec.filesystem(protocol, **options)
        return _Signed(system, signature) if signature else system
    except ImportError as error:
        packages = " ".join(PACKAGES["remote"])
        raise UserError(
            f"Reading {protocol}:// needs a package that is not installed here "
            f"({_in_words(error)}). Install it with: pip install '{packages}'"
        ) from None
    except Exception as error:  # each protocol has errors of its own
        raise UserError(
            f"{protocol}:// cannot be read here: {_in_words(error)}. Check what its tools keep of "
            "who you are."
        ) from None


class _Signed:
    """A file system of the web whose files are asked for with a signature."""

    def __init__(self, system: Any, signature: str) -> None:
        self._system, self._signature = system, signature

    def info(self, url: str) -> Any:
        return self._system.info(f"{url}?{self._signature}")

    def open(self, url: str, *mode: Any, **options: Any) -> Any:
        return self._system.open(f"{url}?{self._signature}", *mode, **options)


def _listed(system: Any, address: str, progress: Progress) -> list[RemoteFile]:
    """The files that an address names.

    Raises:
        UserError: when one is not there or the server cannot be asked.
    """
    progress(f"Asking {_host(address)} what there is", None)
    with suppress(Exception):  # not every protocol keeps what it was told before
        system.invalidate_cache()
    urls = expanded(address)
    if "*" in address or address.endswith("/"):
        urls = [found for url in urls for found in _within(system, url)]
    if len(urls) > MOST_NAMES:
        raise UserError(f"{address} names {grouped(len(urls))} files; name fewer at once.")
    if not urls:
        raise UserError(f"There is nothing that can be read at {address}; check the address.")
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        asked = [pool.submit(_asked, system, url) for url in urls]
        try:
            while not all(each.done() for each in asked):
                share = sum(each.done() for each in asked) / len(asked)
                progress(f"Asking {_host(address)} what there is", share)
                wait(asked, POLL_S)
            told = [each.result() for each in asked]
        except BaseException:
            for each in asked:
                each.cancel()
            raise
    paths = [unquote(urlsplit(url).path).strip("/") for url in urls]
    shared = names.commonpath([names.dirname(path) for path in paths])
    found = []
    for url, path, info in zip(urls, paths, told, strict=True):
        name = path[len(shared) :].strip("/")
        if not name or name_problem(name):
            raise UserError(f"{url} has no name that a file here could have; name another.")
        found.append(RemoteFile(url, name, info.get("size"), _mark(name, info)))
    return found


def _within(system: Any, url: str) -> list[str]:
    """The files in a folder, or those that a name with * stands for."""
    try:
        paths = system.glob(f"{url}*" if url.endswith("/") else url)
    except Exception as error:
        raise _unreachable(url, error) from None
    urls = [path if is_address(path) else system.unstrip_protocol(path) for path in paths]
    return sorted(each for each in urls if kind_of(urlsplit(each).path) is not None)


def _asked(system: Any, url: str) -> dict[str, Any]:
    try:
        info: dict[str, Any] = system.info(url)
    except Exception as error:
        raise _unreachable(url, error) from None
    if info.get("type") == "directory":
        raise UserError(f"{url} is a folder; end it with a slash to read what lies in it.")
    return info


def _kept(entry: Path) -> Path | None:
    """What an earlier call has fetched whole, whatever has become of it since."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        listed = json.loads((entry / SUMMARY).read_text())["files"]
        paths = [entry / FILES / str(name) for name, _ in listed]
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
            progress(come.message(_host(wanted[0].url)), come.share)
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
                    f"{file.url} could not be fetched: {_in_words(error)}. What has come is kept; "
                    "try again once the server can be reached."
                ) from None
            over.wait(FIRST_WAIT_S * 2 ** (failed - 1))
        if over.is_set():
            return
    if _mark(file.name, _asked(system, file.url)) != file.mark:
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


def _mark(name: str, info: Mapping[str, Any]) -> str:
    """Another one where a file is another."""
    told = [name, info.get("size"), *(str(info.get(key)) for key in _MARKS)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


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
        f"What is fetched could not be written to {entry.parent}: {_in_words(error)}. Free some "
        f"space there, or let the environment variable {CACHE_VARIABLE} name another folder."
    )


def _unreachable(url: str, error: Exception) -> UserError:
    return UserError(f"{url} cannot be read: {_in_words(error)}. Check the address and try again.")


def _in_words(error: BaseException | None) -> str:
    """What a server or a connection said, in one line and without what may be a key."""
    cause = error and (error.__cause__ or error)
    status = getattr(cause, "status", None)
    if isinstance(status, int):
        return f"the server answered {status} {getattr(cause, 'message', '')}".strip()
    said = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(_SECRET.sub("", str(said)).split())[:200].rstrip(".")


def _host(address: str) -> str:
    return urlsplit(address).hostname or "there"
