"""Commands about sweeps: begin, join or go on with one, list them, tell them."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vae_core.cli.answering import answering
from vae_core.cli.options import (
    JsonOption,
    LinesOption,
    RunArgument,
    StoreOption,
    print_json,
    print_progress,
    print_table,
    wait_for_heartbeat,
)
from vae_core.cli.train import (
    DatasetOption,
    EpochsOption,
    FamilyOption,
    PlaceOption,
    PresetOption,
    SetOption,
    config_from,
)
from vae_core.errors import UserError
from vae_core.runs import Store
from vae_core.training.executors import HERE, parsed_share
from vae_core.training.watchdog import unwatch

if TYPE_CHECKING:
    from vae_core.sweeps import Sweep, SweepState

WORKERS = 2

app = typer.Typer()


@app.command()
def sweep(
    name: Annotated[str, typer.Option(help="Name of the sweep; its runs begin with it.")],
    beta: Annotated[str | None, typer.Option(help="Values of β, such as 0.1,0.3,1.")] = None,
    vary: Annotated[
        list[str],
        typer.Option(metavar="KEY=V1,V2", help="A second setting, e.g. model.latent_dim=8,16."),
    ] = [],  # noqa: B006 — typer wants a list and copies it
    seeds: Annotated[str | None, typer.Option(help="Seeds, such as 0,1,2.")] = None,
    sampler: Annotated[
        Literal["grid", "random", "tpe"], typer.Option(help="grid tries all; the others draw.")
    ] = "grid",
    trials: Annotated[int, typer.Option(help="How many runs random and tpe draw.")] = 0,
    pruner: Annotated[
        Literal["none", "median", "hyperband"],
        typer.Option(help="Stops runs early whose ELBO is hopeless beside that of the others."),
    ] = "none",
    workers: Annotated[
        int | None, typer.Option(help="Runs at a time, sharing all cores; 2, or as before.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            envvar="VAE_STORAGE",
            help="URL of a database or a journal that machines share; one with a password is "
            "better told by the variable, which others on this machine cannot read.",
        ),
    ] = None,
    on: Annotated[
        str, typer.Option(metavar="PLACE", help="Where runs are trained: here, or an address.")
    ] = HERE,
    cpus: Annotated[float | None, typer.Option(help="Cores of one run there.")] = None,
    gpus: Annotated[float, typer.Option(help="Graphics cards of one run there; 0.5 shares.")] = 0.0,
    preset: PresetOption = None,
    family: FamilyOption = None,
    dataset: DatasetOption = None,
    data_dir: PlaceOption = None,
    epochs: EpochsOption = None,
    settings: SetOption = [],  # noqa: B006
    background: Annotated[bool, typer.Option(help="Return at once.")] = False,
    store: StoreOption = None,
) -> None:
    """Train one model for each β. With a name alone: go on with that sweep, or join it."""
    from vae_core.sweeps import BETA, SEED, SweepSpec, parse_values

    runs = Store(store)
    wanted = {BETA: beta, **dict(map(_key_and_values, vary)), SEED: seeds}
    varied = {key: parse_values(key, text) for key, text in wanted.items() if text is not None}

    from vae_core.sweeps.scheduler import work
    from vae_core.sweeps.sweep import create_sweep, get_sweep, has_sweep, join_sweep, launch
    from vae_core.training.cluster.placed import by_name

    count = WORKERS if workers is None else workers
    place: dict[str, Any] = {"place": by_name(on), "share": parsed_share(cpus, gpus)}
    if varied:
        base = config_from(preset, family, dataset, data_dir, epochs, settings)
        spec = SweepSpec(
            base=base,
            vary=varied,
            sampler=sampler,
            trials=trials,
            pruner=pruner,
            workers=count,
            storage=storage,
            **place,
        )
        made = create_sweep(runs, name, spec, print_progress())
    elif storage is not None and not has_sweep(runs, name):
        made = join_sweep(runs, name, storage, count, **place)
    else:
        made = get_sweep(runs, name)
        wait_for_heartbeat(made)
        if workers is not None:
            made.send("workers", count=workers)
        if made.state().state in ("finished", "cancelled"):
            raise UserError(f"Sweep {name!r} is {made.state().state}; there is nothing to resume.")
        made.send("resume")
    if background:
        launch(made)
        print(f"Sweep {name} is at work: python -m vae_core sweeps", file=sys.stderr)
        return
    with _stop_on_signal(made):
        ended = work(made, _progress(made, made.spec().total))
    _report(made, ended)


@app.command("sweep-work", hidden=True)
def sweep_work(name: str, store: StoreOption = None) -> None:
    """What the app starts in the background: schedule a sweep, tell its folder alone."""
    from vae_core.sweeps.sweep import get_sweep

    unwatch()  # its runs outlive it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    found = get_sweep(Store(store), name)
    with found.lock():  # its heart beats while Optuna is imported
        from vae_core.sweeps.scheduler import work

        work(found)


@app.command("sweeps")
def list_sweeps(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the sweeps, the newest first."""
    from vae_core.sweeps import sweeps_of

    rows = [_row(each) for each in sweeps_of(Store(store))]
    if as_json:
        print_json(rows)
        return
    head = ("sweep", "state", "finished", "running", "waiting", "failed", "total", "message")
    print_table([head, *(tuple(str(row.get(key, "")) for key in head) for row in rows)])


@app.command("sweep-tell")
def tell(
    name: str,
    command: Annotated[
        Literal["pause", "resume", "stop", "cancel"],
        typer.Argument(help="stop can be resumed; cancel gives the rest up."),
    ],
    store: StoreOption = None,
) -> None:
    """Pause, resume, stop or cancel a sweep."""
    from vae_core.sweeps.sweep import get_sweep, launch

    found = get_sweep(Store(store), name)
    if command == "resume":
        wait_for_heartbeat(found)
        launch(found)
    else:
        found.send(command)


@app.command("score")
def score_run(
    run: RunArgument,
    store: StoreOption = None,
    as_json: JsonOption = False,
    as_lines: LinesOption = False,
) -> None:
    """Score how well latents stand for known factors, on validation images (sprites, scenes)."""
    from vae_core.scoring import KINDS, remarks, score

    with answering(as_lines) as say:
        found = score(Store(store).get(run), say)
    if as_lines:
        return
    if as_json:
        print_json(found)
        return
    kinds = [kind for kind in KINDS if kind in found]
    rows = [
        (name, *(f"{found[kind][name]:.3f} ± {found['spread'][kind][name]:.3f}" for kind in kinds))
        for name in found["means"]
    ]
    print_table([("score", *kinds), *rows])
    for sentence in remarks(found):
        print(sentence)


def _key_and_values(entry: str) -> tuple[str, str]:
    key, equals, text = entry.partition("=")
    if not equals or not key.strip():
        raise UserError(f"{entry!r} varies nothing; write KEY=V1,V2, e.g. model.latent_dim=8,16.")
    return key.strip(), text


def _row(found: Sweep) -> dict[str, Any]:
    try:
        state, spec = found.state(), found.spec()
    except UserError as error:
        return {"sweep": found.id, "state": "damaged", "reason": str(error)}
    counts = {
        name: len(state.in_state(name)) for name in ("finished", "running", "waiting", "failed")
    }
    facts = {"sweep": found.id, "state": state.state, **counts, "total": spec.total}
    return facts | {"message": state.message}


def _progress(made: Sweep, total: int) -> Any:
    """Prints a line whenever an entry changes."""
    from vae_core.sweeps.results import measured

    last: dict[int, str] = {}
    told = ""

    def watch(state: SweepState) -> None:
        nonlocal told
        for entry in state.entries:
            if entry.state != last.get(entry.number, "waiting"):
                last[entry.number] = entry.state
                done = entry.state == "finished"
                value = f", {measured(made.store.get(entry.run))}" if done else ""
                over = sum(each.is_over for each in state.entries)
                name = entry.run or entry.params
                print(f"[{over}/{total}] {name}: {entry.state}{value} {entry.message}".rstrip())
        if state.message not in ("", told):
            print(state.message, file=sys.stderr)
        told = state.message

    return watch


@contextmanager
def _stop_on_signal(sweep: Sweep) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask the sweep to stop: its runs save themselves and can go on."""
    unwatch()

    def stop(number: int, frame: FrameType | None) -> None:
        sweep.send("stop")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    handlers = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _report(made: Sweep, ended: SweepState) -> None:
    failed = ended.in_state("failed")
    print(f"Sweep {made.id}: {ended.state}.", file=sys.stderr)
    for entry in failed:
        print(f"  {entry.run} failed: {entry.message}", file=sys.stderr)
    if ended.state == "stopped":
        option = f" --store {made.store.path}"
        print(f"Go on with: python -m vae_core sweep --name {made.id}{option}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)
