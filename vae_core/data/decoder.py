"""A process that decodes pictures, seen from the one that has them decoded."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from vae_core.data.decode import Target
from vae_core.locations import module_command, module_environment

FAR_SIDE = "vae_core.data.decoder_process"

OF_THE_CONTENT = frozenset(
    getattr(signal, name, None) for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")
)
"""Signals by which a library dies of what it reads. Any other comes from outside."""


class Died(Exception):
    """The process ended on the way. `by_content`: of what it read, not by somebody's hand."""

    def __init__(self, code: int) -> None:
        super().__init__(f"it ended with code {code}")
        self.by_content = -code in OF_THE_CONTENT


class Decoder:
    """The near side of such a process."""

    def __init__(self, target: Target) -> None:
        self._size = target.size
        self._process = subprocess.Popen(
            module_command(FAR_SIDE, json.dumps(asdict(target))),
            env=module_environment(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the one who is asked to stop
        )

    def __call__(self, files: Sequence[bytes]) -> list[np.ndarray | str]:
        """Of each file the image uint8 [C, size, size], or why there is none.

        Raises:
            Died: when the process ends.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([len(file) for file in files]).encode() + b"\n")
            for file in files:
                self._process.stdin.write(file)
            self._process.stdin.flush()
            said = json.loads(self._process.stdout.readline())
            return [each if isinstance(each, str) else self._image(each) for each in said]
        except (OSError, ValueError, EOFError):
            self._process.kill() if self._process.poll() is None else None
            raise Died(self._process.wait()) from None

    def _image(self, channels: int) -> np.ndarray:
        shape = channels, self._size, self._size
        count = int(np.prod(shape))
        assert self._process.stdout is not None
        data = self._process.stdout.read(count)
        if len(data) < count:
            raise EOFError
        return np.frombuffer(data, np.uint8).reshape(shape)

    def kill(self) -> None:
        """End it now, whatever it is at."""
        self._process.kill()
        self._process.wait()
