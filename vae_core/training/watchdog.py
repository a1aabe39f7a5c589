"""A process that was asked to stop ends in time, whatever it is doing.

Most work looks for the request often enough. Some cannot: one call into a library, a step of a
huge batch, a network drive that does not answer. Python runs signal handlers between two of its own
instructions only; the thread here is woken by the signal itself.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from vae_core.errors import UserError
from vae_core.runs import ACTIVE, Folder, Run
from vae_core.runs.lease import current_job, is_alive
from vae_core.training.control import STOP_SIGNALS, ControlFile, WorkerControl, send

POLL_S = 0.1
OWNER_POLL_S = 0.5

GRACE_S = 1.3
"""From the request to the end of a worker, where it does not end by itself."""

FOLLOWER_GRACE_S = GRACE_S + 1.0
"""From the request to the end of a process beside the first, which comes to it by itself sooner."""

SAVE_S = 30.0
"""A save that is being written may take so long: a slow disk shall cost nobody his training."""

ExitStatus = Callable[[float, int | None], int | None]
"""Called every 0.1 s from the request on, with the seconds since and the signal if it was one; the
exit status with which the process is to end now, or None where it may go on."""


def watch(stop_requested: Callable[[], bool], exit_status: ExitStatus) -> None:
    """Watch over this process from a thread, from now until it ends.

    For the main thread of a process of our own: the process is ended without unwinding, and its
    children are killed. Files are whole all the same, as everything is written atomically.
    `stop_requested`: whether it was asked to end in another way than by SIGINT or SIGTERM.
    """
    reader, writer = socket.socketpair()
    reader.settimeout(POLL_S)
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def keep_watch() -> None:
        since, number = None, None
        with reader, writer:  # this has to stay open: signals are written to its number
            while True:
                with suppress(TimeoutError):  # after 0.1 s without a signal
                    received = reader.recv(64)
                    number = number or next((n for n in received if n in STOP_SIGNALS), None)
                if since is None and (number or stop_requested()):
                    since = time.monotonic()
                if since is not None:
                    status = exit_status(time.monotonic() - since, number)
                    if status is not None:
                        exit_now(status)

    threading.Thread(target=keep_watch, name="watchdog", daemon=True).start()


def unwatch() -> None:
    """From now on signals do not wake the watchdog: for a process that ends in an order of its
    own, such as a sweep, which waits for its runs."""
    signal.set_wakeup_fd(-1)


def exit_now(status: int) -> None:
    """End this process and its children."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            child.kill()
    os._exit(status)


def watch_follower() -> None:
    """Watch over a process beside the first of several: that one obeys, and this one ends with it,
    or by itself where the first cannot tell it to. It has nothing to save."""
    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, frame: None)
    watch(lambda: False, lambda seconds, number: None if seconds < FOLLOWER_GRACE_S else 0)


def watch_worker(run: Run, offset: int, control: WorkerControl) -> None:
    """Watch over the process of a worker, so that it has stopped within two seconds in every phase.

    What it keeps is its last save. The run folder then says during what it was stopped.
    """
    messages = ControlFile(run, offset)  # the worker may not get to read its own for now

    def exit_status(seconds: float, number: int | None) -> int | None:
        if not control.started:
            with suppress(UserError), run.lock():
                record_stop(run, control.activity)
            return 0
        saving = control.saving()
        if seconds < (SAVE_S if saving else GRACE_S):
            return None
        if run.status().state in ACTIVE:
            during = "Saving" if saving else control.activity
            with suppress(UserError):
                print(record_stop(run, during), file=sys.stderr, flush=True)
        return 0

    watch(lambda: any(message.command == "stop" for message in messages()), exit_status)


def stop_after(owner: Folder, run: Run) -> None:
    """Ask the worker of a run to stop once whoever works on the folder `owner` has died or ended,
    from a thread, from now on. It is no sign of that when the folder cannot be read."""

    def keep_watch() -> None:
        while (job := current_job(owner)) is None or is_alive(owner, job):
            time.sleep(OWNER_POLL_S)
        with suppress(UserError):
            send(run, {"command": "stop"})

    threading.Thread(target=keep_watch, name="owner", daemon=True).start()


def record_stop(run: Run, activity: str) -> str:
    """Write into the run's status that it was stopped in the middle of something; the sentence."""
    step = run.weights_step()
    saved = (
        "Nothing had been saved yet; resume begins it anew."
        if step is None
        else f"The weights of step {step} are kept; resume goes on from there."
    )
    sentence = f"Stopped during this: {activity}. {saved}"
    update = {"state": "stopped", "message": sentence, "step": step or 0}
    run.set_status(run.status().model_copy(update=update))
    return sentence
