"""A command that answers to another process, line by line, see `vae_core/child.py`."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vae_core.cli.options import print_progress
from vae_core.errors import UserError
from vae_core.process import PARENT_VARIABLE, prepare, yield_to_others
from vae_core.training.watchdog import exit_now

if TYPE_CHECKING:
    from vae_core.progress import Progress

LOOK_EVERY_S = 0.5


@contextmanager
def answering(as_lines: bool) -> Iterator[Progress]:
    """A progress for a person at a terminal, or one that answers in lines of JSON.

    Answers have the standard output for themselves: what anything else prints goes to the standard
    error. Where the process that asked is gone, this one ends; it is nice to it meanwhile.
    """
    if not as_lines:
        yield print_progress()
        return
    if "torch" not in sys.modules:
        prepare()
    yield_to_others()
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    end_with_parent()

    def say(message: str, share: float | None) -> None:
        print(json.dumps({"message": message, "share": share}), file=answers, flush=True)

    try:
        yield say
    except UserError as error:
        print(json.dumps({"error": str(error)}), file=answers, flush=True)
        raise


def end_with_parent() -> None:
    """Where the process that started this one names itself, end when that one has."""
    parent = os.environ.pop(PARENT_VARIABLE, "")  # not for those that this one starts
    if parent.isdigit():
        threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    exit_now(1)
