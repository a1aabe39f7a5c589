"""A run on the machine of a cluster that trains it: its folder, its worker, and what is new there.

It knows of no engine. The worker is a process such as trains a run anywhere; the run folder lies in
the cache of this machine, and goes when the place does. `Mirror` asks, this answers.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from vae_core.errors import UserError
from vae_core.locations import STORE_VARIABLE, cache_folder, module_command, module_environment
from vae_core.process import PARENT_VARIABLE
from vae_core.runs import Run, layout
from vae_core.runs.atomic import open_to_append
from vae_core.runs.migrations import to_store
from vae_core.runs.process import writer_is_running, writer_name
from vae_core.runs.tensors import Tensors
from vae_core.training.cluster.collection import Shelf
from vae_core.training.cluster.luggage import (
    COMES,
    GOES,
    PIECE,
    SAVE,
    Changes,
    Found,
    tail,
    travels,
)

FOLDER = "cluster-runs"
"""In the cache; a folder in it for each place of this machine."""

OUT = "out"
"""Beside the run: links to what was found new, which stay as they are while it is fetched."""

INLINE = 64 * 1024
"""Bytes of a file that come with the news of it."""

MOST_AT_ONCE = 100
"""Files that are told of at a time."""

FORGOTTEN_S, NEVER_BEGUN_S = 24 * 3600.0, 900.0
"""A place that nobody has asked anything for so long is given up: one whose worker has ended, and
one that never got all it needed for a worker."""


class Place:
    """One run, from what its mirror sends to the end of its worker."""

    def __init__(self, name: str, gpus: float) -> None:
        """`gpus`: what it may use of the machine's; with 0, none is seen."""
        _clear_leftovers()
        self._home = cache_folder() / FOLDER / f"{writer_name(os.getpid())}-{name}"
        self._gpus = gpus
        self.run = Run(self._home / name)
        (self.run.path / layout.PREVIEWS).mkdir(parents=True)
        (self._home / OUT).mkdir()
        self._shelf: Shelf | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._log_sent = 0
        self._needed_s: float | None = None
        self._asked = time.monotonic()

    # --- before it begins ----------------------------------------------------------------------

    def begun(self) -> bool:
        """Whether the worker was started, by this mirror or by one before it."""
        self._asked = time.monotonic()
        return self._worker is not None

    def take(self, name: str, offset: int, piece: bytes) -> None:
        """A piece of a file of the run."""
        self._asked = time.monotonic()
        path = self.run.file(travels(name, GOES))
        with path.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            file.write(piece)

    def collection(self, digest: str) -> str:
        """How it stands with the images of this digest, see `Shelf.state`."""
        self._asked = time.monotonic()
        if self._shelf is None:
            self._shelf = Shelf(digest)
        return self._shelf.state()

    def take_images(self, offset: int, piece: bytes) -> None:
        """A piece of the archive of the images."""
        self._asked = time.monotonic()
        self._the_shelf().take(offset, piece)

    def finish_images(self) -> None:
        """All of it has come. A UserError when it is not what was announced."""
        self._the_shelf().finish()
        self._asked = time.monotonic()

    def begin(self, options: list[str], needed_s: float | None = None) -> None:
        """Start the worker, once.

        Args:
            options: those of the command `work`.
            needed_s: the place is given up, and its worker ended, when nobody has asked for so
                long: somebody else then has what it was to do. None goes on to the end.
        """
        self._needed_s = needed_s
        if self.begun():
            return
        config = self.run.config()
        # Trackers follow at home.
        update: dict[str, Any] = {"train": config.train.model_copy(update={"track": ()})}
        if self._shelf is not None:
            update["data"] = config.data.model_copy(update={"data_dir": str(self._shelf.path)})
        self.run.write_json(layout.CONFIG, to_store(config.model_copy(update=update)))
        variables = {
            STORE_VARIABLE: str(self._home),
            PARENT_VARIABLE: str(os.getpid()),
            "PYTHONUNBUFFERED": "1",
        }
        if not self._gpus:
            variables["CUDA_VISIBLE_DEVICES"] = ""
        with open_to_append(self.run.file(layout.LOG)) as log:
            self._worker = subprocess.Popen(
                module_command("vae_core", "work", self.run.id, "--heard", "0", *options),
                env=module_environment(**variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    # --- while it goes on ----------------------------------------------------------------------

    def send(self, messages: list[dict[str, Any]]) -> None:
        """Messages to the worker, as `control.py` has them."""
        self._asked = time.monotonic()
        for message in messages:
            self.run.append(layout.CONTROL, message)

    def changes(self, seen: dict[str, str], history: tuple[int, str], log: int | None) -> Changes:
        """What is new.

        Args:
            seen: the tokens of files that the mirror has, by name.
            history: bytes of it that the mirror has, and their `tail`.
            log: bytes of it that the mirror has; None goes on from what the one before had.
        """
        self._asked = time.monotonic()
        over = self._worker is None or self._worker.poll() is not None  # first: all else is later
        status = self._read(layout.STATUS, 0, layout.MB)
        files, cut = self._files(seen)  # before the history, which is then never behind a save
        at = history[0] if self._continues(*history) else 0
        lines = self._read(layout.HISTORY, at, PIECE)
        lines = lines[: lines.rfind(b"\n") + 1]
        self._log_sent = self._log_sent if log is None else log
        said = self._read(layout.LOG, self._log_sent, PIECE)
        more = cut or len(lines) > PIECE // 2 or len(said) == PIECE
        if not over:  # a line that is still being written comes when it is whole
            said = said[: said.rfind(b"\n") + 1] or said[: PIECE * (len(said) == PIECE)]
        host = socket.gethostname()
        return Changes(over, status, at, lines, self._log_sent, said, more, files, host)

    def read(self, name: str, offset: int) -> bytes:
        """A piece of a file that was found new, as it was then."""
        self._asked = time.monotonic()
        path = self._out(travels(name, (*COMES, *SAVE)))
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(PIECE)

    def end(self) -> None:
        """Kill the worker where it has not ended, and leave nothing here."""
        if self._worker is not None and self._worker.poll() is None:
            self._worker.kill()
            self._worker.wait()
        if self._shelf is not None:
            self._shelf.release()
        shutil.rmtree(self._home, ignore_errors=True)

    def is_forgotten(self) -> bool:
        """Whether nobody will ever ask for what lies here."""
        idle = time.monotonic() - self._asked
        if self._worker is None:
            return idle > NEVER_BEGUN_S
        if self._needed_s is not None and idle > self._needed_s:
            return True
        return self._worker.poll() is not None and idle > FORGOTTEN_S

    # --- inside --------------------------------------------------------------------------------

    def _the_shelf(self) -> Shelf:
        if self._shelf is None:
            raise UserError("Images came before it was said which.")
        return self._shelf

    def _continues(self, size: int, digest: str) -> bool:
        """Whether the history here goes on from the one that the mirror has."""
        enough = self.run.size(layout.HISTORY) >= size
        return enough and tail(self.run, layout.HISTORY, size) == digest

    def _read(self, name: str, offset: int, most: int) -> bytes:
        try:
            with self.run.opened(name) as file:
                file.seek(offset)
                return file.read(most)
        except OSError:
            return b""

    def _files(self, seen: dict[str, str]) -> tuple[dict[str, Found], bool]:
        """What was written since, linked into a place of its own; a save as a whole or not yet. And
        whether there is more of it than is told at once."""
        for old in (self._home / OUT).iterdir():
            old.unlink()
        previews = [f"{layout.PREVIEWS}/{name}" for name in self.run.names(layout.PREVIEWS)]
        found: dict[str, Found] = {}
        for name in (*COMES, *filter(_is_preview, previews)):
            if len(found) == MOST_AT_ONCE:
                return found, True
            if (token := self._token(name)) and token != seen.get(name) and self._link(name):
                found[name] = self._found(name, token)
        return found | self._save(seen), False

    def _save(self, seen: dict[str, str]) -> dict[str, Found]:
        before = self._save_tokens()
        if not before or before[layout.WEIGHTS] == seen.get(layout.WEIGHTS):
            return {}
        linked = [self._link(name) for name in before]
        if not all(linked) or self._save_tokens() != before or not self._belong(before):
            return {}  # one is being written just now
        return {name: self._found(name, token) for name, token in before.items()}

    def _save_tokens(self) -> dict[str, str]:
        """Of weights, state and best weights, where there are some; {} while one is written."""
        if self.run.has(layout.NEXT_STATE):
            return {}
        tokens = {name: self._token(name) for name in SAVE}
        if not (tokens[layout.WEIGHTS] and tokens[layout.STATE]):
            return {}
        return {name: token for name, token in tokens.items() if token}

    def _belong(self, tokens: dict[str, str]) -> bool:
        """Whether the weights that were linked say a step."""
        with suppress(OSError, ValueError), self._out(layout.WEIGHTS).open("rb") as file:
            return Tensors(file).step() >= 0
        return False

    def _token(self, name: str) -> str:
        try:
            found = self.run.file(name).lstat()
        except OSError:
            return ""
        return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"

    def _found(self, name: str, token: str) -> Found:
        path = self._out(name)
        size = path.stat().st_size
        return Found(token, size, path.read_bytes() if size <= INLINE else None)

    def _link(self, name: str) -> bool:
        """What is written is never changed, but replaced: so a link keeps it."""
        out = self._out(name)
        out.unlink(missing_ok=True)
        try:
            os.link(self.run.file(name), out)
        except FileNotFoundError:
            return False
        except OSError:  # a file system without links
            shutil.copyfile(self.run.file(name), out)
        return True

    def _out(self, name: str) -> Path:
        return self._home / OUT / name.replace("/", ",")


def _is_preview(name: str) -> bool:
    with suppress(UserError):
        return bool(travels(name, ()))
    return False


def _clear_leftovers() -> None:
    """Remove the folders of places of this machine that were killed."""
    with suppress(OSError):
        for path in (cache_folder() / FOLDER).iterdir():
            if writer_is_running(path.name) is False:
                shutil.rmtree(path, ignore_errors=True)
