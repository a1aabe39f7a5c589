"""The command that rebuilds published results: train, measure, and tell how far they lie apart."""

from __future__ import annotations

import math
import sys
from typing import Annotated, Any

import typer

from vae_core import process
from vae_core.cli.options import (
    JsonOption,
    StoreOption,
    print_json,
    print_progress,
    print_rows,
    print_table,
    wait_for_heartbeat,
)
from vae_core.errors import UserError
from vae_core.runs import Store

app = typer.Typer()

COLUMNS = ("name", "state", "figure", "printed", "ours", "schedule", "paper")


@app.command("reproduce")
def reproduce_result(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Which result; see --list.")
    ] = None,
    fraction: Annotated[
        float, typer.Option(help="Of the schedule to run now; the rest can follow later.")
    ] = 1.0,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Stop the training after so many, and measure.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the published results.")] = False,
    table: Annotated[
        bool, typer.Option("--table", help="Print docs/results.md, from the records kept here.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the record of NAME's run in this checkout.")
    ] = False,
    heard: Annotated[
        int | None,
        typer.Option(
            min=0, hidden=True, help="In the background, after so many bytes of messages."
        ),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rebuild a published result: train it, measure it as its source says, and keep the record.

    The training is an ordinary run named reproduce-NAME; started again, it goes on where it was.
    """
    if listed or table:
        return _tell(Store(store), table, as_json)
    if name is None:
        raise UserError("Name a result to reproduce.", shell="reproduce --list")
    process.prepare()
    if heard is not None:
        process.yield_to_others()
    from vae_core.reproduce import begun, reproduce, reproductions
    from vae_core.reproduce.running import Until
    from vae_core.reproduce.table import keep as keep_record
    from vae_core.training.recorders import ProgressBar
    from vae_core.training.watchdog import watch_worker

    entry, runs = reproductions[name], Store(store)
    if keep:
        print(f"Kept in {keep_record(entry, runs)}.", file=sys.stderr)
        return
    run = begun(entry, runs)
    wait_for_heartbeat(run)
    print(f"Run {run.id} in {run.path}", file=sys.stderr)
    control = Until(run, fraction, math.inf if minutes is None else 60 * minutes, heard)
    watch_worker(run, control.offset, control)
    record = reproduce(
        entry,
        run,
        control,
        print_progress(),
        lambda total, first: [ProgressBar(total, first)] if heard is None else [],
    )
    if record is None:
        again = f"python -m vae_core reproduce {name}" + (f" --store {store}" if store else "")
        print(f"Stopped and saved. Go on with: {again}", file=sys.stderr)
    elif as_json:
        print_json(record.model_dump())
    else:
        from vae_core.reproduce.table import rows

        cells = [row.cells() for row in rows({name: record}) if row.record is not None]
        print_table([tuple(cells[0]), *(tuple(each.values()) for each in cells)])


def _tell(store: Store, table: bool, as_json: bool) -> None:
    from vae_core.reproduce.running import state_of
    from vae_core.reproduce.table import kept, markdown, own, rows

    if table:
        print(markdown(kept()), end="")
        return
    listed: list[dict[str, Any]] = [
        {
            "name": row.entry.name,
            "state": state_of(row.entry, store),
            "figure": f"{row.figure.label} ({row.figure.unit})",
            "printed": row.figure.printed,
            "ours": row.ours,
            "schedule": row.schedule,
            "paper": row.entry.paper,
            "protocol": row.entry.protocol,
            "departs": row.entry.departs,
            "cost": row.entry.cost,
            "problem": row.entry.problem,
        }
        for row in rows(kept() | own(store))
    ]
    print_rows(listed, COLUMNS, as_json)
