"""Work that a page waits for without standing still: data being loaded, steps being timed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from latent_workbench.shared.without_paths import without_paths
from vae_core.data import Progress
from vae_core.errors import Stopped, UserError

T = TypeVar("T")


class Task(Generic[T]):
    """`work(progress)` in a thread. A page looks at `done`, then at `result` or `problem`."""

    def __init__(self, work: Callable[[Progress], T]) -> None:
        self.message = ""
        self.share: float | None = None
        self.result: T | None = None
        self.problem = ""
        self._work = work
        self._done, self._unwanted = threading.Event(), threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def stop(self) -> None:
        """Nobody waits for it any more: it ends when it next tells how far it is."""
        self._unwanted.set()

    def wait(self, seconds: float) -> bool:
        """Wait a moment for the end: quick work then needs no second look. True when done."""
        return self._done.wait(seconds)

    def _run(self) -> None:
        try:
            self.result = self._work(self._tell)
        except UserError as error:
            self.problem = without_paths(error)
        except Stopped:
            self.problem = "This was stopped."
        except BaseException as error:
            self.problem = without_paths(
                f"This failed unexpectedly: {type(error).__name__}: {error}."
            )
            raise
        finally:
            self._done.set()

    def _tell(self, message: str, share: float | None) -> None:
        self.message, self.share = message, share
        if self._unwanted.is_set():
            raise Stopped(message)
