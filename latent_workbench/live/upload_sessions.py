"""What each session has uploaded: kept on disk for it alone, and deleted when it ends."""

from __future__ import annotations

import atexit
import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from latent_workbench.live.http import Refused
from vae_core.data.cache import CacheLock, lock_upload
from vae_core.data.uploads import LEAST_IMAGES, MB, Announced, Upload, begin_upload
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
        megabytes = float(os.environ.get(LIMIT_VARIABLE) or DEFAULT_MB)
    except ValueError:
        megabytes = DEFAULT_MB
    return round(max(0.0, megabytes) * MB)


def most_looked_at() -> int:
    """What may be uploaded by those who may only look: no more than a tenth of a gigabyte."""
    return min(most_bytes(), 100 * MB)


@dataclass
class SessionUploads:
    """One session's uploads: at most one that is kept and one on its way.

    kind: what its addresses begin with. least: images of an upload. most: its bytes, None for
    `most_bytes`. room: bytes that all sessions of this kind have left together.
    """

    kind: str = "uploads"
    least: int = LEAST_IMAGES
    most: int | None = None
    room: Callable[[], float] = lambda: math.inf
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    finished: Upload | None = None
    incoming: Upload | None = None
    closed: bool = False
    _lease: CacheLock | None = None
    """What keeps others from clearing away what is kept, whatever page is looked at."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def largest(self) -> int:
        """Bytes that an upload may have."""
        return most_bytes() if self.most is None else self.most

    @property
    def held(self) -> int:
        """Bytes of what is kept and of what is on its way."""
        return sum(each.bytes for each in (self.finished, self.incoming) if each is not None)

    def begin(self, files: Sequence[Announced]) -> Upload:
        """Make room for what is to come, in place of whatever was still on its way.

        Raises:
            UserError: as `begin_upload`.
        """
        with self._lock:
            self._drop(self.incoming)
            self.incoming = None
            if self.closed:
                raise _gone()
            if sum(file.size for file in files) > self.room():
                raise UserError("Others here look at many images just now; try again soon.")
            self.incoming = begin_upload(files, self.largest, least=self.least)
            return self.incoming

    def find(self, upload_id: str) -> Upload:
        """What is on its way under this name.

        Raises:
            Refused: when nothing is: it was taken back, or another one has taken its place.
        """
        incoming = self.incoming
        if incoming is None or not secrets.compare_digest(incoming.id.encode(), upload_id.encode()):
            raise Refused(404, "This upload was taken back or replaced by another one.")
        return incoming

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
            if self.incoming is not upload:  # taken back while it was looked at
                upload.remove()
                raise _gone()
            before, self.finished, self.incoming = self.finished, upload, None
            self._lease = lock_upload(upload.path)
        self._drop(before)

    def abandon(self, upload: Upload) -> None:
        """Delete what did not come whole."""
        with self._lock:
            if self.incoming is upload:
                self.incoming = None
        self._drop(upload)

    def discard(self) -> None:
        """Forget both; what a run was trained on stays with the run."""
        with self._lock:
            incoming, finished = self.incoming, self.finished
            self.incoming = self.finished = self._lease = None
        self._drop(incoming)
        self._drop(finished)

    def close(self) -> None:
        """As `discard`, for good."""
        self.closed = True
        self.discard()

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


class UploadSessions:
    """The sessions of all sessions, by token. Each ends some time after its session has."""

    def __init__(
        self,
        away_s: float = AWAY_S,
        kind: str = "uploads",
        least: int = LEAST_IMAGES,
        together: float = math.inf,
    ) -> None:
        """`together`: bytes that all its sessions may hold."""
        self.kind = kind
        self._least, self._together = least, together
        self._away_s = away_s
        self._sessions: dict[str, tuple[SessionUploads, Callable[[], bool]]] = {}
        self._lock = threading.Lock()
        self._watching = False

    def open(self, is_there: Callable[[], bool], most: int | None = None) -> SessionUploads:
        """The uploads of a session that lives while `is_there()`, and `away_s` longer; of at most
        `most` bytes each."""
        uploads = SessionUploads(self.kind, self._least, most, self.room)
        with self._lock:
            self._sessions[uploads.token] = (uploads, is_there)
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="upload-sessions", daemon=True).start()
        return uploads

    def room(self) -> float:
        """Bytes that its sessions may still bring together."""
        return self._together - sum(uploads.held for uploads, _ in [*self._sessions.values()])

    def get(self, token: str) -> SessionUploads:
        """The uploads of this token.

        Raises:
            Refused: when there is none.
        """
        entry = self._sessions.get(token)
        if entry is None:
            raise Refused(404, str(_gone()))
        return entry[0]

    def close_all(self) -> None:
        """End all of them: the server stops."""
        with self._lock:
            sessions = [uploads for uploads, _ in self._sessions.values()]
            self._sessions.clear()
        for uploads in sessions:
            uploads.close()

    def _watch(self) -> None:
        """End the sessions whose sessions have been away for too long, until none is left."""
        seen: dict[str, float] = {}
        while True:
            time.sleep(self._away_s / 5)
            with self._lock:
                entries = dict(self._sessions)
                if not entries:
                    self._watching = False
                    return
            now = time.monotonic()
            for token, (uploads, is_there) in entries.items():
                if is_there():
                    seen[token] = now
                elif now - seen.setdefault(token, now) > self._away_s:
                    with self._lock:
                        self._sessions.pop(token, None)
                    del seen[token]
                    uploads.close()


UPLOADS = UploadSessions()
"""Images to be trained on."""

LOOKS = UploadSessions(kind="looks", least=1, together=4000 * MB)
"""Images that a model is only to be shown, which those who may only look may bring, too."""

for _sessions in (UPLOADS, LOOKS):
    atexit.register(_sessions.close_all)


def _gone() -> UserError:
    return UserError("This page's session has ended; reload the page and upload again.")
