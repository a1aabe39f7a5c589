"""A process that decodes pictures and does nothing else: both ends of the pipe to it.

It gets the bytes of files, or the places of those that are read by parts, and gives pixels, or what
a file holds. A request is a line of JSON with what is asked of some files, then their bytes. The
answer is a line with, for each, the shape of the image and its box, what it looks like, what is in
the file, or why there is none, then the pixels. It ends when its input does, so it outlives nobody.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, astuple
from itertools import groupby
from typing import Any, BinaryIO

import numpy as np

from vae_core.imaging.decode import Reader, enough, fitted
from vae_core.imaging.fit import Box, Target
from vae_core.imaging.kinds import Contents, NotAnImage
from vae_core.imaging.look import Look, look
from vae_core.imaging.reading import Picture, Place
from vae_core.locations import module_command, module_environment
from vae_core.process import yield_to_others

MODULE = "vae_core.imaging.decoder"

MOST_MEMORY = 4 * 2**30
"""Bytes of address space: far more than the largest picture that pillow admits needs."""

CRASHES = frozenset(
    getattr(signal, name, None) for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")
)
"""Signals by which a library dies of what it reads. Any other comes from outside."""


Image = tuple[np.ndarray, Box]
"""uint8 [C, H, W], and where in it the picture lies."""


class DecoderDied(Exception):
    """The process ended on the way. `crashed`: of what it read, not by somebody's hand."""

    def __init__(self, code: int) -> None:
        super().__init__(f"it ended with code {code}")
        self.crashed = -code in CRASHES


class Decoder:
    """Such a process, seen from the one that has pictures decoded.

    Args:
        target: what pictures are brought to; None for one that is asked for no images.
    """

    def __init__(self, target: Target | None) -> None:
        about = None if target is None else asdict(target)
        self._process = subprocess.Popen(
            module_command(MODULE, json.dumps(about)),
            env=module_environment(
                OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", ARROW_DEFAULT_MEMORY_POOL="system"
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the one who is asked to stop
        )

    def __call__(self, pictures: Sequence[Picture]) -> list[Image | str | OSError]:
        """The images; why there is none; or what kept it from being read.

        Raises:
            DecoderDied: when the process ends.
        """
        return self._ask("image", pictures, self._image)

    def looks(self, pictures: Sequence[Picture]) -> list[Look | str | OSError]:
        """What the pictures hold; else as for images.

        Raises:
            DecoderDied: when the process ends.
        """
        return self._ask("look", pictures, self._look)

    def contents(self, pictures: Sequence[Picture]) -> list[Contents | str | OSError]:
        """What the files hold that `pictures` lie in; else as for images.

        Raises:
            DecoderDied: when the process ends.
        """
        return self._ask("contents", pictures, self._contents)

    def kill(self) -> None:
        """End it now, whatever it is at."""
        self._process.kill()
        self._process.wait()

    def _ask(self, what: str, pictures: Sequence[Picture], received: Callable[[Any], Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        # The pictures of one file go together, and its bytes once.
        files = [list(each) for _, each in groupby(pictures, _one_file)]
        try:
            head = [_request(what, of_file) for of_file in files]
            self._process.stdin.write(json.dumps(head).encode() + b"\n")
            for of_file in files:
                if isinstance(of_file[0].file, bytes):
                    self._process.stdin.write(of_file[0].file)
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
            return [received(each) for each in answer]
        except (OSError, ValueError, EOFError):
            self._process.kill() if self._process.poll() is None else None
            raise DecoderDied(self._process.wait()) from None

    def _image(self, answer: Any) -> Image | str | OSError:
        if not isinstance(answer, list):
            return _why_not(answer)
        shape, box = answer
        count = int(np.prod(shape))
        assert self._process.stdout is not None
        data = self._process.stdout.read(count)
        if len(data) < count:
            raise EOFError
        return np.frombuffer(data, np.uint8).reshape(shape), tuple(box)

    def _look(self, answer: Any) -> Look | str | OSError:
        return Look(*answer) if isinstance(answer, list) else _why_not(answer)

    def _contents(self, answer: Any) -> Contents | str | OSError:
        if not isinstance(answer, list):
            return _why_not(answer)
        count, names, labels, columns = answer
        labels = None if labels is None else tuple(labels)
        return Contents(count, tuple(names), labels, columns)


def _one_file(picture: Picture) -> tuple[object, str]:
    """Equal where pictures lie in one file."""
    file = picture.file
    return (file if isinstance(file, Place) else id(file)), picture.format


def _request(what: str, pictures: Sequence[Picture]) -> dict[str, Any]:
    first = pictures[0]
    file = first.file
    where: Any = len(file) if isinstance(file, bytes) else [file.path, *file.stamp]
    pages = [picture.page for picture in pictures]
    return {"what": what, "format": first.format, "pages": pages, "file": where}


def _why_not(answer: Any) -> str | OSError:
    return answer if isinstance(answer, str) else OSError(answer["errno"], answer["said"])


def serve(target: Target | None, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests from `source` until it ends."""
    reader = Reader()
    while head := source.readline():
        answer: list[Any] = []
        pixels: list[np.ndarray] = []
        for request in json.loads(head):
            for picture in _pictures(request, source):
                try:
                    if request["what"] == "contents":
                        found = reader.contents(picture)
                        answer.append([found.count, found.names, found.labels, found.columns])
                        continue
                    if request["what"] == "look":
                        answer.append(astuple(look(reader, picture)))
                        continue
                    assert target is not None
                    image, box = fitted(reader.values(picture, enough(target)), target)
                    answer.append([image.shape, box])
                    pixels.append(image)
                except NotAnImage as reason:
                    answer.append(str(reason))
                except MemoryError:
                    answer.append("it takes too much memory to decode")
                except OSError as error:
                    answer.append({"errno": error.errno, "said": error.strerror or str(error)})
                except Exception as error:  # of a file that a reader did not foresee
                    answer.append(f"damaged: {error or type(error).__name__}".rstrip("."))
            if isinstance(request["file"], int):
                reader.close()
        sink.write(json.dumps(answer).encode() + b"\n")
        for image in pixels:
            sink.write(image.data)
        sink.flush()


def _pictures(request: dict[str, Any], source: BinaryIO) -> Iterable[Picture]:
    where = request["file"]
    file: bytes | Place
    if isinstance(where, int):
        file = source.read(where)
    else:
        path, size, changed = where
        file = Place(path, (size, changed))
    return [Picture(file, request["format"], page) for page in request["pages"]]


def main() -> None:
    """Serve on standard input and output."""
    warnings.simplefilter("ignore")
    logging.disable()  # what libraries have to say of a file is told by what comes of it
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints belongs to the log
    yield_to_others()
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    about = json.loads(sys.argv[1])
    serve(None if about is None else Target(**about), source, sink)


if __name__ == "__main__":
    main()
