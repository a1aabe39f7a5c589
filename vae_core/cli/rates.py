"""The command that measures a model with a dial from end to end of it: rates."""

from __future__ import annotations

from typing import Annotated

import typer

from vae_core.cli.answering import answering
from vae_core.cli.options import (
    JsonOption,
    LinesOption,
    RunArgument,
    StoreOption,
    print_json,
    print_rows,
)
from vae_core.rate_curve import MOST_POINTS, POINTS
from vae_core.runs import Store

app = typer.Typer()


@app.command()
def rates(
    run: RunArgument,
    points: Annotated[
        int, typer.Option(min=2, max=MOST_POINTS, help="Values of β, from end to end.")
    ] = POINTS,
    store: StoreOption = None,
    as_json: JsonOption = False,
    as_lines: LinesOption = False,
) -> None:
    """Measure the rate–distortion curve of one run whose network is told β (multi-rate), on
    validation images, in nats per image."""
    from vae_core.rate_curve import measure_rates

    with answering(as_lines) as say:
        found = measure_rates(Store(store).get(run), points, say)
    if as_lines:
        return
    if as_json:
        print_json({"run": run, "measured_on": found.measured_on, "curve": found.rows()})
        return
    print_rows(found.rows(), ("beta", "rate", "distortion", "elbo", "active"), False)
    print(f"Measured on {found.measured_on}.")
