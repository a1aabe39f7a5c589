"""The command that tells trackers of a run: of one that is over, or while a worker trains it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Annotated, TextIO

import typer

from vae_core.cli.options import RunArgument, StoreOption
from vae_core.errors import UserError
from vae_core.process import yield_to_others
from vae_core.runs import Run, Store

app = typer.Typer()


@app.command()
def track(
    run: RunArgument,
    to: Annotated[str, typer.Option(help="tensorboard, wandb, mlflow or trackio; with commas.")],
    store: StoreOption = None,
    live: Annotated[bool, typer.Option("--follow", hidden=True)] = False,
) -> None:
    """Write what a run has recorded for the programs that you watch trainings in.

    A training that was started with train.track does this by itself.
    """
    from vae_core.follow import follow
    from vae_core.training.trackers import require_trackers, tracks

    found, names = Store(store).get(run), [name for name in to.split(",") if name]
    found.require_own()
    said: list[str] = []
    if live:
        # What is said goes to the worker alone, whatever a library prints.
        answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        yield_to_others()
        follow(
            found,
            names,
            _end_of(sys.stdin),
            lambda message: print(message, file=answers, flush=True),
            lambda: _embeddings(found),
        )
        return
    require_trackers(names)
    follow(found, names, lambda: True, said.append, lambda: _embeddings(found))
    if said:
        raise UserError(" ".join(said))
    for entry, folder, command in tracks(found):
        if entry.name in names:
            print(f"{folder}: {entry.label}. Open it with: {command}")


def _end_of(pipe: TextIO) -> Callable[[], bool]:
    """Whether the other end is closed, as it is when a process has ended in whatever way."""
    ended = threading.Event()

    def wait() -> None:
        pipe.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended.is_set


def _embeddings(run: Run) -> Mapping[str, bytes]:
    from vae_core.analysis import CACHED
    from vae_core.export import Source, export

    return export(Source(run, CACHED), "projector").files
