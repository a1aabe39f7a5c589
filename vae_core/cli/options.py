"""Options that several commands share."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vae_core.runs import Folder
from vae_core.runs.lease import unproven_job

if TYPE_CHECKING:
    from vae_core.progress import Progress

StoreOption = Annotated[
    str | None,
    typer.Option("--store", help="Folder of the runs; else VAE_STORE, else trained_models."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LinesOption = Annotated[bool, typer.Option("--progress", help="Tell progress as lines of JSON.")]
DataDirOption = Annotated[str | None, typer.Option(help="Where the data set lies.")]
LOOK_S = 0.2
"""Between two looks for a heartbeat."""

COUNT_EVERY_S = 10.0

WeightsOption = Annotated[
    Literal["last", "best"],
    typer.Option(help="Of the last save, or of the best validation at the final β."),
]
OnOption = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="here|ray[://HOST:10001]",
        help="Where it is trained: here, or on a cluster; ray is that of RAY_ADDRESS.",
    ),
]
CpusOption = Annotated[
    float | None, typer.Option(help="Cores of one run there, which are its threads.")
]
GpusOption = Annotated[float, typer.Option(help="Graphics cards of one run there; 0.5 shares.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run.")]


def print_json(value: Any) -> None:
    """Print one JSON value, as readable text."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print rows in aligned columns; the first row is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def print_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    """Print rows as JSON, with all that they hold, or as a table of some columns."""
    if as_json:
        print_json(rows)
    else:
        print_table([columns, *(tuple(cell(row.get(key)) for key in columns) for row in rows)])


def cell(value: Any) -> str:
    """A value in a table: four digits of a number, a dash for nothing."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def wait_for_heartbeat(folder: Folder) -> None:
    """Where somebody on another host may be at work, watch until it is known: the time between two
    heartbeats where it is, the time that is too long for one where it is not."""
    announced = False
    while (job := unproven_job(folder)) is not None:
        if not announced:
            print(
                f"{folder.kind.capitalize()} {folder.id} was {folder.doing} on {job.host}. Looking "
                f"for a sign of life, for {job.silent_s:.0f} s at most.",
                file=sys.stderr,
            )
        announced = True
        time.sleep(LOOK_S)


def print_progress() -> Progress:
    """A progress that prints each new sentence to the terminal, one a line.

    Where only what stands behind the colon is new, such as a count, a terminal shows it in place
    and a file gets a line of it now and then.
    """
    head, last, printed_at = "", "", 0.0
    terminal = sys.stderr.isatty()

    def say(message: str, share: float | None) -> None:
        nonlocal head, last, printed_at
        new_head, now = message.partition(":")[0], time.monotonic()
        counting = new_head == head
        if message == last or (counting and not terminal and now - printed_at < COUNT_EVERY_S):
            return
        line_up = "\033[A\033[K" if counting and terminal else ""
        print(line_up + message, file=sys.stderr)
        head, last, printed_at = new_head, message, now

    return say
