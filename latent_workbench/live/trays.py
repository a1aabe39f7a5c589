"""What each session has uploaded: kept on disk for it alone, and deleted when it ends."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from latent_workbench.live.http import Refused
from vae_core.data.cache import CacheLock, lock_upload
from vae_core.data.uploads import MB, Announced, Upload, begin_upload
from vae_core.errors import UserError
from vae_core.runs import Folder, Store, layout
from vae_core.sweeps.sweep import FOLDER

LIMIT_VARIABLE = "VAE_UPLOAD_MB"
DEFAULT_MB = 2000
AWAY_S = 150.0
"""How long a session may be without its page before its uploads end; Streamlit keeps it for two
minutes, for those whose network comes and goes."""


def most_bytes() -> int:
    """What one upload may have at most: what VAE_UPLOAD_MB says, else 2 GB."""
    try:
        wish = float(os.environ.get(LIMIT_VARIABLE) or DEFAULT_MB)
    except ValueError:
        wish = DEFAULT_MB
    return round(max(0.0, wish) * MB)


@dataclass
class Tray:
    """One session's uploads: at most one that is kept and one on its way."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    kept: Upload | None = None
    coming: Upload | None = None
    closed: bool = False
    _held: CacheLock | None = None
    """What keeps others from clearing away what is kept, whatever page is looked at."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, files: Sequence[Announced]) -> Upload:
        """Make room for what is to come, in place of whatever was still on its way.

        Raises:
            UserError: as `begin_upload`.
        """
        with self._lock:
            self._drop(self.coming)
            self.coming = None
            if self.closed:
                raise _gone()
            self.coming = begin_upload(files, most_bytes())
            return self.coming

    def find(self, upload_id: str) -> Upload:
        """What is on its way under this name.

        Raises:
            Refused: when nothing is: it was taken back, or another one has taken its place.
        """
        coming = self.coming
        if coming is None or not secrets.compare_digest(coming.id.encode(), upload_id.encode()):
            raise Refused(404, "This upload was taken back or replaced by another one.")
        return coming

    def finish(self, upload: Upload) -> None:
        """Look at what has come and keep it in place of the one before.

        Raises:
            UserError: when it is refused; it is then deleted.
        """
        try:
            upload.finish()
        except BaseException:
            self.abandon(upload)
            raise
        with self._lock:
            if self.coming is not upload:  # taken back while it was looked at
                upload.remove()
                raise _gone()
            before, self.kept, self.coming = self.kept, upload, None
            self._held = lock_upload(upload.path)
        self._drop(before)

    def abandon(self, upload: Upload) -> None:
        """Delete what did not come whole."""
        with self._lock:
            if self.coming is upload:
                self.coming = None
        self._drop(upload)

    def take_back(self) -> None:
        """Forget both; what a run was trained on stays with the run."""
        with self._lock:
            uploads = (self.coming, self.kept)
            self.coming = self.kept = self._held = None
        for upload in uploads:
            self._drop(upload)

    def close(self) -> None:
        """As `take_back`, for good."""
        self.closed = True
        self.take_back()

    def receive(self, files: Sequence[tuple[str, BinaryIO, int]]) -> Upload:
        """All in one, of files that are here: (name, content, bytes) of each.

        Raises:
            UserError: as `begin` and `finish`.
        """
        upload = self.begin([Announced(name, size) for name, _, size in files])
        for index, (_, content, _) in enumerate(files):
            with upload.receiving(index) as out:
                shutil.copyfileobj(content, out)
        self.finish(upload)
        return upload

    def _drop(self, upload: Upload | None) -> None:
        if upload is not None and not is_named(upload.id):
            upload.remove()


def is_named(upload_id: str) -> bool:
    """True where a run or a sweep of the store was set up with this upload.

    Its name is drawn from 2¹²⁸, so it is looked for as text: a configuration that cannot be read
    any more protects its images as well.
    """
    store = Store().path
    for pattern in (f"*/{layout.CONFIG}", f"{FOLDER}/*/{layout.SWEEP_SPEC}"):
        for path in store.glob(pattern):
            with suppress(OSError):
                if upload_id.encode() in Folder(path.parent).read(path.name):
                    return True
    return False


class Trays:
    """The trays of all sessions, by token. Each ends some time after its session has."""

    def __init__(self, away_s: float = AWAY_S) -> None:
        self._away_s = away_s
        self._trays: dict[str, tuple[Tray, Callable[[], bool]]] = {}
        self._lock = threading.Lock()
        self._watching = False

    def open(self, is_there: Callable[[], bool]) -> Tray:
        """A tray for a session that lives while `is_there()`, and `away_s` longer."""
        tray = Tray()
        with self._lock:
            self._trays[tray.token] = (tray, is_there)
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="upload-trays", daemon=True).start()
        return tray

    def get(self, token: str) -> Tray:
        """The tray of this token.

        Raises:
            Refused: when there is none.
        """
        entry = self._trays.get(token)
        if entry is None:
            raise Refused(404, str(_gone()))
        return entry[0]

    def close_all(self) -> None:
        """End all of them: the server stops."""
        with self._lock:
            trays = [tray for tray, _ in self._trays.values()]
            self._trays.clear()
        for tray in trays:
            tray.close()

    def _watch(self) -> None:
        """End the trays whose sessions have been away for too long, until none is left."""
        seen: dict[str, float] = {}
        while True:
            time.sleep(self._away_s / 5)
            with self._lock:
                entries = dict(self._trays)
                if not entries:
                    self._watching = False
                    return
            now = time.monotonic()
            for token, (tray, is_there) in entries.items():
                if is_there():
                    seen[token] = now
                elif now - seen.setdefault(token, now) > self._away_s:
                    with self._lock:
                        self._trays.pop(token, None)
                    del seen[token]
                    tray.close()


TRAYS = Trays()
atexit.register(TRAYS.close_all)


def _gone() -> UserError:
    return UserError("This page's session has ended; reload the page and upload again.")
