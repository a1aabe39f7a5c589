"""A cluster without an engine: places in this process, which can be lost, full, or away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from vae_core.runs import Run, Status
from vae_core.runs.schemas import Placement
from vae_core.training.cluster import mirror
from vae_core.training.cluster.luggage import Changes
from vae_core.training.cluster.mirror import Away, Gone, Mirror, Tick
from vae_core.training.cluster.place import Place
from vae_core.training.cluster.placed import put_on_cluster
from vae_core.training.control import ControlFile, control_size
from vae_core.training.executors import Share

Act = Callable[[Run], None]


class ScriptedWorker:
    """A process that does one thing each time that its place is asked what is new."""

    def __init__(self, acts: Sequence[Act]) -> None:
        self.acts = list(acts)
        self.over: int | None = None

    def poll(self) -> int | None:
        return self.over

    def kill(self) -> None:
        self.over = -9

    def wait(self) -> None:
        pass


class ScriptedPlace(Place):
    """A place whose worker is a script."""

    acts: Sequence[Act] = ()

    def begin(self, options: list[str], needed_s: float | None = None) -> None:
        self._needed_s = needed_s
        self._worker: Any = ScriptedWorker(self.acts)

    def changes(self, seen: dict[str, str], history: tuple[int, str], log: int | None) -> Changes:
        if self._worker.acts:
            self._worker.acts.pop(0)(self.run)
        elif self._worker.over is None:
            self._worker.over = 0
        return super().changes(seen, history, log)


class Machines:
    """See `Cluster` in mirror.py. `make`: a new place. `full`, `away`: for so many questions."""

    def __init__(self, make: Callable[[str, float], Place] = Place) -> None:
        self.make = make
        self.places: dict[str, Handle] = {}
        self.begun: list[Place] = []
        self.pieces: list[str] = []
        self.full = self.away = 0
        self.left = False

    def find(self, name: str) -> Handle | None:
        self.answer()
        return self.places.get(name)

    def begin(self, name: str, placement: Placement) -> Handle:
        self.answer()
        place = self.make(name.rpartition("-")[0], placement.gpus)
        self.begun.append(place)
        self.places[name] = Handle(self, name, place)
        return self.places[name]

    def shared(self, key: str, piece: bytes) -> bytes:
        self.pieces.append(key)
        return piece

    def waits_for(self, placement: Placement) -> str:
        return f"0 of {placement.cpus:g} CPUs are free"

    def reconnect(self) -> None:
        self.answer()

    def leave(self) -> None:
        self.left = True

    def answer(self) -> None:
        self.away -= 1
        if self.away >= 0:
            raise Away("it is asleep")

    def lose(self) -> None:
        """Kill the machines of all places."""
        for handle in list(self.places.values()):
            handle.end()


class Handle:
    """See `Remote` in mirror.py."""

    def __init__(self, machines: Machines, name: str, place: Place) -> None:
        self.machines, self.name, self.place = machines, name, place

    def ask(self, method: str, *arguments: Any, tick: Tick) -> Any:
        while self.machines.full:
            self.machines.full -= 1
            time.sleep(0.01)
            tick()
        self.machines.answer()
        try:
            self._require()
            answer = getattr(self.place, method)(*arguments)
        except OSError:  # what lay there is gone
            self._require()
            raise
        self._require()
        return answer

    def _require(self) -> None:
        if self.machines.places.get(self.name) is not self:
            raise Gone("its machine was killed")

    def end(self) -> None:
        self.machines.places.pop(self.name, None)
        self.place.end()


def scripted(*attempts: Sequence[Act]) -> Machines:
    """Machines whose places do these things, one list for each place that is asked for."""
    waiting = list(attempts)

    def make(name: str, gpus: float) -> Place:
        place = ScriptedPlace(name, gpus)
        place.acts = waiting.pop(0)
        return place

    return Machines(make)


def mirrored(run: Run, machines: Machines, **share: Any) -> Mirror:
    """A mirror of a run that goes to a cluster; this process has to hold the run meanwhile."""
    put_on_cluster(run, Share(**share))
    return Mirror(run, machines, ControlFile(run, control_size(run)))


def follow(run: Run, machines: Machines, **share: Any) -> Status:
    """Train a run there, to the end."""
    with run.lock():
        return mirrored(run, machines, **share).follow()


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Places have a cache of their own, and nobody waits for what is here already."""
    monkeypatch.setenv("VAE_CACHE", str(tmp_path / "machine"))
    for name in ("POLL_S", "WAIT_S"):
        monkeypatch.setattr(mirror, name, 0.01)
