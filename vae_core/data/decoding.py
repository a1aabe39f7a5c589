"""Many pictures at once: read by threads, which wait for the drive, decoded by processes.

Threads alone decode small pictures no faster than one of them does, as they hand the interpreter's
lock to and fro (`python -m benchmarks.preparing`).
"""

from __future__ import annotations

import io
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from itertools import chain

import numpy as np

from vae_core.data.decode import NotAnImage, Target, decode
from vae_core.data.decoder import Decoder, Died
from vae_core.data.listing import Listing
from vae_core.data.reading import Refused, why
from vae_core.errors import UserError

Result = np.ndarray | str | OSError
"""An image uint8 [C, S, S]; why there is none; or why that is not known."""

ALONE_S = 0.4
"""Time after which processes are started: it is what starting them takes."""

TOGETHER, TOGETHER_BYTES = 64, 4 * 2**20
"""Pictures that go to a process at once, and the size from which it is fewer."""

TURNS = 16
"""Times that each process is given some at least, so that all end at about the same time."""

READ_AHEAD = 8
"""Threads beyond those that wait for a process: on a network drive each waits for a file."""

TICK_S = 0.25
PAUSED_S = 0.75
"""Where nobody has asked for results for so long, such as in a pause, the cores are left alone."""


def decoded(
    listing: Listing, spans: Iterable[range], target: Target, tick: Callable[[], None]
) -> Iterator[tuple[range, list[Result]]]:
    """What the files of each span give, in any order.

    Args:
        tick: called at least every 0.25 s while anything is waited for; what it raises ends all
            at once.

    Raises:
        UserError: when decoding is ended from outside, such as where memory is short.
    """
    waiting = iter(spans)
    started = time.monotonic()
    while (first := next(waiting, None)) is not None and time.monotonic() - started < ALONE_S:
        yield first, [_decoded_here(_read(listing, i), target) for i in first]
        tick()
    if first is None:
        return
    crew = _Crew(listing, chain([first], waiting), target, _cores())
    try:
        yield from crew.results(tick)
    finally:
        crew.end()


def spans_of(wanted: np.ndarray, sizes: np.ndarray) -> Iterator[range]:
    """Neighbours among the files of which `wanted` bool [N] is True, a few at a time.

    Args:
        sizes: int64 [N], bytes of each.
    """
    most = min(max(int(wanted.sum()) // (TURNS * _cores()), 1), TOGETHER)
    start, held = 0, 0
    for i, (is_wanted, size) in enumerate(zip(wanted.tolist(), sizes.tolist(), strict=True)):
        if i > start and not (is_wanted and i - start < most and held + size <= TOGETHER_BYTES):
            yield range(start, i)
            start, held = i, 0
        if is_wanted:
            held += size
        else:
            start = i + 1
    if start < len(wanted):
        yield range(start, len(wanted))


class _Crew:
    """Threads that read, processes that decode."""

    def __init__(
        self, listing: Listing, spans: Iterator[range], target: Target, processes: int
    ) -> None:
        self._listing, self._target, self._spans = listing, target, spans
        self._turn, self._large = threading.Lock(), threading.Lock()
        self._done: queue.SimpleQueue[tuple[range, list[Result]] | BaseException | None]
        self._done = queue.SimpleQueue()
        self._idle: queue.SimpleQueue[Decoder | None] = queue.SimpleQueue()
        self._over = False
        self._ticked = time.monotonic()
        self._processes: list[Decoder] = []
        for _ in range(processes):
            self._idle.put(self._hire())
        self._readers = processes + READ_AHEAD
        self._room = threading.Semaphore(self._readers + processes)  # bounds the pictures in memory
        for _ in range(self._readers):
            # Daemons: one that waits for a dead drive keeps nobody from leaving.
            threading.Thread(target=self._work, daemon=True).start()

    def results(self, tick: Callable[[], None]) -> Iterator[tuple[range, list[Result]]]:
        """Everything there is, as it comes."""
        at_work = self._readers
        while at_work:
            tick()
            self._ticked = time.monotonic()
            try:
                result = self._done.get(timeout=TICK_S)
            except queue.Empty:
                continue
            if result is None:
                at_work -= 1
            elif isinstance(result, BaseException):
                raise result
            else:
                self._room.release()
                yield result

    def end(self) -> None:
        """Leave no process and, but for those that wait for a drive, no thread."""
        with self._turn:
            self._over = True
        for process in self._processes:
            process.kill()
        for _ in range(self._readers):
            self._room.release()
            self._idle.put(None)

    def _work(self) -> None:
        try:
            while True:
                self._room.acquire()
                with self._turn:
                    span = None if self._over else next(self._spans, None)
                if span is None:
                    break
                self._done.put((span, self._results(span)))
        except _Over:
            pass
        except BaseException as error:
            self._done.put(error)
        self._done.put(None)

    def _results(self, span: range) -> list[Result]:
        # Large files take turns: as many of them as there are threads would fill the memory.
        size = int(self._listing.stamps[span.start : span.stop, 0].sum())
        with self._large if size > TOGETHER_BYTES else nullcontext():
            read = [_read(self._listing, i) for i in span]
            names = [i for i, each in zip(span, read, strict=True) if isinstance(each, bytes)]
            images = iter(self._decode([each for each in read if isinstance(each, bytes)], names))
        return [next(images) if isinstance(each, bytes) else each for each in read]

    def _decode(self, files: list[bytes], indices: list[int]) -> list[np.ndarray | str]:
        """What `files` show, also where one of them breaks a process."""
        try:
            return self._ask(files) if files else []
        except Died as death:
            if len(files) > 1:  # which of them it was is seen when each goes alone
                alone = zip(files, indices, strict=True)
                return [each for file, i in alone for each in self._decode([file], [i])]
            if death.by_content:
                return ["damaged: the decoder breaks on it"]
            raise UserError(
                f"Preparing the images was ended from outside at {self._listing.names[indices[0]]}"
                ", most likely because memory is short. Close other programs and try again; what "
                "is prepared is kept."
            ) from None

    def _ask(self, files: list[bytes]) -> list[np.ndarray | str]:
        decoder = self._idle.get()
        try:
            while time.monotonic() - self._ticked > PAUSED_S and not self._over:
                time.sleep(TICK_S)
            if decoder is None:
                raise _Over
            return decoder(files)
        except Died:
            decoder = self._hire()
            raise
        finally:
            self._idle.put(decoder)

    def _hire(self) -> Decoder:
        with self._turn:
            if self._over:
                raise _Over
            try:
                decoder = Decoder(self._target)
            except OSError as error:
                raise UserError(
                    f"No process could be started to decode images: {why(error)}. Close other "
                    "programs and try again."
                ) from error
            self._processes.append(decoder)
            return decoder


class _Over(Exception):
    """Nobody waits for the results any more."""


def _read(listing: Listing, index: int) -> bytes | str | OSError:
    """The file; why it is no picture; or why that is not known."""
    try:
        return listing.read(index)
    except (Refused, NotAnImage) as reason:
        return str(reason)
    except OSError as error:
        return error


def _decoded_here(file: bytes | str | OSError, target: Target) -> Result:
    if not isinstance(file, bytes):
        return file
    try:
        return decode(io.BytesIO(file), target)
    except NotAnImage as reason:
        return str(reason)


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
