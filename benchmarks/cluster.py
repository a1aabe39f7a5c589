"""A sweep on a cluster of three machines, of which everything fails once: `python -m
benchmarks.cluster [--storage journal|postgresql] [--runs 24]`.

The machines are Ray's own (`ray.cluster_utils.Cluster`), all on this host, each with one CPU and a
cache of its own; no run folder lies where another machine could read it. While the sweep goes on

1. the machine that trains a run is killed,
2. the database of the study is away for 40 s,
3. the driver and the head, and with it all machines, are killed and begun again.

What is asserted in the end: as many results as points, each point once in the study and in the
store, and no run that came to its end in two places. The machines are watched five times a second
for that: a place that has come to its end says so in the status of its own copy of the run.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psutil

from vae_core.errors import UserError
from vae_core.locations import module_command, module_environment
from vae_core.runs import Store, layout
from vae_core.sweeps.results import results
from vae_core.sweeps.sweep import Sweep, get_sweep
from vae_core.training.cluster.place import FOLDER

MACHINES = 3
AWAY_S, START_S = 40.0, 300.0
NAME = "cluster"
RUN = ("--dataset", "digits", "--family", "vae", "--epochs", "12", "--set", "model.backbone=mlp",
       "--set", "train.device=cpu", "--set", "train.precision=fp32", "--set", "model.latent_dim=4",
       "--set", "train.save_every_s=1", "--set", "train.log_every=5")  # fmt: skip

_began = time.monotonic()


def say(text: str) -> None:
    """A line of the log, with the seconds since it began."""
    print(f"{time.monotonic() - _began:7.1f} s  {text}", flush=True)


# --- machines -------------------------------------------------------------------------------------


def machines(folder: Path) -> None:
    """In a process of its own: the head and the other machines, until it is killed; a line `kill N`
    on the standard input kills one of them."""
    from ray.cluster_utils import Cluster

    def options(number: int) -> dict[str, Any]:
        own = {"VAE_CACHE": str(folder / f"machine-{number}"), "VAE_STORE": str(folder / "none")}
        return {"num_cpus": 1, "object_store_memory": 100 * 2**20, "env_vars": own}

    head = {**options(0), "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    rest = (cluster.add_node(wait=False, **options(n)) for n in range(1, MACHINES))
    nodes = [cluster.head_node, *rest]
    cluster.wait_for_nodes(timeout=START_S)
    print(cluster.address, flush=True)
    for line in sys.stdin:
        command, _, number = line.strip().partition(" ")
        if command == "kill":
            cluster.remove_node(nodes[int(number)], allow_graceful=False)
            nodes[int(number)] = cluster.add_node(wait=False, **options(int(number)))
            cluster.wait_for_nodes(timeout=START_S)
            print("killed, and another one is there", flush=True)
    cluster.shutdown()  # whoever asked for it has ended


class Machines:
    """The cluster, from outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "benchmarks.cluster", "--machines", str(folder)]
        environment = module_environment(RAY_USAGE_STATS_ENABLED="0")
        with (folder / "machines.log").open("a") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True,
            )  # fmt: skip
        self.address = self._line()
        say(f"{MACHINES} machines of one CPU are up at {self.address}")

    def kill_one(self, number: int) -> None:
        """Kill a machine; another one takes its place after that."""
        assert self.process.stdin is not None
        print("kill", number, file=self.process.stdin, flush=True)
        self._line()

    def kill(self) -> None:
        """Kill the head and all machines, with whatever runs on them."""
        kill_tree(self.process)

    def _line(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if ":" in line or "killed" in line:
                return line.strip()
        raise RuntimeError("the machines ended")


def kill_tree(process: subprocess.Popen[Any]) -> None:
    """Kill a process and all that it has started, at once."""
    with suppress(psutil.Error):
        found = psutil.Process(process.pid)
        for each in [found, *found.children(recursive=True)]:
            with suppress(psutil.Error):
                each.kill()
    process.wait()


# --- databases ------------------------------------------------------------------------------------


class Journal:
    """A study in a journal on a drive that can be away: its place is reached through a link."""

    def __init__(self, folder: Path) -> None:
        self._drive, self._link = folder / "drive", folder / "share"
        self._drive.mkdir()
        self._link.symlink_to(self._drive)
        self.url = f"journal:///{self._link / 'study.log'}"  # an absolute path: four slashes

    def stop(self) -> None:
        self._link.unlink()

    def start(self) -> None:
        self._link.symlink_to(self._drive)

    def close(self) -> None:
        pass


class PostgreSQL:
    """A server of the system's own, started here and nowhere else reachable."""

    def __init__(self, folder: Path) -> None:
        self._bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self._data, self._port = folder / "postgresql", 54399
        self._data.mkdir()
        self._user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:  # which PostgreSQL refuses to be run by
            shutil.chown(self._data, "postgres")
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "vae")
        self.start()
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "vae", "study")
        self.url = f"postgresql://vae@127.0.0.1:{self._port}/study"

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._data} -F"
        log = str(self._data / "log")
        self._run("pg_ctl", "-D", str(self._data), "-o", options, "-l", log, "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "stop")

    def close(self) -> None:
        with suppress(subprocess.CalledProcessError):
            self.stop()

    def _run(self, program: str, *arguments: str) -> None:
        user = self._user if os.getuid() == 0 else None
        command = [str(self._bin / program), *arguments]
        where = self._data
        subprocess.run(command, user=user, cwd=where, check=True, stdout=subprocess.DEVNULL)


DATABASES: dict[str, Callable[[Path], Journal | PostgreSQL]] = {
    "journal": Journal,
    "postgresql": PostgreSQL,
}


# --- the sweep ------------------------------------------------------------------------------------


class Watch:
    """What the machines themselves say: which places have begun, and which came to their end."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._over = folder, threading.Event()
        self.begun: dict[str, tuple[int, str]] = {}
        self.ended: dict[str, str] = {}
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def training(self) -> tuple[int, str] | None:
        """A machine other than the head, and a run in the middle of its training there."""
        for place, (machine, run) in reversed(list(self.begun.items())):
            status = _status(Path(place), run)
            if machine and status.get("state") == "training" and status.get("step", 0) > 0:
                return machine, run
        return None

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.2):
            for machine in range(MACHINES):
                with suppress(OSError):
                    for place in (self._folder / f"machine-{machine}" / FOLDER).iterdir():
                        self._see(machine, place)

    def _see(self, machine: int, place: Path) -> None:
        run = place.name.split("-", 3)[3]
        status = _status(place, run)
        if status and str(place) not in self.begun:
            self.begun[str(place)] = machine, run
            say(f"  machine {machine} begins with {run}")
        if status.get("state") == "finished" and str(place) not in self.ended:
            self.ended[str(place)] = run
            say(f"  machine {machine} has trained {run} to its end ({len(self.ended)})")


def _status(place: Path, run: str) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads((place / run / layout.STATUS).read_text())
        return found
    return {}


@contextmanager
def driver(store: Path, address: str, log: IO[str], *arguments: str) -> Iterator[Any]:
    """`python -m vae_core sweep`, on the cluster."""
    environment = module_environment(
        VAE_STORE=str(store), VAE_CACHE=str(store.parent / "driver-cache"), RAY_ADDRESS=address
    )
    command = module_command("vae_core", "sweep", "--name", NAME, *arguments)
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        kill_tree(process)


def wait_for(results: int, store: Path, process: Any) -> None:
    """Return once so many results are there."""
    while True:
        with suppress(UserError):  # it is just being made
            if len(get_sweep(Store(store), NAME).state().in_state("finished")) >= results:
                return
        if process.poll() is not None:
            raise RuntimeError(f"the driver ended with status {process.returncode}; see its log")
        time.sleep(0.5)


def scenario(folder: Path, storage: str, runs: int) -> None:
    """The whole of it; raises an AssertionError where something was lost or done twice."""
    store = folder / "store"
    store.mkdir()
    database = DATABASES[storage](folder)
    say(f"the study lies in {storage}")
    betas = ",".join(str(round(0.5 + n / 2, 1)) for n in range(runs // 2))
    first = ("--beta", betas, "--seeds", "0,1", "--on", "ray", "--cpus", "1", "--workers", "6",
             "--storage", database.url, *RUN)  # fmt: skip

    watch, cluster = Watch(folder), None
    try:
        cluster = Machines(folder)
        with (folder / "driver.log").open("a") as log:
            with driver(store, cluster.address, log, *first) as process:
                wait_for(runs // 6, store, process)
                while (found := watch.training()) is None:
                    time.sleep(0.2)
                machine, run = found
                say(f"KILL machine {machine}, in the middle of {run}")
                cluster.kill_one(machine)
                wait_for(runs // 3, store, process)
                say(f"STOP the database for {AWAY_S:.0f} s")
                database.stop()
                time.sleep(AWAY_S)
                database.start()
                say("the database is back")
                wait_for(runs // 3 + runs // 4, store, process)
                say("KILL the driver, the head and all machines")
                process.send_signal(signal.SIGKILL)
                cluster.kill()
            cluster = Machines(folder)
            with driver(store, cluster.address, log, "--storage", database.url) as process:
                wait_for(runs, store, process)
                process.wait(60)
        time.sleep(1)
        watch.stop()
        check(get_sweep(Store(store), NAME), watch, runs)
    finally:
        watch.stop()
        if cluster is not None:
            cluster.kill()
        database.close()


def check(sweep: Sweep, watch: Watch, runs: int) -> None:
    """What was asked for is there, once."""
    from vae_core.sweeps.study import open_study

    state, spec = sweep.state(), sweep.spec()
    found = results(Store(sweep.store.path))
    trials = open_study(spec.storage or "", NAME).get_trials(deepcopy=False)
    complete = [json.dumps(t.params, sort_keys=True) for t in trials if t.state.name == "COMPLETE"]
    twice = {run: n for run, n in Counter(watch.ended.values()).items() if n > 1}
    torn = []
    for run in Store(sweep.store.path):
        steps = [each["step"] for each in run.each_record(layout.HISTORY) if each["kind"] == "step"]
        if steps != sorted(set(steps)) or run.status().state != "finished":
            torn.append(run.id)
    again = sum(n - 1 for n in Counter(run for _, run in watch.begun.values()).values())
    say(f"sweep: {state.state}; entries: {Counter(each.state for each in state.entries)}")
    say(f"results in the store: {len(found)}; runs: {len(list(Store(sweep.store.path)))}")
    say(f"points in the study: {len(complete)} results of {len(set(complete))} points")
    say(f"begun again in another place: {again}; to the end in two places: {twice or 'none'}")
    say(f"histories with a gap, a step twice or no end: {torn or 'none'}")
    assert state.state == "finished" and len(state.in_state("finished")) == runs
    assert len(list(Store(sweep.store.path))) == runs
    assert len(complete) == len(set(complete)) == runs
    assert again > 0 and not twice and not torn
    say("PASSED")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storage", choices=sorted(DATABASES), default="postgresql")
    parser.add_argument("--runs", type=int, default=24, help="An even number of points.")
    parser.add_argument("--machines", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.machines:
        machines(options.machines)
        return
    with tempfile.TemporaryDirectory(prefix="vae-cluster-") as folder:
        os.chmod(folder, 0o755)  # the database has a user of its own
        try:
            scenario(Path(folder), options.storage, options.runs)
        except BaseException:
            for log in sorted(Path(folder).glob("*.log")):
                print(f"--- {log.name}", log.read_text()[-4000:], sep="\n", file=sys.stderr)
            raise


if __name__ == "__main__":
    main()
