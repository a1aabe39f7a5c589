"""What lies at an address: the protocols that are asked, and the files that a server tells of.

An address is that of a file, of a folder, or of several files by `{000..099}` or `*`, in a protocol
of fsspec's.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from os import path as names
from typing import Any
from urllib.parse import unquote, urlsplit

from vae_core.errors import UserError
from vae_core.extras import PACKAGES, extra
from vae_core.imaging.archive import name_problem
from vae_core.imaging.braces import MOST_NAMES, expanded
from vae_core.imaging.kinds import kind_of
from vae_core.locations import is_address
from vae_core.progress import Progress
from vae_core.units import grouped

PROTOCOLS = frozenset(
    ("http", "https", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hf", "oss", "sftp", "ftp")
)
"""Those of fsspec's that fetch bytes from a server. Others open what lies on this machine, or run
what a file tells them to."""

ASKED_AT_ONCE = 16
"""Files that are asked for their sizes at once."""

POLL_S = 0.25

SILENCE_S = 20
"""Of a server after which its connection counts as broken off."""

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


def file_system(address: str, signature: str = "") -> Any:
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
            f"({in_words(error)}). Install it with: pip install '{packages}'"
        ) from None
    except Exception as error:  # each protocol has errors of its own
        raise UserError(
            f"{protocol}:// cannot be read here: {in_words(error)}. Check what its tools keep of "
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


def listed(system: Any, address: str, progress: Progress) -> list[RemoteFile]:
    """The files that an address names.

    Raises:
        UserError: when one is not there or the server cannot be asked.
    """
    progress(f"Asking {host(address)} what there is", None)
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
        asked = [pool.submit(told_of, system, url) for url in urls]
        try:
            while not all(each.done() for each in asked):
                share = sum(each.done() for each in asked) / len(asked)
                progress(f"Asking {host(address)} what there is", share)
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
        found.append(RemoteFile(url, name, info.get("size"), mark(name, info)))
    return found


def _within(system: Any, url: str) -> list[str]:
    """The files in a folder, or those that a name with * stands for."""
    try:
        paths = system.glob(f"{url}*" if url.endswith("/") else url)
    except Exception as error:
        raise _unreachable(url, error) from None
    urls = [path if is_address(path) else system.unstrip_protocol(path) for path in paths]
    return sorted(each for each in urls if kind_of(urlsplit(each).path) is not None)


def told_of(system: Any, url: str) -> dict[str, Any]:
    try:
        info: dict[str, Any] = system.info(url)
    except Exception as error:
        raise _unreachable(url, error) from None
    if info.get("type") == "directory":
        raise UserError(f"{url} is a folder; end it with a slash to read what lies in it.")
    return info


def mark(name: str, info: Mapping[str, Any]) -> str:
    """Another one where a file is another."""
    told = [name, info.get("size"), *(str(info.get(key)) for key in _MARKS)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _unreachable(url: str, error: Exception) -> UserError:
    return UserError(f"{url} cannot be read: {in_words(error)}. Check the address and try again.")


def in_words(error: BaseException | None) -> str:
    """What a server or a connection said, in one line and without what may be a key."""
    cause = error and (error.__cause__ or error)
    status = getattr(cause, "status", None)
    if isinstance(status, int):
        return f"the server answered {status} {getattr(cause, 'message', '')}".strip()
    said = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(_SECRET.sub("", str(said)).split())[:200].rstrip(".")


def host(address: str) -> str:
    return urlsplit(address).hostname or "there"
