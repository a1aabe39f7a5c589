"""The worker's side of trackers: a process of their own that follows the run.

Their libraries take seconds to import, start processes and threads, and may fail in any way; none
of that happens here. The process ends by itself once this one has, however that was.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from vae_core.locations import STORE_VARIABLE, module_command, module_environment
from vae_core.progress import Progress, no_progress
from vae_core.runs import Run
from vae_core.training.events import Event, Noted

FINISH_S = 180.0
"""How long the end of a training waits for what the trackers still have to write."""

LOOK_EVERY_S = 0.1


class Following:
    """A recorder that starts the trackers of a run, and has what they complain of noted.

    Without names it does nothing.
    """

    def __init__(self, run: Run, names: Sequence[str], note: Callable[[Event], None]) -> None:
        """`note` records a `Noted`."""
        self._note = note
        self._said: deque[str] = deque()
        self._process: subprocess.Popen[str] | None = None
        if not names:
            return
        try:
            self._process = subprocess.Popen(
                module_command("vae_core", "track", run.id, "--to", ",".join(names), "--follow"),
                env=module_environment(**{STORE_VARIABLE: str(run.path.parent)}),
                stdin=subprocess.PIPE,  # closed when this process ends: then the training has ended
                stdout=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C is for the training
            )
        except OSError as error:
            self._said.append(f"No trackers are told of this training: {error.strerror or error}.")
            return
        self._hearing = threading.Thread(target=self._hear, args=(self._process,), daemon=True)
        self._hearing.start()

    def __call__(self, event: Event) -> None:
        """Note what has been said since, at the step of this event."""
        for message in self._sentences():
            self._note(Noted(event.step, event.epoch, event.seconds, message))

    def finish(
        self, last: Event, note: Callable[[Event], None], progress: Progress = no_progress
    ) -> None:
        """Training has ended, and what was measured is written: wait for the trackers.

        Args:
            note: in place of the one before, which may be closed by now.

        Raises:
            Stopped: as `progress` does; they then end by themselves.
        """
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        until = time.monotonic() + FINISH_S
        while self._process.poll() is None and time.monotonic() < until:
            progress("Telling the trackers", None)
            time.sleep(LOOK_EVERY_S)
        if self._process.poll() is None:
            self._process.kill()
            self._said.append(f"The trackers were not done after {FINISH_S:.0f} s, and were ended.")
        self._hearing.join(1.0)
        self._note = note
        self(last)

    def _sentences(self) -> Iterator[str]:
        while self._said:
            yield self._said.popleft()

    def _hear(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        lines = (line.strip() for line in process.stdout)
        self._said.extend(filter(None, lines))
        if process.wait() not in (0, -9):
            self._said.append("The trackers are told no more of this training: they were ended.")
