"""Commands that train: train, resume, and the background worker's `work`."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vae_core import process
from vae_core.cli.answering import end_with_parent
from vae_core.cli.errors import BAD_INPUT
from vae_core.cli.options import (
    CpusOption,
    GpusOption,
    OnOption,
    RunArgument,
    StoreOption,
    print_progress,
    wait_for_heartbeat,
)
from vae_core.cli.there import require_one_process, train_there, work_there
from vae_core.cli.together import ProcessesOption, leading, require_none_started
from vae_core.config import DataConfig, RunConfig, parse_config
from vae_core.errors import DataChanged, UserError
from vae_core.locations import is_address
from vae_core.nested import parse_settings
from vae_core.progress import no_progress
from vae_core.runs import Folder, Run, Status, Store
from vae_core.runs.layout import HISTORY
from vae_core.runs.store import name_for
from vae_core.training.control import WorkerControl, control_size, send
from vae_core.training.rank import own_rank
from vae_core.training.watchdog import stop_after, watch_worker

if TYPE_CHECKING:
    from vae_core.training.distributed import Distributed

app = typer.Typer()

PresetOption = Annotated[str | None, typer.Option(help="A recipe; see `presets`.")]
FamilyOption = Annotated[str | None, typer.Option(help="What is learned; see `families`.")]
DatasetOption = Annotated[str | None, typer.Option(help="Name of the data set.")]
PlaceOption = Annotated[
    str | None, typer.Option(help="Where it lies; your own images, or their address.")
]
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
    processes: ProcessesOption = None,
    on: OnOption = None,
    cpus: CpusOption = None,
    gpus: GpusOption = 0.0,
) -> None:
    """Train a model in the foreground. Ctrl-C saves and stops.

    Started by torchrun, it trains one model in all of its processes.
    """
    process.prepare()
    with leading() as group:
        require_none_started(group, processes)
        require_one_process(on, group is not None or processes is not None)
        runs = Store(store)
        if earlier := _begun(runs):
            wait_for_heartbeat(earlier)
            return _train_here(earlier, store, group)
        start = runs.get(source) if source else None
        config = config_from(preset, family, dataset, data_dir, epochs, settings, start)
        from vae_core.training.cluster.placed import address_for, put_on_cluster
        from vae_core.training.executors import parsed_share
        from vae_core.training.jobs import create

        name = run or runs.free_name(name_for(config, config.preset or config.family))
        made = create(runs, name, config)
        try:
            if on is not None and (address := address_for(on)):
                put_on_cluster(made, parsed_share(cpus, gpus))
                train_there(made, address, store)
            else:
                _train_here(made, store, group, processes=processes or 1)
        except (UserError, typer.Exit) as error:
            mistake = getattr(error, "exit_status", BAD_INPUT) == BAD_INPUT  # and nobody was lost
            if mistake and not made.has(HISTORY):  # such as a wrong path: there is nothing to keep
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
    processes: ProcessesOption = None,
    on: OnOption = None,
) -> None:
    """Go on with a run exactly where its last save left it; with more epochs, a finished one too.

    It refuses where the images are not those that the run was trained on.
    """
    process.prepare()
    with leading() as group:
        require_none_started(group, processes)
        require_one_process(on, group is not None or processes is not None)
        found = Store(store).get(run)
        found.config_to_train()
        wait_for_heartbeat(found)
        if working := found.busy_message():
            raise UserError(working)
        if _begun(Store(store)):
            return _train_here(found, store, group, accept_changed_data)
        from vae_core.training.cluster.placed import address_to_resume
        from vae_core.training.jobs import processes_of, require_more

        require_more(found, epochs)
        if address := address_to_resume(found, on):
            return train_there(found, address, store, accept_changed_data, epochs, beta)
        started = processes or processes_of(found)
        _train_here(found, store, group, accept_changed_data, epochs, beta, started)


@app.command(hidden=True)
def work(
    run: RunArgument,
    offset: Annotated[
        int | None, typer.Option("--heard", min=0, help="Bytes of messages that were there before.")
    ] = None,
    store: StoreOption = None,
    epochs: MoreOption = None,
    accept_changed_data: AcceptOption = False,
    owner: Annotated[
        Path | None, typer.Option(help="Folder; the run stops once nobody works on it any more.")
    ] = None,
    processes: ProcessesOption = None,
    shown: Annotated[bool, typer.Option("--shown", help="In a terminal that is watched.")] = False,
    on: OnOption = None,
) -> None:
    """What the app starts in the background: train a created run, tell its folder alone."""
    end_with_parent()
    process.prepare()
    if not shown:
        process.yield_to_others()
    found = Store(store).get(run)
    if owner is not None:
        stop_after(Folder(owner), found)
    offset = control_size(found) if offset is None else offset
    if on is not None:
        work_there(found, on, offset, accept_changed_data, epochs)
        return
    if processes is not None and processes > 1:
        _launch(found, processes, accept_changed_data, epochs, offset)
        return
    # Its heart beats, and it takes messages, while torch is imported. Of several, the first alone.
    if own_rank():
        with leading():
            pass
    with found.lock(), listening(found, offset) as control, leading() as group:
        from vae_core.training import worker
        from vae_core.training.distributed import ALONE
        from vae_core.training.recorders import ProgressBar

        worker.work(
            found,
            lambda total, first: [ProgressBar(total, first)] if shown else [],
            print_progress() if shown else no_progress,
            accept_changed_data=accept_changed_data,
            control=control,
            epochs=epochs,
            group=group or ALONE,
        )


def _launch(
    run: Run, processes: int, accept_changed_data: bool, epochs: str | None, offset: int,
    shown: bool = False,
) -> Status:  # fmt: skip
    from vae_core.training.launch import train_in_processes

    options = {"--accept-changed-data": accept_changed_data, "--shown": shown}
    given = [name for name, value in options.items() if value]
    return train_in_processes(run, processes, ["work", run.id, *given], offset, epochs)


def _begun(runs: Store) -> Run | None:
    """The run that an earlier attempt of torchrun has begun with this very command."""
    from vae_core.training.attempts import begun

    name = begun()
    return runs.get(name) if name is not None and (runs.path / name).is_dir() else None


def _train_here(
    run: Run,
    store: str | None,
    group: Distributed | None = None,
    accept_changed_data: bool = False,
    epochs: str | None = None,
    beta: float | None = None,
    processes: int = 1,
) -> None:
    print(f"Run {run.id} in {run.path}", file=sys.stderr)
    offset = control_size(run)
    if beta is not None:
        send(run, {"command": "set", "name": "beta", "value": beta})
    if group is None and processes > 1:
        status = _launch(run, processes, accept_changed_data, epochs, offset, shown=True)
        if status.state == "failed":
            raise typer.Exit(BAD_INPUT)  # the first of them has said why
        finished = status.state == "finished"
    else:
        finished = _train_alone(run, offset, group, accept_changed_data, epochs)
    if not finished:
        option = f" --store {store}" if store else ""
        status = run.status()
        said = status.message or f"Stopped at step {status.step} and saved."
        print(f"{said} Go on with: python -m vae_core resume {run.id}{option}", file=sys.stderr)


def _train_alone(
    run: Run,
    offset: int,
    group: Distributed | None,
    accept_changed_data: bool,
    epochs: str | None,
) -> bool:
    """Train in this process, or as the first of several; whether it came to the end."""
    try:
        with listening(run, offset) as control:
            from vae_core.training import worker
            from vae_core.training.attempts import begin
            from vae_core.training.distributed import ALONE
            from vae_core.training.recorders import ProgressBar

            begin(run.id)
            ended = worker.work(
                run,
                lambda total, first: [ProgressBar(total, first)],
                print_progress(),
                accept_changed_data=accept_changed_data,
                control=control,
                epochs=epochs,
                group=group or ALONE,
            )
    except DataChanged as error:
        if error.acceptable:
            raise UserError(f"{error} To accept them, add --accept-changed-data.") from None
        raise
    return ended.finished


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
    if not data_dir or is_address(data_dir):
        return data_dir
    return str(Path(data_dir).expanduser().absolute())
