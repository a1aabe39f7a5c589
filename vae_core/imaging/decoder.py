"""A process that decodes pictures and does nothing else: both ends of the pipe to it.

It gets bytes and gives pixels; it opens no file. A request is a line of JSON with the sizes of some
files, then their bytes. The answer is a line with, for each, the channels of the image and its box,
or why there is none, then the pixels. One that only looks answers with what it saw and no pixels.
It ends when its input does, so it outlives nobody.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, astuple
from typing import Any, BinaryIO

import numpy as np

from vae_core.imaging.decode import NotAnImage, decode_boxed
from vae_core.imaging.fit import Box, Target
from vae_core.imaging.look import Look, look
from vae_core.locations import module_command, module_environment
from vae_core.process import yield_to_others

MODULE = "vae_core.imaging.decoder"

Task = Target | None
"""What pictures are brought to; None only looks at them."""

Answer = tuple[np.ndarray, Box] | Look | str
"""An image uint8 [C, H, W] and where in it the picture lies; what was seen; or why there is none.
"""

MOST_MEMORY = 4 * 2**30
"""Bytes of address space: far more than the largest picture that pillow admits needs."""

CRASHES = frozenset(
    getattr(signal, name, None) for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")
)
"""Signals by which a library dies of what it reads. Any other comes from outside."""


class DecoderDied(Exception):
    """The process ended on the way. `crashed`: of what it read, not by somebody's hand."""

    def __init__(self, code: int) -> None:
        super().__init__(f"it ended with code {code}")
        self.crashed = -code in CRASHES


class Decoder:
    """Such a process, seen from the one that has pictures decoded."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._process = subprocess.Popen(
            module_command(MODULE, json.dumps(None if task is None else asdict(task))),
            env=module_environment(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the one who is asked to stop
        )

    def __call__(self, files: Sequence[bytes]) -> list[Answer]:
        """Of each file what the task asks for, or why there is none.

        Raises:
            DecoderDied: when the process ends.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([len(file) for file in files]).encode() + b"\n")
            for file in files:
                self._process.stdin.write(file)
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
            return [self._answer(each) for each in answer]
        except (OSError, ValueError, EOFError):
            self._process.kill() if self._process.poll() is None else None
            raise DecoderDied(self._process.wait()) from None

    def _answer(self, line: Any) -> Answer:
        if isinstance(line, str):
            return line
        if self._task is None:
            return Look(*line)
        channels, *box = line
        shape = channels, self._task.height, self._task.width
        count = int(np.prod(shape))
        assert self._process.stdout is not None
        data = self._process.stdout.read(count)
        if len(data) < count:
            raise EOFError
        return np.frombuffer(data, np.uint8).reshape(shape), tuple(box)

    def kill(self) -> None:
        """End it now, whatever it is at."""
        self._process.kill()
        self._process.wait()


def perform(task: Task, file: BinaryIO) -> Answer:
    """What `task` asks for of one file.

    Raises:
        NotAnImage: when it gives no picture.
    """
    return look(file) if task is None else decode_boxed(file, task)


def serve(task: Task, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests from `source` until it ends."""
    while head := source.readline():
        answer: list[Any] = []
        pixels = []
        for size in json.loads(head):
            try:
                found = perform(task, io.BytesIO(source.read(size)))
            except NotAnImage as reason:
                answer.append(str(reason))
            except MemoryError:
                answer.append("it takes too much memory to decode")
            else:
                if isinstance(found, Look):
                    answer.append(astuple(found))
                elif isinstance(found, tuple):
                    image, box = found
                    answer.append([len(image), *box])
                    pixels.append(image)
        sink.write(json.dumps(answer).encode() + b"\n")
        for image in pixels:
            sink.write(image.data)
        sink.flush()


def main() -> None:
    """Serve on standard input and output."""
    warnings.simplefilter("ignore")
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints belongs to the log
    yield_to_others()
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    task = json.loads(sys.argv[1])
    serve(None if task is None else Target(**task), source, sink)


if __name__ == "__main__":
    main()
