"""Commands that look at runs: list, show, evaluate."""

from __future__ import annotations

import math
import sys
from typing import Annotated, Any, Literal

import typer

from vae_core.cli.options import (
    DataDirOption,
    JsonOption,
    RunArgument,
    StoreOption,
    WeightsOption,
    cell,
    print_json,
    print_progress,
    print_rows,
    print_table,
)
from vae_core.cli.representation import (
    ProtocolOption,
    RepresentationOption,
    print_representation,
    representation_of,
)
from vae_core.errors import UserError
from vae_core.runs import BEST, WEIGHTS, Run, Store, in_words, layout, measured_on
from vae_core.runs.schemas import Pulled

app = typer.Typer()

MEASURED = ("elbo", "nats_per_pixel", "bits_per_dim", "mse", "active_units")
"""What a list shows of a run's summary."""


@app.command("list")
def list_runs(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the runs, the newest first."""
    runs = Store(store)
    if runs.path.exists() and not runs.path.is_dir():
        raise UserError(f"{runs.path} is no folder of runs.")
    columns = (
        "run", "state", "family", "data", "beta", "step", "elbo", "bits_per_dim", "mse",
        "measured_on",
    )  # fmt: skip
    print_rows([_row(run) for run in runs], columns, as_json)


@app.command()
def show(run: RunArgument, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Show a run: configuration, data, state, measurements."""
    from vae_core.training.trackers import tracks

    found = Store(store).get(run)
    shown: dict[str, Any] = {
        "run": found.id,
        "status": found.status().model_dump(),
        "config": found.config().model_dump(mode="json"),
        "data": found.data_card().model_dump(mode="json") if found.has(layout.DATA_CARD) else {},
        "environment": found.environment().model_dump(exclude_unset=True),
        "summary": found.summary(),
        "in_force": {"beta": _beta(found, None)},
        "measured_on": str(measured_on(found) or ""),
        "pulled_from": found.parse(layout.PULLED, Pulled).model_dump()
        if found.has(layout.PULLED)
        else {},
        "track": {entry.name: command for entry, _, command in tracks(found)},
        "weights": {"last": found.weights_step(), "best": found.weights_step(BEST)},
    }
    if as_json:
        print_json(shown)
        return
    for part, values in shown.items():
        print_table([(part, "")] if isinstance(values, dict) else [(part, str(values))])
        if isinstance(values, dict):
            print_table([(f"  {key}", cell(value)) for key, value in values.items()] or [("", "")])


@app.command()
def evaluate(
    run: RunArgument,
    split: Annotated[Literal["validation", "test"], typer.Option(help="Which images.")] = (
        "validation"
    ),
    data_dir: DataDirOption = None,
    weights: WeightsOption = "last",
    representation: RepresentationOption = False,
    protocol: ProtocolOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a trained model on images that it has not learned from, in nats per image.

    They are those that the run itself held out; what has come or gone since is told.
    """
    import torch

    from vae_core.in_force import controls_in_force
    from vae_core.loading import load_part, load_run
    from vae_core.metrics import measure
    from vae_core.types import Context

    loaded = load_run(Store(store).get(run), which=weights).sound()
    say = print_progress()
    codes = representation_of(loaded.run, split, data_dir, weights, representation, protocol, say)
    dataset, part = load_part(loaded.run, split, data_dir, say)
    difference = dataset.difference
    noise, images = torch.Generator().manual_seed(0), loaded.card.n_train
    controls = controls_in_force(loaded.run, loaded.step)
    context = Context(max(0, loaded.step - 1), noise, controls, train_images=images)
    found = measure(loaded.model, loaded.objective, part, context, progress=say)
    terms = {
        name: value if math.isfinite(value) else None
        for name, value in (found.terms | {"total": found.total}).items()
    }
    report = found.report() | {
        "split": split,
        "measured_on": in_words(len(part), split),
        "run": run,
        "step": loaded.step,
        "data_difference": difference.report() if difference else None,
    }
    if as_json:
        print_json(report | {"terms": terms} | codes)
    else:
        shown = {key: value for key, value in report.items() if key != "data_difference"}
        print_table([(key, cell(value)) for key, value in (terms | shown).items()])
        for found in codes.values():
            print_representation(found)
    if difference:
        print(f"{difference.sentence} {len(part)} {split} images were measured.", file=sys.stderr)
    unknown = [name for name, value in terms.items() if value is None]
    if unknown:
        print(
            f"{', '.join(unknown)} cannot be told: run {run!r} was saved without the weights of "
            "its objective.",
            file=sys.stderr,
        )


def _row(run: Run) -> dict[str, Any]:
    """What a list shows of a run; a damaged one is listed with its reason."""
    try:
        run.check()
        config, status, summary = run.config(), run.status(), run.summary()
        part = measured_on(run)
    except UserError as error:
        return {"run": run.id, "state": "damaged", "reason": str(error)}
    return {
        "run": run.id,
        "state": status.state,
        "family": config.family,
        "data": config.data.dataset,
        "beta": _beta(run, config.objective.get("beta")),
        "step": status.step,
        "total_steps": status.total_steps,
        **{name: summary.get(name) for name in MEASURED},
        "measured_on": None if part is None else str(part),
    }


def _beta(run: Run, planned: float | None) -> float | None:
    """β in force at the saved weights; the planned one before there are any."""
    from vae_core.in_force import beta_in_force

    try:
        return beta_in_force(run) if run.has(WEIGHTS) else planned
    except UserError:  # of a family that is not installed here, or damaged
        return None
