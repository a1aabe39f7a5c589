"""Many pictures at once: read by threads, which wait for the drive, decoded by processes.

Threads alone decode small pictures no faster than one of them does, as they hand the interpreter's
lock to and fro (`python -m benchmarks.preparing`).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from itertools import chain

import numpy as np

from vae_core.errors import UserError
from vae_core.imaging.decode import Reader, enough, fitted
from vae_core.imaging.decoder import Decoder, DecoderDied, Image
from vae_core.imaging.fit import Target
from vae_core.imaging.formats import formats
from vae_core.imaging.kinds import NotAnImage
from vae_core.imaging.listing import Listing
from vae_core.imaging.look import Look, look
from vae_core.imaging.reading import Picture, Refused, reason_of
from vae_core.process import cores

Result = Image | Look | str | OSError
"""An image and its box, or what a picture holds; why there is none; or why that is not known."""

START_AFTER_S = 0.4
"""Time after which processes are started: it is what starting them takes."""

BATCH, BATCH_BYTES = 64, 4 * 2**20
"""Pictures that go to a process at once, and the size from which it is fewer."""

SHARES = 16
"""Times that each process is given some at least, so that all end at about the same time."""

READ_AHEAD = 8
"""Threads beyond those that wait for a process: on a network drive each waits for a file."""

POLL_S = 0.25
PAUSED_S = 0.75
"""Where nobody has asked for results for so long, such as in a pause, the cores are left alone."""


def decode_all(
    listing: Listing, spans: Iterable[range], target: Target | None, tick: Callable[[], None]
) -> Iterator[tuple[range, list[Result]]]:
    """What the files of each span give, in any order.

    Args:
        target: what each is brought to; None looks at what it holds.
        tick: called at least every 0.25 s while anything is waited for; what it raises ends all
            at once.

    Raises:
        UserError: when decoding is ended from outside, such as where memory is short.
    """
    waiting = iter(spans)
    started = time.monotonic()
    while (first := next(waiting, None)) is not None and time.monotonic() - started < START_AFTER_S:
        read = [_read(listing, i) for i in first]
        if not all(map(_is_harmless, read)):
            break
        yield first, [_decode_here(each, target) for each in read]
        tick()
    if first is None:
        return
    pool = _Pool(listing, chain([first], waiting), target, cores())
    try:
        yield from pool.results(tick)
    finally:
        pool.close()


def batch_spans(wanted: np.ndarray, sizes: np.ndarray) -> Iterator[range]:
    """Neighbours among the files of which `wanted` bool [N] is True, a few at a time.

    Args:
        sizes: int64 [N], bytes of each.
    """
    most = min(max(int(wanted.sum()) // (SHARES * cores()), 1), BATCH)
    start, total = 0, 0
    for i, (is_wanted, size) in enumerate(zip(wanted.tolist(), sizes.tolist(), strict=True)):
        if i > start and not (is_wanted and i - start < most and total + size <= BATCH_BYTES):
            yield range(start, i)
            start, total = i, 0
        if is_wanted:
            total += size
        else:
            start = i + 1
    if start < len(wanted):
        yield range(start, len(wanted))


class _Pool:
    """Threads that read, processes that decode."""

    def __init__(
        self, listing: Listing, spans: Iterator[range], target: Target | None, processes: int
    ) -> None:
        self._listing, self._target, self._spans = listing, target, spans
        self._turn, self._large = threading.Lock(), threading.Lock()
        self._done: queue.SimpleQueue[tuple[range, list[Result]] | BaseException | None]
        self._done = queue.SimpleQueue()
        self._idle: queue.SimpleQueue[Decoder | None] = queue.SimpleQueue()
        self._closed = False
        self._ticked = time.monotonic()
        self._processes: list[Decoder] = []
        for _ in range(processes):
            self._idle.put(self._start())
        self._readers = processes + READ_AHEAD
        self._room = threading.Semaphore(self._readers + processes)  # bounds the pictures in memory
        for _ in range(self._readers):
            # Daemons: one that waits for a dead drive keeps nobody from leaving.
            threading.Thread(target=self._read_files, daemon=True).start()

    def results(self, tick: Callable[[], None]) -> Iterator[tuple[range, list[Result]]]:
        """Everything there is, as it comes."""
        working = self._readers
        while working:
            tick()
            self._ticked = time.monotonic()
            try:
                result = self._done.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if result is None:
                working -= 1
            elif isinstance(result, BaseException):
                raise result
            else:
                self._room.release()
                yield result

    def close(self) -> None:
        """Leave no process and, but for those that wait for a drive, no thread."""
        with self._turn:
            self._closed = True
        for process in self._processes:
            process.kill()
        for _ in range(self._readers):
            self._room.release()
            self._idle.put(None)

    def _read_files(self) -> None:
        try:
            while True:
                self._room.acquire()
                with self._turn:
                    span = None if self._closed else next(self._spans, None)
                if span is None:
                    break
                self._done.put((span, self._results(span)))
        except _Closed:
            pass
        except BaseException as error:
            self._done.put(error)
        self._done.put(None)

    def _results(self, span: range) -> list[Result]:
        # Large files take turns: as many of them as there are threads would fill the memory.
        size = int(self._listing.stamps[span.start : span.stop, 0].sum())
        with self._large if size > BATCH_BYTES else nullcontext():
            read = [_read(self._listing, i) for i in span]
            found = [i for i, each in zip(span, read, strict=True) if isinstance(each, Picture)]
            images = iter(self._decode([each for each in read if isinstance(each, Picture)], found))
        return [next(images) if isinstance(each, Picture) else each for each in read]

    def _decode(self, pictures: list[Picture], indices: list[int]) -> list[Result]:
        """What `pictures` show, also where one of them breaks a process."""
        try:
            return self._ask(pictures) if pictures else []
        except DecoderDied as death:
            if len(pictures) > 1:  # which of them it was is seen when each goes alone
                alone = zip(pictures, indices, strict=True)
                return [each for picture, i in alone for each in self._decode([picture], [i])]
            if death.crashed:
                return ["damaged: the decoder breaks on it"]
            raise UserError(
                f"Preparing the images was ended from outside at {self._listing.names[indices[0]]}"
                ", most likely because memory is short. Close other programs and try again; what "
                "is prepared is kept."
            ) from None

    def _ask(self, pictures: list[Picture]) -> list[Result]:
        decoder = self._idle.get()
        try:
            while time.monotonic() - self._ticked > PAUSED_S and not self._closed:
                time.sleep(POLL_S)
            if decoder is None:
                raise _Closed
            asked = decoder.looks if self._target is None else decoder
            return list(asked(pictures))
        except DecoderDied:
            decoder = self._start()
            raise
        finally:
            self._idle.put(decoder)

    def _start(self) -> Decoder:
        with self._turn:
            if self._closed:
                raise _Closed
            try:
                decoder = Decoder(self._target)
            except OSError as error:
                raise UserError(
                    f"No process could be started to decode images: {reason_of(error)}. Close "
                    "other programs and try again."
                ) from error
            self._processes.append(decoder)
            return decoder


class _Closed(Exception):
    """Nobody waits for the results any more."""


def _read(listing: Listing, index: int) -> Picture | str | OSError:
    """The picture to be decoded; why it is none; or why that is not known."""
    try:
        return listing.read(index)
    except (Refused, NotAnImage) as reason:
        return str(reason)
    except OSError as error:
        return error


def _is_harmless(read: Picture | str | OSError) -> bool:
    """Whether it may be decoded in this process."""
    if not isinstance(read, Picture):
        return True
    return isinstance(read.file, bytes) and formats[read.format].harmless


def _decode_here(read: Picture | str | OSError, target: Target | None) -> Result:
    if not isinstance(read, Picture):
        return read
    try:
        reader = Reader()
        if target is None:
            return look(reader, read)
        return fitted(reader.values(read, enough(target)), target)
    except NotAnImage as reason:
        return str(reason)
