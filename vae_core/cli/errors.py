"""What ends a command early, in one line on the standard error."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from types import FrameType
from typing import Any, NoReturn

import typer

from vae_core.errors import Stopped, UserError, is_out_of_memory
from vae_core.training.watchdog import watch

NAME = "python -m vae_core"
DEFECT, BAD_INPUT, BROKEN_PIPE = 1, 2, 128 + 13

GRACE_S = 1.0
"""From the signal to the end of a command that does not come to it by itself."""

Usage: Any = typer.BadParameter.__mro__[2]
"""ClickException: what is raised for arguments that make no sense. Typer has click inside."""


class Terminated(Stopped):
    """SIGTERM came."""


def exit_after(command: Callable[[], object]) -> NoReturn:
    """Run a command to its end and leave the process.

    Exit status: 0 done; 2 bad input, or something that this machine has not, in one line; 130 and
    143 for Ctrl-C and SIGTERM, within two seconds; 1 for a defect, which keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):  # names of files are bytes, and terminals know less
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    status = DEFECT

    def leave() -> None:
        """Without unloading torch's libraries, which takes half a second and reads in 130 MB."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)

    atexit.register(leave)  # before all others, so that it is called after them
    _end_on_signal()
    status = exit_status(command)
    sys.exit(status)


def exit_status(command: Callable[[], object]) -> int:
    """The exit status of a command, once what ended it has been said."""
    try:
        command()
        sys.stdout.flush()
    except typer.Exit as end:
        return end.exit_code
    except KeyboardInterrupt:
        return _stopped(signal.SIGINT)
    except Terminated:
        return _stopped(signal.SIGTERM)
    except BrokenPipeError:  # whoever read has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        sentence = describe(error)
        if sentence is None:
            raise
        print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
        return error.exit_status if isinstance(error, UserError) else BAD_INPUT
    return 0


def describe(error: Exception) -> str | None:
    """An error as a sentence; None for one that is a defect of ours."""
    if isinstance(error, UserError):
        return f"{error}" + (f" ({error.shell})" if error.shell else "")
    if isinstance(error, Usage):
        context = getattr(error, "ctx", None)
        path = context.command_path if context else NAME
        return f"{error.format_message() or 'Name a command.'} See: {path} --help"
    if is_out_of_memory(error):
        return "There is not enough memory. Take a smaller model, smaller images or batches."
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}."
    return None


def _stopped(number: int) -> int:
    print("Stopped.", file=sys.stderr, flush=True)
    return 128 + number


def _end_on_signal() -> None:
    """SIGTERM ends a command as Ctrl-C does, and both within two seconds."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    def exit_status(seconds: float, number: int | None) -> int | None:
        return None if seconds < GRACE_S else _stopped(number or signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    watch(lambda: False, exit_status)
