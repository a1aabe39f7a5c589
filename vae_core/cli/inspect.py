"""Commands that look at runs: list, show, evaluate."""

from __future__ import annotations

import math
import sys
from typing import Annotated, Any, Literal

import typer

from vae_core.cli.options import JsonOption, RunArgument, StoreOption, print_json, print_table
from vae_core.errors import UserError
from vae_core.runs import Run, Store

app = typer.Typer()


@app.command("list")
def list_runs(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the runs, the newest first."""
    rows = [_row(run) for run in Store(store)]
    if as_json:
        print_json(rows)
        return
    head = ("run", "state", "family", "data", "beta", "step", "elbo")
    cells = [tuple(_cell(row.get(name)) for name in head) for row in rows]
    print_table([head, *cells])


@app.command()
def show(run: RunArgument, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Show a run: configuration, data, state, measurements."""
    found = Store(store).get(run)
    shown: dict[str, Any] = {
        "run": found.id,
        "status": found.status().model_dump(),
        "config": found.config().model_dump(mode="json"),
        "data": found.json("data.json", {}),
        "environment": found.json("environment.json", {}),
        "summary": found.summary(),
    }
    if as_json:
        print_json(shown)
        return
    for part, values in shown.items():
        print_table([(part, "")] if isinstance(values, dict) else [(part, str(values))])
        if isinstance(values, dict):
            print_table([(f"  {key}", _cell(value)) for key, value in values.items()] or [("", "")])


@app.command()
def evaluate(
    run: RunArgument,
    split: Annotated[Literal["validation", "test"], typer.Option(help="Which images.")] = (
        "validation"
    ),
    data_dir: Annotated[str | None, typer.Option(help="Where the data set lies.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a trained model on images that it has not learned from, in nats per image."""
    import torch

    from vae_core.loading import load_part, load_run
    from vae_core.metrics import measure
    from vae_core.types import Context

    loaded = load_run(Store(store).get(run)).sound()
    _, part = load_part(loaded.run, split, data_dir)
    noise, images = torch.Generator().manual_seed(0), loaded.card.n_train
    context = Context(loaded.step, noise, train_images=images)
    found = measure(loaded.model, loaded.objective, part, context)
    told = _told(found.terms | {"total": found.total})
    report = found.report() | {"split": split, "run": run}
    if as_json:
        print_json(report | {"terms": told})
    else:
        print_table([(key, _cell(value)) for key, value in (told | report).items()])
    unknown = [name for name, value in told.items() if value is None]
    if unknown:
        print(
            f"{', '.join(unknown)} cannot be told: run {run!r} was saved without the weights of "
            "its objective.",
            file=sys.stderr,
        )


def _row(run: Run) -> dict[str, Any]:
    """What a list shows of a run; a damaged one is listed with its reason."""
    try:
        config, status, summary = run.config(), run.status(), run.summary()
    except UserError as error:
        return {"run": run.id, "state": "damaged", "reason": str(error)}
    return {
        "run": run.id,
        "state": status.state,
        "family": config.family,
        "data": config.data.dataset,
        "beta": config.objective.get("beta"),
        "step": status.step,
        "total_steps": status.total_steps,
        "elbo": summary.get("elbo"),
        "active_units": summary.get("active_units"),
    }


def _told(values: dict[str, float]) -> dict[str, float | None]:
    """Values by name, None for those that came out as no number."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
