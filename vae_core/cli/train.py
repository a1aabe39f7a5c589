"""Commands that train: train, resume, and the background worker's `work`."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from vae_core import process
from vae_core.cli.answering import end_with_parent
from vae_core.cli.options import (
    CpusOption,
    GpusOption,
    OnOption,
    RunArgument,
    StoreOption,
    print_progress,
    wait_for_heartbeat,
)
from vae_core.cli.there import train_there, work_there
from vae_core.config import DataConfig, RunConfig, parse_config
from vae_core.errors import DataChanged, UserError
from vae_core.nested import parse_settings
from vae_core.runs import Run, Store
from vae_core.runs.layout import HISTORY
from vae_core.runs.store import name_for
from vae_core.training.control import WorkerControl, control_size, send
from vae_core.training.watchdog import watch_worker

app = typer.Typer()

PresetOption = Annotated[str | None, typer.Option(help="A recipe; see `presets`.")]
FamilyOption = Annotated[str | None, typer.Option(help="What is learned; see `families`.")]
DatasetOption = Annotated[str | None, typer.Option(help="Name of the data set.")]
PlaceOption = Annotated[str | None, typer.Option(help="Where it lies; your own images.")]
EpochsOption = Annotated[int | None, typer.Option(help="Passes over the training images.")]
SetOption = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting, e.g. model.latent_dim=8."),
]


@app.command()
def train(
    preset: PresetOption = None,
    family: FamilyOption = None,
    dataset: DatasetOption = None,
    data_dir: PlaceOption = None,
    epochs: EpochsOption = None,
    run: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="RUN", help="Start from its weights, with its settings."),
    ] = None,
    settings: SetOption = [],  # noqa: B006 — typer wants a list and copies it
    store: StoreOption = None,
    on: OnOption = None,
    cpus: CpusOption = None,
    gpus: GpusOption = 0.0,
) -> None:
    """Train a model in the foreground. Ctrl-C saves and stops."""
    process.prepare()
    runs = Store(store)
    start = runs.get(source) if source else None
    config = config_from(preset, family, dataset, data_dir, epochs, settings, start)
    from vae_core.training.cluster.placed import address_for, put_on_cluster
    from vae_core.training.executors import parsed_share
    from vae_core.training.jobs import create

    name = run or runs.free_name(name_for(config, config.preset or config.family))
    made = create(runs, name, config)
    try:
        if on is not None and (address := address_for(made, on)):
            put_on_cluster(made, parsed_share(cpus, gpus))
            train_there(made, address, store)
        else:
            _train_here(made, store)
    except UserError:
        if not made.has(HISTORY):  # a mistyped path, say: nothing was learned that is worth keeping
            with suppress(UserError):
                made.delete()
        raise


AcceptOption = Annotated[
    bool,
    typer.Option(
        "--accept-changed-data",
        help="Go on though images have come, gone or changed: with those that are there now.",
    ),
]


MoreOption = Annotated[
    str | None,
    typer.Option(metavar="N", help="Epochs to go on for: +50 for so many more, 80 for so many."),
]


@app.command()
def resume(
    run: RunArgument,
    store: StoreOption = None,
    epochs: MoreOption = None,
    beta: Annotated[float | None, typer.Option(help="β from now on, as if set by hand.")] = None,
    accept_changed_data: AcceptOption = False,
    on: OnOption = None,
) -> None:
    """Go on with a run exactly where its last save left it; with more epochs, a finished one too.

    It refuses where the images are not those that the run was trained on.
    """
    process.prepare()
    found = Store(store).get(run)
    found.config_to_train()
    wait_for_heartbeat(found)
    if working := found.busy_message():
        raise UserError(working)
    from vae_core.training.cluster.placed import address_to_resume
    from vae_core.training.jobs import require_more

    require_more(found, epochs)
    if address := address_to_resume(found, on):
        train_there(found, address, store, accept_changed_data, epochs, beta)
    else:
        _train_here(found, store, accept_changed_data, epochs, beta)


@app.command(hidden=True)
def work(
    run: RunArgument,
    offset: Annotated[
        int | None, typer.Option("--heard", min=0, help="Bytes of messages that were there before.")
    ] = None,
    store: StoreOption = None,
    epochs: MoreOption = None,
    accept_changed_data: AcceptOption = False,
    on: OnOption = None,
) -> None:
    """What the app starts in the background: train a created run, tell its folder alone."""
    end_with_parent()
    process.prepare()
    process.yield_to_others()
    found = Store(store).get(run)
    if on is not None:
        work_there(found, on, offset, accept_changed_data, epochs)
        return
    # Its heart beats, and it takes messages, while torch is imported.
    with found.lock(), listening(found, offset) as control:
        from vae_core.training import worker

        worker.work(found, accept_changed_data=accept_changed_data, control=control, epochs=epochs)


def _train_here(
    run: Run,
    store: str | None,
    accept_changed_data: bool = False,
    epochs: str | None = None,
    beta: float | None = None,
) -> None:
    print(f"Run {run.id} in {run.path}", file=sys.stderr)
    offset = control_size(run)
    if beta is not None:
        send(run, {"command": "set", "name": "beta", "value": beta})
    try:
        with listening(run, offset) as control:
            from vae_core.training import worker
            from vae_core.training.recorders import ProgressBar

            ended = worker.work(
                run,
                lambda total, first: [ProgressBar(total, first)],
                print_progress(),
                accept_changed_data=accept_changed_data,
                control=control,
                epochs=epochs,
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
    source: Run | None = None,
) -> RunConfig:
    """The preset, then the plain options, then `--set`, each over the one before.

    Args:
        source: a run whose settings come in place of a preset's, see `config_from_run`.
    """
    from vae_core.data import datasets
    from vae_core.presets import LEFT_TO_THE_DATA, presets

    config = presets[preset].config if preset else parse_config({})
    if source is not None:
        if preset:
            raise UserError("--from brings settings along; leave out --preset.")
        config = _from_run(source, dataset, data_dir)
    elif preset is None and dataset and datasets[dataset].origin == "own":
        config = config.updated(LEFT_TO_THE_DATA)
    if family and family != config.family:
        config = config.updated({"family": family, "objective": {}, "preset": None})
    options: dict[str, Any] = {"dataset": dataset, "data_dir": _place(data_dir)}
    given = {key: value for key, value in options.items() if value is not None}
    train = {} if epochs is None else {"epochs": epochs}
    return config.updated({"data": given, "train": train}).updated(parse_settings(settings))


def _from_run(source: Run, dataset: str | None, data_dir: str | None) -> RunConfig:
    from vae_core.training.initial import config_from_run

    own = source.config().data
    if data_dir and dataset is None and own.data_dir is None:
        dataset = "folder"
    place = _place(data_dir) or (own.data_dir if dataset in (None, own.dataset) else None)
    return config_from_run(source, DataConfig(dataset=dataset or own.dataset, data_dir=place))


def _place(data_dir: str | None) -> str | None:
    """Absolute, so that the run can be resumed from another folder."""
    return str(Path(data_dir).expanduser().absolute()) if data_dir else None
