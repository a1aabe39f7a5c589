"""Commands that train: train, resume, and the background worker's `work`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vae_core import process
from vae_core.cli.options import RunArgument, StoreOption, print_progress, wait_for_heartbeat
from vae_core.config import RunConfig, parse_config
from vae_core.errors import DataChanged, UserError
from vae_core.nested import parse_settings
from vae_core.runs import Run, Store
from vae_core.training.control import WorkerControl, control_size
from vae_core.training.watchdog import watch_worker

app = typer.Typer()


SetOption = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting, e.g. model.latent_dim=8."),
]


@app.command()
def train(
    preset: Annotated[str | None, typer.Option(help="A recipe; see `presets`.")] = None,
    family: Annotated[str | None, typer.Option(help="What is learned; see `families`.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Name of the data set.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where it lies; your own images.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    run: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    settings: SetOption = [],  # noqa: B006 — typer wants a list and copies it
    store: StoreOption = None,
) -> None:
    """Train a model in the foreground. Ctrl-C saves and stops."""
    process.prepare()
    config = config_from(preset, family, dataset, data_dir, epochs, settings)
    from vae_core.families import complete

    config = complete(config)
    runs = Store(store)
    made = runs.create(run or runs.free_name(_default_name(config)), config)
    _train_here(made, store)


AcceptOption = Annotated[
    bool,
    typer.Option(
        "--accept-changed-data",
        help="Go on though images have come, gone or changed: with those that are there now.",
    ),
]


@app.command()
def resume(
    run: RunArgument, store: StoreOption = None, accept_changed_data: AcceptOption = False
) -> None:
    """Go on with a run exactly where its last save left it.

    It refuses where the images are not those that the run was trained on.
    """
    process.prepare()
    found = Store(store).get(run)
    found.config_to_train()
    wait_for_heartbeat(found)
    if working := found.busy_message():
        raise UserError(working)
    if found.status().state == "finished":
        raise UserError(f"Run {run!r} is finished; there is nothing to resume.")
    _train_here(found, store, accept_changed_data)


@app.command(hidden=True)
def work(
    run: RunArgument,
    offset: Annotated[
        int | None, typer.Option("--heard", min=0, help="Bytes of messages that were there before.")
    ] = None,
    store: StoreOption = None,
    accept_changed_data: AcceptOption = False,
) -> None:
    """What the app starts in the background: train a created run, tell its folder alone."""
    process.prepare()
    process.yield_to_others()
    found = Store(store).get(run)
    # Its heart beats, and it takes messages, while torch is imported.
    with found.lock(), listening(found, offset) as control:
        from vae_core.training import worker

        worker.work(found, accept_changed_data=accept_changed_data, control=control)


def _train_here(run: Run, store: str | None, accept_changed_data: bool = False) -> None:
    print(f"Run {run.id} in {run.path}", file=sys.stderr)
    try:
        with listening(run) as control:
            from vae_core.training import worker
            from vae_core.training.recorders import ProgressBar

            ended = worker.work(
                run,
                lambda total, first: [ProgressBar(total, first)],
                print_progress(),
                accept_changed_data=accept_changed_data,
                control=control,
            )
    except DataChanged as error:
        if error.acceptable:
            raise UserError(f"{error} To accept them, add --accept-changed-data.") from None
        raise
    if not ended.finished:
        option = f" --store {store}" if store else ""
        said = run.status().message or f"Stopped at step {ended.step} and saved."
        print(f"{said} Go on with: python -m vae_core resume {run.id}{option}", file=sys.stderr)


def listening(run: Run, offset: int | None = None) -> WorkerControl:
    """The control of the worker that this process is going to be, from before torch is imported
    on; whatever it does then, two seconds after it was asked to stop it has ended."""
    offset = control_size(run) if offset is None else offset
    control = WorkerControl(run, offset)
    watch_worker(run, offset, control)
    return control


def config_from(
    preset: str | None,
    family: str | None,
    dataset: str | None,
    data_dir: str | None,
    epochs: int | None,
    settings: list[str],
) -> RunConfig:
    """The preset, then the plain options, then `--set`, each over the one before."""
    from vae_core.data import datasets
    from vae_core.presets import LEFT_TO_THE_DATA, presets

    config = presets[preset].config if preset else parse_config({})
    if preset is None and dataset and datasets[dataset].origin == "own":
        config = config.updated(LEFT_TO_THE_DATA)
    if family and family != config.family:
        config = config.updated({"family": family, "objective": {}, "preset": None})
    # Absolute, so that the run can be resumed from another folder.
    place = str(Path(data_dir).expanduser().absolute()) if data_dir else None
    options: dict[str, Any] = {
        "data": {"dataset": dataset, "data_dir": place},
        "train": {"epochs": epochs},
    }
    given = {
        part: {key: value for key, value in values.items() if value is not None}
        for part, values in options.items()
    }
    return config.updated(given).updated(parse_settings(settings))


def _default_name(config: RunConfig) -> str:
    return f"{config.data.dataset}-{config.preset or config.family}"
