"""Work that a page waits for without standing still: in a thread, or in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.errors import redact
from latent_workbench.shared.state import session
from vae_core.data import Progress
from vae_core.errors import Stopped, UserError
from vae_core.runs import Run

T = TypeVar("T")

QUICK_S = 0.6
"""Most results are there within this time, and then no progress bar flashes up."""


class Task(Generic[T]):
    """`work(progress)` in a thread. A page looks at `done`, then at `result` or `problem`."""

    def __init__(self, work: Callable[[Progress], T]) -> None:
        self.message = ""
        self.share: float | None = None
        self.result: T | None = None
        self.problem = ""
        self._work = work
        self._done, self._stopped = threading.Event(), threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def stop(self) -> None:
        """Nobody waits for it any more: it ends when it next tells how far it is."""
        self._stopped.set()

    def wait(self, seconds: float) -> bool:
        """Wait a moment for the end: quick work then needs no second look. True when done."""
        return self._done.wait(seconds)

    def _run(self) -> None:
        try:
            self.result = self._work(self._progress)
        except UserError as error:
            self.problem = redact(error)
        except Stopped:
            self.problem = "This was stopped."
        except BaseException as error:
            self.problem = redact(f"This failed unexpectedly: {type(error).__name__}: {error}.")
            raise
        finally:
            self._done.set()

    def _progress(self, message: str, share: float | None) -> None:
        self.message, self.share = message, share
        if self._stopped.is_set():
            raise Stopped(message)


def result_of(
    task: Task[T],
    key: str,
    retry: Callable[[], object],
    show: Callable[[str], object] = st.warning,
) -> T | None:
    """The result of a task; None while a bar shows how far it is, or `show` what went wrong, with a
    button that lets `retry` forget the task, so that another attempt begins."""
    if task.wait(QUICK_S) and task.result is not None:
        return task.result
    if not task.done:
        progress_bar(task, key)
    elif task.problem:
        show(task.problem)
        if st.button("Try again", key=f"again-{key}", icon=":material/refresh:"):
            retry()
            st.rerun()
    return None


@st.fragment(run_every=0.5)
def progress_bar(task: Task[T], key: str) -> None:
    """How far it is, and a button that ends it; the page runs again when it has ended."""
    if task.done:
        st.rerun()
    bar, stop = st.columns([6, 1], vertical_alignment="bottom")
    bar.progress(task.share or 0.0, task.message or "Preparing")
    if stop.button("Stop", key=f"stop-{key}", icon=":material/stop:", width="stretch"):
        task.stop()
        task.wait(QUICK_S)
        st.rerun()


# --- jobs: what a person has asked for ------------------------------------------------------------


@dataclass
class Jobs:
    """The tasks that a person has started and not yet seen the end of, by key."""

    tasks: dict[str, Task[Any]] = field(default_factory=dict)


def start_job(key: str, work: Callable[[Progress], object]) -> None:
    """Begin what somebody has asked for, and run the page again; raises ReadOnly where they may
    not."""
    session(Jobs).tasks[key] = access.authorized(Task)(lambda progress: (work(progress),))
    st.rerun()


def job_shown(key: str) -> bool:
    """Draw how far the job of this key is, or what went wrong; False where there is none. When it
    has ended well, the page runs again without it."""
    tasks = session(Jobs).tasks
    if key not in tasks:
        return False
    if result_of(tasks[key], key, lambda: tasks.pop(key)) is not None:
        del tasks[key]
        st.rerun()
    return True


def job_button(key: str, label: str, icon: str, run: Run, *arguments: str, **options: Any) -> None:
    """A button that has `python -m vae_core ARGUMENTS` done about a run, as the job of this key."""
    options |= {"key": f"{key}-start", "icon": icon}
    if st.button(label, **options, **access.widget_options()):
        start_job(key, command(run, *arguments))


def command(run: Run, *arguments: str) -> Callable[[Progress], None]:
    """The work of `python -m vae_core ARGUMENTS` about a run: a process of its own, so that neither
    the server nor a hand on a slider waits for it."""

    def work(progress: Progress) -> None:
        from vae_core.child import in_process

        in_process([*arguments], run, progress)

    return work
