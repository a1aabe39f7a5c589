"""Trackers follow a run: what its folder records is written for them as well.

They are told only what a save holds. Nothing before a save is ever gone back to, so what they were
told stays true: a run that was killed and resumed, or rolled back, has every step once. So they are
behind by at most the time between two saves.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from vae_core.data.cache import CacheLock, acquire
from vae_core.errors import UserError
from vae_core.files import replacing
from vae_core.nested import flat
from vae_core.runs import Run, layout
from vae_core.runs.store import is_run_name
from vae_core.training.trackers import About, Moment, Tracker, TrackerEntry, trackers
from vae_core.training.trackers.tracker import folder_of

LOOK_EVERY_S = 0.5
AT_ONCE = 500
"""Moments that a tracker is given at a time: their pictures are in memory."""

PATIENCE_S = 60.0
"""How long the files of an earlier follower may be busy."""

PROGRESS = "progress.json"
"""Beside a tracker's files: its id of the run, how many saves of the run it knows, and the step
whose measures it was told as the final ones."""

_PICTURES = ("reconstructions", "samples")
_STILLS = {"originals": layout.ORIGINALS, "corrupted": layout.CORRUPTED}
_NO_VALUES = frozenset({"step", "time", "images"})


def follow(
    run: Run,
    names: Iterable[str],
    ended: Callable[[], bool],
    say: Callable[[str], None],
    embeddings: Callable[[], Mapping[str, bytes]],
) -> None:
    """Write what a run records for trackers, until `ended`.

    A tracker that fails rests from then on; `say` is given one sentence of it, and the others go
    on. It sets variables of this process's environment, which is to be one of its own.

    Args:
        embeddings: makes the files of TensorBoard's Embedding Projector.
    """
    entries = list(_known(names, say))
    stay_at_home(entries)
    followed = [Followed(run, entry, say) for entry in entries]
    while True:
        last = ended()
        for each in followed:
            each.go_on()
        if last:
            break
        time.sleep(LOOK_EVERY_S)
    for each in followed:
        each.end(embeddings)


def _known(names: Iterable[str], say: Callable[[str], None]) -> Iterator[TrackerEntry]:
    """The trackers of these names, but for those of plug-ins that are not installed here."""
    for name in dict.fromkeys(names):
        try:
            yield trackers[name]
        except UserError as error:
            say(str(error))


def stay_at_home(entries: Iterable[TrackerEntry]) -> None:
    """See to it that no library of these calls home, or knows a key of whoever started this."""
    for entry in entries:
        for variable in [name for name in os.environ if name.startswith(entry.own or ("\0",))]:
            del os.environ[variable]
        os.environ.update(entry.environment)


class Followed:
    """One tracker of a run, and how far it is."""

    def __init__(self, run: Run, entry: TrackerEntry, say: Callable[[str], None]) -> None:
        self._run, self._entry, self._say = run, entry, say
        self._tracker: Tracker | None = None
        self._lock: CacheLock | None = None
        self._offset = self._saves = self._step = 0
        self._seconds = 0.0
        self._guarded(self._open)

    def go_on(self) -> None:
        """Write what has been saved since."""
        if self._tracker is not None:
            self._guarded(self._write)

    def end(self, embeddings: Callable[[], Mapping[str, bytes]]) -> None:
        """Write what was measured of the final weights, where it was, and let go of the files."""
        if self._tracker is not None:
            self._guarded(lambda: self._end(embeddings))
            self._rest()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # whatever a library raises must not end the others
            if not isinstance(error, UserError):
                traceback.print_exc(file=sys.stderr)
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            self._say(f"{self._entry.label} is told no more of this training: {reason}")
            self._rest()

    def _rest(self) -> None:
        tracker, self._tracker = self._tracker, None
        with suppress(Exception):
            if tracker is not None:
                tracker.close()
                remove_links(self.folder)
        if self._lock is not None:
            self._lock.release()

    @property
    def folder(self) -> Path:
        return folder_of(self._run, self._entry.name)

    def _open(self) -> None:
        for place in (layout.TRACK, f"{layout.TRACK}/{self._entry.name}"):
            self._run.require_file(place, "a folder")
        for folder in (self.folder.parent, self.folder):  # the run itself is never made anew
            folder.mkdir(exist_ok=True)
        self._lock = _wait_for(self.folder)
        remove_links(self.folder)
        known = _progress(self.folder)
        id = str(known.get("id", ""))
        about = about_run(self._run, id if is_run_name(id) else "")  # it becomes part of paths
        self._started = about.started
        saves = known.get("saves", 0)
        self._skip, self._ended = saves if isinstance(saves, int) else 0, known.get("ended")
        self._tracker = self._entry.build(self.folder, about)

    def _write(self) -> None:
        assert self._tracker is not None
        if not self._run.has(layout.CONFIG):
            raise UserError("the run was deleted.")
        moments = filter(None, map(self._moment, self._saved_records()))
        while some := list(islice(moments, AT_ONCE)):
            self._tracker.write(some)
        self._remember()

    def _saved_records(self) -> Iterator[dict[str, Any]]:
        """The records of the history that a save has followed, and that are not known yet."""
        waiting: list[dict[str, Any]] = []
        for record, end in self._run.placed_records(layout.HISTORY, self._offset):
            waiting.append(record)
            if record.get("kind") != "checkpoint":
                continue
            self._offset, self._saves = end, self._saves + 1
            if self._saves > self._skip:
                yield from waiting
            waiting = []

    def _moment(self, record: dict[str, Any]) -> Moment | None:
        step, seconds = record.get("step"), record.get("time")
        if not isinstance(step, int) or not isinstance(seconds, int | float):
            return None
        self._step, self._seconds = step, float(seconds)
        images = self._images(step) if record.get("kind") == "preview" else {}
        scalars = scalars_of(record)
        if not scalars and not images:
            return None
        return Moment(step, self._started + self._seconds, scalars, images)

    def _images(self, step: int) -> dict[str, bytes]:
        names = {kind: layout.preview(step, kind) for kind in _PICTURES}
        if step == 0:  # these stay the same all through a run
            names |= _STILLS
        found = {}
        for name, file in names.items():
            with suppress(OSError):
                found[f"{layout.PREVIEWS}/{name}"] = self._run.read(file)
        return found

    def _end(self, embeddings: Callable[[], Mapping[str, bytes]]) -> None:
        assert self._tracker is not None
        summary = self._run.summary()
        step = summary.get("step")
        if step is None or step != self._run.weights_step() or step == self._ended:
            return
        measured = {f"final/{name}": value for name, value in numbers(summary) if name != "step"}
        moment = Moment(step, self._started + self._seconds, measured, {})
        self._tracker.end(moment, embeddings)
        self._ended = step
        self._remember()

    def _remember(self) -> None:
        assert self._tracker is not None
        saves = max(self._saves, self._skip)
        known = {"id": self._tracker.id, "saves": saves, "ended": self._ended}
        if known != _progress(self.folder):
            with replacing(self.folder / PROGRESS) as file:
                file.write(json.dumps(known).encode())


def scalars_of(record: Mapping[str, Any]) -> dict[str, float]:
    """What a record of the history measures, by names such as "train/recon"."""
    part = {"step": "train", "validation": "validation"}.get(str(record.get("kind")))
    if part is None:
        return {}
    terms = record.get("terms")
    values = dict(terms) if isinstance(terms, Mapping) else {}
    values |= {name: value for name, value in record.items() if name not in _NO_VALUES}
    return {f"{part}/{name}": value for name, value in numbers(values)}


def numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Those of the values that are finite numbers."""
    for name, value in values.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield name, float(value)


def about_run(run: Run, id: str = "") -> About:
    """A run as a tracker lists it; of a folder of images the name alone is told."""
    config = run.config()
    place = config.data.data_dir
    if place is not None:
        config = config.updated({"data": {"data_dir": PurePath(place).name}})
    started = run.environment().started
    seconds = datetime.fromisoformat(started).timestamp() if started else time.time()
    told = flat(config.model_dump(mode="json", exclude={"train": {"track"}}))
    settings = {
        name: value if isinstance(value, str | int | float) else json.dumps(value)
        for name, value in told.items()
        if value is not None
    }
    return About(run.id, settings, seconds, id)


def remove_links(folder: Path) -> None:
    """Remove the links in a tracker's folder: what it writes stays in the run, whoever has sent
    that, and the run can be copied. Weights & Biases links to logs elsewhere."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink():
                path.unlink()


def _progress(folder: Path) -> dict[str, Any]:
    try:
        known = json.loads((folder / PROGRESS).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _wait_for(folder: Path) -> CacheLock:
    """Hold the files, once an earlier follower has let go of them."""
    until = time.monotonic() + PATIENCE_S
    while (lock := acquire(folder, exclusive=True)) is None:
        if time.monotonic() > until:
            raise UserError("another process writes its files.")
        time.sleep(0.1)
    return lock
