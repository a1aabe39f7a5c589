"""A process that decodes pictures and does nothing else.

It gets bytes and gives pixels; it opens no file. A request is a line of JSON with the sizes of some
files, then their bytes. The answer is a line with, for each, the channels of the image or why there
is none, then the pixels. It ends when its input does, so it outlives nobody.
"""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from typing import BinaryIO

from vae_core.data.decode import NotAnImage, Target, decode
from vae_core.process import yield_to_others

MOST_MEMORY = 4 * 2**30
"""Bytes of address space: far more than the largest picture that pillow admits needs."""


def serve(target: Target, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests from `source` until it ends."""
    while head := source.readline():
        said: list[int | str] = []
        pixels = []
        for size in json.loads(head):
            try:
                image = decode(io.BytesIO(source.read(size)), target)
                said.append(len(image))
                pixels.append(image)
            except NotAnImage as reason:
                said.append(str(reason))
            except MemoryError:
                said.append("it takes too much memory to decode")
        sink.write(json.dumps(said).encode() + b"\n")
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
    serve(Target(**json.loads(sys.argv[1])), source, sink)


if __name__ == "__main__":
    main()
