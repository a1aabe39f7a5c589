"""Several machines on one sweep, while two of them die and the storage goes away: what comes out?

Each machine is a scheduler with a store of its own; the study is a journal or a PostgreSQL server,
which is started here where it is installed. In the middle one scheduler is killed with its runs and
stays away; another one is killed alone and comes back; and the storage is away for a while. Every
point has to come out once, and no model may be trained to its end twice.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from vae_core.errors import UserError
from vae_core.locations import module_command, module_environment
from vae_core.runs import Store
from vae_core.sweeps import BETA, Sweep
from vae_core.sweeps.study import open_study, standing

NAME = "machines"
SILENT_S = 30
"""After so long a machine is taken for dead; an app waits a minute."""

FAST = ("--dataset", "digits", "--set", "model.backbone=mlp", "--set", "model.latent_dim=2",
        "--set", "train.preview_every=100000", "--set", "train.device=cpu")  # fmt: skip
"""A run of a few seconds."""

Away = Callable[[float], None]
"""Takes the storage away for so many seconds."""


@contextmanager
def journal(folder: Path) -> Iterator[tuple[str, Away]]:
    """A journal on a drive that can be taken away."""
    drive, hidden = folder / "drive", folder / "hidden"
    drive.mkdir()

    def away(seconds: float) -> None:
        drive.rename(hidden)
        time.sleep(seconds)
        hidden.rename(drive)

    yield f"journal:///{drive}/study.log", away


def pg_ctl() -> str:
    """The program that starts a PostgreSQL server, "" where none is installed."""
    there = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")))
    return shutil.which("pg_ctl") or (there[-1] if there else "")


@contextmanager
def postgresql(folder: Path) -> Iterator[tuple[str, Away]]:
    """A server of our own on a free port, stopped without a word and started again."""
    if not (found := pg_ctl()):
        raise UserError("PostgreSQL is not installed; it is Debian's package postgresql.")
    bin, data = Path(found).resolve().parent, folder / "data"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    as_user: list[str] = []
    if os.geteuid() == 0:  # which the server refuses
        as_user = ["runuser", "-u", "postgres", "--"]
        folder.chmod(0o755)
        data.mkdir()
        shutil.chown(data, "postgres")

    def control(*words: str) -> None:
        subprocess.run(
            [*as_user, str(bin / "pg_ctl"), "-D", str(data), "-w", *words],
            check=True, stdout=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip

    start = (
        "-o",
        f"-p {port} -k {data} -c listen_addresses=127.0.0.1",
        "-l",
        f"{data}/log",
        "start",
    )
    subprocess.run(
        [*as_user, str(bin / "initdb"), "-D", str(data), "-A", "trust", "-U", "sweeps"],
        check=True, stdout=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    control(*start)

    def away(seconds: float) -> None:
        control("-m", "immediate", "stop")
        time.sleep(seconds)
        control(*start)

    try:
        yield f"postgresql://sweeps@127.0.0.1:{port}/postgres", away
    finally:
        control("-m", "immediate", "stop")


STORAGES = {"journal": journal, "postgresql": postgresql}


class Machine:
    """A scheduler with a store of its own."""

    def __init__(self, folder: Path, url: str, workers: int) -> None:
        self.store, self.url, self.workers = Store(folder), url, workers
        self.sweep = Sweep(self.store, NAME)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *words: str) -> None:
        common = ("--name", NAME, "--store", self.store.path, "--storage", self.url)
        command = ["sweep", *map(str, (*common, "--workers", self.workers, *words))]
        environment = {"VAE_SILENT_S": str(SILENT_S), "OMP_NUM_THREADS": "1"}
        with (self.store.path.parent / f"{self.store.path.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                module_command("vae_core", *command),
                env=module_environment(**environment), stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self, with_runs: bool) -> None:
        """As kill -9 does; as a power cut does, where its runs go as well."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        for run in self.store if with_runs else ():
            with suppress(OSError, ValueError, UserError):
                if run.is_alive():
                    os.kill(json.loads(run.text("job.json"))["pid"], signal.SIGKILL)

    def results(self) -> list[float]:
        """The β of every model that was trained to its end here."""
        ends = [run for run in self.store if run.status().state == "finished"]
        return [run.config().objective["beta"] for run in ends]


def main(
    storages: Annotated[
        list[str], typer.Argument(help="journal, postgresql; both where none is named.")
    ] = [],  # noqa: B006
    points: Annotated[int, typer.Option(min=4, help="How many values of β.")] = 24,
    machines: Annotated[int, typer.Option(min=3, help="How many schedulers.")] = 4,
    workers: Annotated[int, typer.Option(min=1, help="Runs at a time of each.")] = 1,
    epochs: Annotated[int, typer.Option(min=1, help="Of each run.")] = 60,
    away_s: Annotated[float, typer.Option(help="How long the storage is away.")] = 20.0,
    limit_s: Annotated[float, typer.Option(help="When it is given up.")] = 1200.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Torture a sweep; the exit status is 1 where a point is missing or came twice."""
    found = {}
    for storage in storages or STORAGES:
        with tempfile.TemporaryDirectory(prefix="machines-") as folder:
            found[storage] = torture(
                Path(folder), storage, points, machines, workers, epochs, away_s, limit_s
            )
        if not as_json:
            print(storage, *(f"{key} {value}" for key, value in found[storage].items()), sep="\n  ")
    if as_json:
        print(json.dumps(found, indent=2))
    if not all(each["each_once"] for each in found.values()):
        raise typer.Exit(1)


def torture(
    folder: Path,
    storage: str,
    points: int,
    machines: int,
    workers: int,
    epochs: int,
    away_s: float,
    limit_s: float,
) -> dict[str, Any]:
    """One sweep through all of it; what came out."""
    began = time.monotonic()
    betas = [round(0.1 * 1.3**i, 6) for i in range(points)]
    with STORAGES[storage](folder) as (url, away):
        all_of_them = [Machine(folder / f"m{i}", url, workers) for i in range(machines)]
        try:
            first, gone, back, *_ = all_of_them
            values = ",".join(map(str, betas))
            first.start("--beta", values, "--epochs", str(epochs), *FAST)
            until(lambda: first.sweep.has("state.json"), limit_s)
            for machine in all_of_them[1:]:
                machine.start()
            until(lambda: all(running(m) for m in all_of_them), limit_s)
            until(lambda: sum(len(m.results()) for m in all_of_them) >= points // 6, limit_s)
            until(lambda: running(gone) and running(back), limit_s)
            gone.kill(with_runs=True)
            back.kill(with_runs=False)
            killed_at = time.monotonic() - began
            time.sleep(SILENT_S / 2)
            back.start()
            away(away_s)
            back_at = time.monotonic() - began
            alive = [machine for machine in all_of_them if machine is not gone]
            until(lambda: all(m.process and m.process.poll() is not None for m in alive), limit_s)
            spec = first.sweep.spec()
            trials = open_study(url, NAME).get_trials()
            counted = standing(open_study(url, NAME), spec)
        finally:
            for machine in all_of_them:
                machine.kill(with_runs=True)
        ends = Counter(beta for machine in all_of_them for beta in machine.results())
        twice = {beta for beta, times in ends.items() if times > 1}
        untold = set(gone.results()) | set(back.results())
        told = Counter(t.params[BETA] for t in trials if t.value is not None)
        return {
            "each_once": told == Counter(betas) and twice <= untold,
            "results": sum(told.values()),
            "points": len(told),
            "trained_to_the_end": sum(ends.values()),
            "twice": sorted(twice),
            "twice_and_nobody_died_of_it": sorted(twice - untold),
            "states": dict(Counter(trial.state.name for trial in counted.values())),
            "lost_to_deaths_and_done_anew": sum(trial.state.name == "FAIL" for trial in trials),
            "by_machine": [len(machine.results()) for machine in all_of_them],
            "schedulers": [m.sweep.state().state for m in all_of_them],
            "killed_after_s": round(killed_at),
            "storage_away_s": away_s,
            "storage_back_after_s": round(back_at),
            "seconds": round(time.monotonic() - began),
        }


def running(machine: Machine) -> bool:
    """Whether a machine has a run at work."""
    try:
        entries = machine.sweep.written_state().in_state("running")
        return any(machine.store.get(entry.run).is_alive() for entry in entries)
    except UserError:
        return False


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for it. A UserError when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise UserError(f"It did not happen within {seconds:.0f} s.")
        time.sleep(0.3)


if __name__ == "__main__":
    typer.run(main)
