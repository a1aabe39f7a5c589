"""A run that is trained on a cluster, as it comes to lie in its store while that goes on.

The mirror holds the lease of the run, as a worker on this machine would, and writes what is new at
its place into the folder: so everybody sees the run as if it were trained here. A place that is
lost (its machine was killed, its worker ran out of memory) is replaced by another one, which
begins with the last save that came back. Where the mirror is killed, the place goes on; the next
mirror finds it by its name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from vae_core.errors import LeaseLost, Stopped, UserError
from vae_core.progress import Progress, no_progress
from vae_core.runs import ACTIVE, Run, State, Status, Store, layout
from vae_core.runs.atomic import open_to_append
from vae_core.runs.migrations import stored_config, to_store
from vae_core.runs.saves import write_save
from vae_core.runs.schemas import Placement
from vae_core.training.cluster.collection import Collection, place_of
from vae_core.training.cluster.luggage import (
    COMES,
    GOES,
    LONGEST_LOG,
    MOST_PREVIEWS,
    PIECE,
    SAVE,
    Changes,
    Found,
    tail,
    travels,
    within,
)
from vae_core.training.control import Control
from vae_core.training.watchdog import record_stop
from vae_core.units import gigabytes

if TYPE_CHECKING:
    from vae_core.training.events import Event

POLL_S = 0.3
"""Between two looks at what is new: so live are the charts."""

WAIT_S = 0.5

STOP_S = 60.0
"""From the request to stop to the end of a place that does not answer: a save may have to come."""

MOST_LOSSES = 3
"""Places that may be lost without a new save between them; then the run itself is what kills."""

Tick = Callable[[], None]


class Left(BaseException):
    """Nobody follows the run any more, and its place goes on."""


class Gone(Exception):
    """A place is lost, with what had not come back from it; the text says why."""


class Away(Exception):
    """The cluster does not answer for now; the text says why."""


class Remote(Protocol):
    """A place in a cluster, see `Place`."""

    def ask(self, method: str, *arguments: Any, tick: Tick) -> Any:
        """What a method of the place returns. `tick` is called twice a second until then, which
        may be long where the place is waited for; what it raises comes out of here.

        Raises:
            Gone, Away: see there. UserError: as the method does.
        """

    def end(self) -> None:
        """Kill the place, and what waits for it."""


class Cluster(Protocol):
    """Machines on which places are found."""

    def find(self, name: str) -> Remote | None:
        """The place of this name; None where there is none, or it is lost. An `Away`."""

    def begin(self, name: str, placement: Placement) -> Remote:
        """A new place, as soon as there is room for it. An `Away`."""

    def shared(self, key: str, piece: bytes) -> Any:
        """What to hand over in place of a piece of a collection, so that it goes to each machine
        once; `key` tells it from others. An `Away`."""

    def waits_for(self, placement: Placement) -> str:
        """Why a place is not there yet, in words; "" where that is not known."""

    def reconnect(self) -> None:
        """Look whether it answers again. An `Away` where it does not."""

    def leave(self) -> None:
        """Let go of the connection; places go on."""


def place_name(run: Run, placement: Placement) -> str:
    """What the place of a run is called: a copy of its folder under another name has none."""
    return f"{run.id}-{placement.id}"


class Mirror:
    """Has one run trained on a cluster. This process holds the run."""

    def __init__(
        self,
        run: Run,
        cluster: Cluster,
        control: Control,
        progress: Progress = no_progress,
        options: Sequence[str] = (),
        needed_s: float | None = None,
    ) -> None:
        """`control`: messages to the run, which are handed on. `options`, `needed_s`: as
        `Place.begin` has them."""
        self.run, self.cluster = run, cluster
        self._control, self._progress = control, progress
        self._options, self._needed_s = list(options), needed_s
        self.placement = run.parse(layout.PLACEMENT, Placement)
        config = run.config()
        self._data_dir, self._track = config.data.data_dir, config.train.track
        self._messages: list[dict[str, Any]] = []
        self._activity, self._reported_at = "Connecting to the cluster", 0.0
        self._paused = self._following = False
        self._stopped_at: float | None = None
        self._leaving = threading.Event()
        # Of the place that is followed: the files that came from it, bytes of its log, its status.
        self._seen: dict[str, str] = {}
        self._log: int | None = None
        self._said, self._status = b"", Status()

    def leave(self) -> None:
        """From another thread: follow no more, and let the place go on."""
        self._leaving.set()

    def follow(self) -> Status:
        """Train the run to its end, or until it is stopped; its last status.

        Raises:
            LeaseLost: when the run is deleted or taken over meanwhile.
            UserError: what a person can mend; it is in the status too.
        """
        if not self._track:
            return self._follow()
        from vae_core.training.events import Ended  # torch
        from vae_core.training.following import Following

        def note(event: Event) -> None:
            print(getattr(event, "message", ""), flush=True)

        tracked = Following(self.run, self._track, note)
        status = self._follow()
        tracked.finish(Ended(status.step, status.epoch, 0.0, status.state == "finished"), note)
        return status

    def _follow(self) -> Status:
        losses: list[int | None] = []
        while True:
            remote: Remote | None = None
            try:
                remote = self._attached()
                status = self._until_over(remote)
                remote.end()
                if status.state not in ACTIVE:
                    return status
                raise Gone(
                    f"its worker ended there, {self.run.log_tail(1) or 'killed'}".rstrip(".")
                )
            except Gone as lost:
                if self._stopped_at is not None:
                    record_stop(self.run, self._activity)
                    return self.run.last_status()
                saved = self.run.weights_step()
                losses = [step for step in losses if step == saved] + [saved]
                print(f"The place of {self.run.id} is lost: {lost}.", flush=True)
                if len(losses) >= MOST_LOSSES:
                    if remote is not None:
                        remote.end()  # nobody is sure what it does
                    return self._close(
                        "interrupted", f"It was lost {MOST_LOSSES} times: {lost}. Resume to retry."
                    )
            except Away as away:
                self._wait_for_cluster(away)
            except Stopped:
                if remote is not None:
                    remote.end()
                record_stop(self.run, self._activity)
                return self.run.last_status()
            except Left:
                return self.run.last_status()
            except LeaseLost:
                if remote is not None and not self.run.path.is_dir():
                    remote.end()  # it was deleted; whoever took it over goes on with the place
                raise
            except UserError as error:
                if remote is not None:
                    remote.end()
                self._close("failed", str(error))
                raise

    # --- from nothing to a worker --------------------------------------------------------------

    def _attached(self) -> Remote:
        """The run's place, with its worker begun."""
        self._following = False
        self._forget_place()
        name = place_name(self.run, self.placement)
        remote = self.cluster.find(name)
        if remote is not None:
            self._report("Taking up what goes on in the cluster")
            self._following = True  # a stop is for its worker to obey
            if remote.ask("begun", tick=self._tick):
                return remote
            self._following = False
            remote.end()  # the mirror that sent things there is no more
        remote = self.cluster.begin(name, self.placement)
        try:
            self._report(self._waiting())
            remote.ask("begun", tick=self._wait)
            self._send(remote)
        except BaseException:
            remote.end()
            raise
        return remote

    def _send(self, remote: Remote) -> None:
        """All that the worker needs: images, files of the run, and the request to begin."""
        config = self.run.config().data
        if config.selection is not None:
            from vae_core.selections import take_selection  # imports torch

            take_selection(self.run, config, Store(self.run.path.parent))
        images = place_of(config)
        if images is not None:
            self._send_images(remote, Collection(images))
        self._report("Sending the run to the cluster")
        for name in filter(self.run.has, GOES):
            for offset, piece in self._pieces(name):
                remote.ask("take", name, offset, piece, tick=self._tick)
        self._report("Starting in the cluster")
        remote.ask("begin", self._options, self._needed_s, tick=self._tick)

    def _send_images(self, remote: Remote, collection: Collection) -> None:
        def progress(message: str, share: float | None) -> None:
            self._report(message, share)
            self._tick()

        digest = collection.digest(progress)
        while (state := remote.ask("collection", digest, tick=self._tick)) == "wait":
            self._report("Waiting for the images, which are sent there for another run")
            self._pause(WAIT_S)
        if state == "there":
            return
        offset = 0
        for piece in collection.pieces(progress):
            shared = self.cluster.shared(f"{digest}-{offset}", piece)
            remote.ask("take_images", offset, shared, tick=self._tick)
            offset += len(piece)
        self._report(f"Unpacking the images, {gigabytes(collection.bytes)}")
        remote.ask("finish_images", tick=self._tick)

    def _pieces(self, name: str) -> Iterator[tuple[int, bytes]]:
        offset = 0
        try:
            with self.run.opened(name) as file:
                while (piece := file.read(PIECE)) or not offset:
                    yield offset, piece
                    if not piece:
                        return
                    offset += len(piece)
        except OSError as error:
            raise self.run.unreadable(name, error) from None

    # --- while it goes on ----------------------------------------------------------------------

    def _until_over(self, remote: Remote) -> Status:
        """Write down what is new until the worker has ended; its last status."""
        self._following = True
        while True:
            if self._messages:
                told, self._messages = self._messages, []
                remote.ask("send", told, tick=self._tick)
            changes: Changes = remote.ask("changes", *self._known(), tick=self._tick)
            self._apply(remote, changes)
            if changes.over and not changes.more:
                return self._status
            if not changes.more:
                self._pause(POLL_S)

    def _known(self) -> tuple[dict[str, str], tuple[int, str], int | None]:
        size = self.run.size(layout.HISTORY)
        return dict(self._seen), (size, tail(self.run, layout.HISTORY, size)), self._log

    def _apply(self, remote: Remote, changes: Changes) -> None:
        """The history first: it is never behind the save that it leads to. The status last: what
        it speaks of is there."""
        self._take_history(changes)
        self._take_log(changes)
        for name, found in changes.files.items():
            if name not in SAVE:
                self._take_file(remote, name, found)
        if layout.WEIGHTS in changes.files and not changes.more:
            self._take_save(remote, changes.files)
        if not changes.more:
            self._take_status(changes)

    def _take_history(self, changes: Changes) -> None:
        if not changes.history and changes.history_from == self.run.size(layout.HISTORY):
            return
        within(layout.HISTORY, changes.history_from + len(changes.history))
        if changes.history_from == 0:  # it went back to a save, say
            if changes.history or self.run.size(layout.HISTORY):
                self.run.write_bytes(layout.HISTORY, changes.history)
        elif changes.history_from == self.run.size(layout.HISTORY):
            self.run.append_lines(layout.HISTORY, changes.history)

    def _take_log(self, changes: Changes) -> None:
        self._log = changes.log_from + len(changes.log)
        if changes.log and self.run.size(layout.LOG) + len(changes.log) <= LONGEST_LOG:
            self.run.check_lease()
            with open_to_append(self.run.file(layout.LOG)) as log:
                log.write(changes.log)

    def _take_file(self, remote: Remote, name: str, found: Found) -> None:
        name = travels(name, COMES)
        if name not in COMES and len(self.run.names(layout.PREVIEWS)) >= MOST_PREVIEWS:
            return
        if name == layout.CONFIG:
            self._take_config(b"".join(self._fetched(remote, name, found)))
        else:
            self.run.write_bytes(name, self._fetched(remote, name, found))
        self._seen[name] = found.token

    def _take_config(self, content: bytes) -> None:
        """The settings as the worker resolved them, with what is of this machine: where the images
        lie, and who follows."""
        try:
            config = stored_config(content.decode()).config
        except UnicodeDecodeError as error:
            raise self.run.damaged(layout.CONFIG, str(error)) from None
        data = config.data.model_copy(update={"data_dir": self._data_dir})
        train = config.train.model_copy(update={"track": self._track})
        config = config.model_copy(update={"data": data, "train": train})
        if config != self.run.config():
            self.run.write_json(layout.CONFIG, to_store(config))

    def _take_save(self, remote: Remote, files: Mapping[str, Found]) -> None:
        for name in filter(files.__contains__, SAVE):
            within(name, files[name].size)  # before any of them is written
        weights, state = (
            self._fetched(remote, name, files[name]) for name in (layout.WEIGHTS, layout.STATE)
        )
        best = files.get(layout.BEST)
        if best is not None and best.token == self._seen.get(layout.BEST):
            best = None
        better = None if best is None else self._fetched(remote, layout.BEST, best)
        write_save(self.run, weights, state, better)
        self._seen.update({name: files[name].token for name in SAVE if name in files})

    def _fetched(self, remote: Remote, name: str, found: Found) -> Iterator[bytes]:
        """The content of a file, which never has more bytes than were announced."""
        left = within(name, found.size)
        if found.data is not None:
            yield found.data[:left]
            return
        while left > 0:
            piece = remote.ask("read", name, found.size - left, tick=self._tick)[:left]
            if not piece:
                raise Gone(f"{name} ended early")
            left -= len(piece)
            yield piece

    def _take_status(self, changes: Changes) -> None:
        try:
            status = Status.model_validate_json(changes.status, extra="ignore")
        except ValidationError:
            return  # none was written yet
        self._status = status
        if status.state in ACTIVE and changes.over:
            return  # its worker was killed
        if changes.status != self._said:
            self._said = changes.status
            self.run.write_json(layout.STATUS, status)
            self._activity = status.message or "Training"
            self._progress(*_in_words(status, changes.host))

    # --- what is said of it --------------------------------------------------------------------

    def _report(self, message: str, share: float | None = None) -> None:
        """Say in the status what goes on before there is a worker that says so itself."""
        self._activity = message
        self._progress(message, share)
        shown = message if share is None else f"{message}, {share:.0%}"
        state: State = "paused" if self._paused else "starting"
        status = self.run.last_status()
        if (status.state, status.message) != (state, shown):
            self.run.set_status(status.model_copy(update={"state": state, "message": shown}))
        self._reported_at = time.monotonic()

    def _close(self, state: State, message: str) -> Status:
        status = self.run.last_status().model_copy(update={"state": state, "message": message})
        self.run.set_status(status)
        return status

    def _waiting(self) -> str:
        why = self.cluster.waits_for(self.placement)
        return f"Waiting for a free place in the cluster{f': {why}' if why else ''}"

    # --- small things --------------------------------------------------------------------------

    def _tick(self) -> None:
        """Look for messages. A `Stopped` where there is nothing to save, or no time for it."""
        if self._leaving.is_set():
            raise Left
        for message in self._control():
            match message.command:
                case "stop":
                    if not self._following or self._stopped_at is not None:
                        raise Stopped(self._activity)
                    self._stopped_at = time.monotonic()
                case "pause" | "resume":
                    self._paused = message.command == "pause"
            told = {"command": message.command, "name": message.name, "value": message.value}
            self._messages.append(told)
        if self._stopped_at is not None and time.monotonic() - self._stopped_at > STOP_S:
            raise Stopped(self._activity)

    def _wait(self) -> None:
        self._tick()
        if time.monotonic() - self._reported_at > 4 * WAIT_S:
            self._report(self._waiting())

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)
        self._tick()

    def _wait_for_cluster(self, away: Away) -> None:
        print(f"The cluster of {self.run.id} does not answer: {away}.", flush=True)
        while True:
            self._following = False  # a stop has nothing to wait for
            self._report("The cluster does not answer; it is asked again until it does")
            self._pause(4 * WAIT_S)
            try:
                self.cluster.reconnect()
                return
            except Away:
                continue

    def _forget_place(self) -> None:
        """What is known of a place is not known of the next one."""
        self._seen, self._log = {}, None
        self._said, self._status = b"", Status()


def _in_words(status: Status, host: str) -> tuple[str, float | None]:
    if not status.step:
        return status.message or f"Starting on {host}", None
    share = status.step / status.total_steps if status.total_steps else None
    said = f"{status.state.capitalize()} on {host}: step {status.step} of {status.total_steps}"
    speed = f", {status.images_per_s:.0f} images/s" if status.images_per_s else ""
    return said + speed, share
