"""Sweeps: what they try, how the queue is changed, and the scheduler on real and staged runs."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna import Study
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
)
from optuna.trial import TrialState, create_trial

from benchmarks.machines import pg_ctl, postgresql
from tests.engine import tiny
from tests.test_jobs import until
from vae_core.cli.sweep import list_sweeps
from vae_core.cli.sweep import sweep as go_on
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.registry import Entry as RegistryEntry
from vae_core.runs import Folder, Run, Status, Store
from vae_core.sweeps import BETA, SEED, Entry, Sweep, SweepSpec, SweepState, parse_values
from vae_core.sweeps import study as study_module
from vae_core.sweeps.scheduler import MAX_ATTEMPTS, Scheduler, work
from vae_core.sweeps.state import apply_message
from vae_core.sweeps.study import SharedStudy, open_study
from vae_core.sweeps.sweep import create_sweep, get_sweep, join_sweep, sweeps_of
from vae_core.training import jobs, worker
from vae_core.training.executors import Share, executors

ROOT = Path(__file__).resolve().parents[1]
MLP = {"backbone": "mlp", "latent_dim": 2, "options": {"hidden": [16]}}


def spec(**changes: Any) -> SweepSpec:
    """β = 1 and 3 on a network that trains in no time."""
    base = tiny(model=MLP, train={"epochs": 1, "preview_every": 1000})
    return SweepSpec(**({"base": base, "vary": {BETA: (1.0, 3.0)}} | changes))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


# --- what is tried -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, problem",
    [
        ("", "no value"),
        ("0.1,0", "no positive number"),
        ("-1", "no positive number"),
        ("1,nan", "no positive number"),
        ("Infinity", "finite"),
        ("1e999", "finite"),
        ("1,1.0", "twice"),
        ("much", "no positive number"),
        ("[1]", "no plain value"),
        ("true", "no positive number"),
    ],
)
def test_values_of_beta_that_cannot_be_tried(text: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        parse_values(BETA, text)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=6, unique=True))
def test_values_of_beta_are_read_as_written(values: list[float]) -> None:
    assert parse_values(BETA, ", ".join(map(repr, values))) == tuple(values)


def test_a_grid_is_every_combination_and_names_tell_what_differs() -> None:
    made = spec(vary={BETA: (0.3, 1.0), "model.latent_dim": (2, 8), SEED: (0,)})
    assert made.total == 4
    assert [tuple(p.values()) for p in made.points()] == list(
        itertools.product((0.3, 1.0), (2, 8), (0,))
    )
    config = made.config(made.points()[1])
    assert config.objective["beta"] == 0.3 and config.model.latent_dim == 8
    assert made.run_name("s", made.points()[1]) == "s-beta0.3-latent_dim8"


@pytest.mark.parametrize(
    "cores, together, threads", [(16, 1, None), (16, 2, 8), (16, 5, 3), (2, 2, 1), (2, 64, 1)]
)
def test_runs_share_out_the_cores_of_their_machine(
    store: Store, begin: Any, monkeypatch: pytest.MonkeyPatch, cores: int, together: int,
    threads: int | None,
) -> None:  # fmt: skip
    monkeypatch.setattr("vae_core.training.executors.processes.cores", lambda: cores)
    begin(at_once)
    base = tiny(model=MLP, train={"epochs": 1, "threads": None})
    vary = {BETA: (1.0,), SEED: tuple(range(64))}
    scheduler = Scheduler(create_sweep(store, "s", spec(base=base, vary=vary, workers=together)))
    scheduler._ask_the_study()
    scheduler._start_next(scheduler.state.in_state("waiting")[0])
    (run,) = store
    assert run.config().train.threads == threads, "a single one takes every core"


def test_a_family_can_be_varied_and_takes_its_own_options() -> None:
    made = spec(vary={"family": ("vae", "autoencoder")})
    assert [made.config(p).family for p in made.points()] == ["vae", "autoencoder"]


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"vary": {}}, "Nothing is varied"),
        ({"vary": {"model.latent": (1,)}}, "model.latent"),
        ({"vary": {"model.latent_dim": (1, 0)}}, "model.latent_dim"),
        ({"vary": {BETA: (1.0,), SEED: tuple(range(2000))}}, "1000 is the most"),
        ({"workers": 0}, "at least one"),
        ({"sampler": "tpe"}, "how many runs"),
        ({"vary": {BETA: (1.0, -1.0)}}, "no positive number"),
        ({"vary": {BETA: (1.0,), "model.sigma": (0.1, 0.2)}}, "all these runs would be the same"),
        ({"storage": "nonsense"}, "no database URL"),
        ({"storage": "nonsense://host/x"}, "no database URL"),
        ({"storage": "sqlite:////no/such/folder/study.db"}, "cannot be reached"),
    ],
)
def test_what_is_not_possible_is_told_and_leaves_nothing(
    store: Store, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        create_sweep(store, "s", spec(**changes))
    assert sweeps_of(store) == [] and list(store) == []
    assert not (store.path / ".sweeps" / "s").exists()


def test_a_server_that_is_not_there_is_told_without_the_password(store: Store) -> None:
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1/x cannot be reached: .*refused") as error:
        create_sweep(store, "s", spec(storage="postgresql://me:secret@127.0.0.1:1/x"))
    assert "secret" not in str(error.value)
    assert not (store.path / ".sweeps" / "s").exists()


def test_a_name_in_use_and_a_name_that_is_none(store: Store) -> None:
    create_sweep(store, "s", spec())
    with pytest.raises(UserError, match="already a sweep called 's'"):
        create_sweep(store, "s", spec())
    with pytest.raises(UserError, match="no name of a sweep"):
        create_sweep(store, "../s", spec())
    with pytest.raises(UserError, match="no sweep called 'other'"):
        get_sweep(store, "other")
    assert list(store) == [], "a sweep is not taken for a run"


# --- the queue -----------------------------------------------------------------------------------


def queue(*states: str) -> SweepState:
    entries = (Entry(number=i, params={}, state=state) for i, state in enumerate(states))  # type: ignore[arg-type]
    return SweepState(state="running", entries=tuple(entries))


def test_waiting_entries_change_places_and_the_others_stay() -> None:
    state = queue("finished", "waiting", "running", "waiting", "waiting")
    state = apply_message(state, {"command": "order", "numbers": [4, 0, 1]})
    assert [entry.number for entry in state.entries] == [0, 4, 2, 1, 3]


def test_drop_and_cancel() -> None:
    state = queue("finished", "waiting", "running", "waiting")
    dropped = apply_message(
        apply_message(state, {"command": "drop", "number": 1}), {"command": "drop", "number": 0}
    )
    assert [e.state for e in dropped.entries] == ["finished", "cancelled", "running", "waiting"]
    cancelled = apply_message(state, {"command": "cancel"})
    assert [e.state for e in cancelled.entries] == ["finished", "cancelled", "running", "cancelled"]
    assert cancelled.target == "cancel"


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"command": "rm"},
        {"command": "drop"},
        {"command": "drop", "number": "1"},
        {"command": "drop", "number": 99},
        {"command": "order", "numbers": 3},
        {"command": "order", "numbers": [None, "x", 7]},
        {"command": "workers", "count": 0},
    ],
)
def test_messages_that_are_not_understood_change_nothing(message: dict[str, Any]) -> None:
    state = queue("waiting", "running", "waiting")
    assert apply_message(state, message) == state


# --- the scheduler, with workers in this very process ---------------------------------------------

Begin = Callable[[Run], None]


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Callable[[Begin], list[str]]:
    """Replace the worker process by a function; returns the names of what was begun, in order."""

    def replace(train: Begin) -> list[str]:
        begun: list[str] = []

        def launch(run: Run, *told: object, **more: object) -> None:
            begun.append(run.id)
            train(run)

        monkeypatch.setattr(jobs, "_launch", launch)
        return begun

    return replace


def at_once(run: Run) -> None:
    """A worker that is done before anybody looks."""
    worker.work(run)
    run.file("job.json").unlink()


def dies(run: Run) -> None:
    """A worker that is killed in the midst of it."""
    run.file("log.txt").write_text("out of memory\n")
    run.set_status(Status(state="training", step=3, total_steps=5))


def test_a_sweep_to_its_end(store: Store, begin: Any) -> None:
    begun = begin(at_once)
    made = create_sweep(store, "s", spec(vary={BETA: (1.0, 3.0, 10.0)}))
    made.send("order", numbers=[2, 0, 1])
    seen: list[str] = []
    ended = work(made, lambda state: seen.append(state.state))
    assert begun == ["s-beta10", "s-beta1", "s-beta3"]
    assert ended.state == made.state().state == "finished" and seen[-1] == "finished"
    for entry in ended.entries:
        run = store.get(entry.run)
        assert run.config().objective["beta"] == entry.params[BETA]
        assert entry.value == run.summary()["elbo"]
    # The study agrees.
    trials = open_study(made.storage(), "s").get_trials()
    assert {t.params[BETA]: t.value for t in trials} == {
        entry.params[BETA]: entry.value for entry in ended.entries
    }
    # All began with the same weights, and are shown on the same images and the same z.
    for name in ("originals", "00000000-samples", "00000000-reconstructions"):
        pictures = {run.file(f"previews/{name}.png").read_bytes() for run in store}
        assert len(pictures) == 1


def test_a_long_queue_says_how_far_it_is_and_can_be_stopped(
    store: Store, tmp_path: Path, begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_module, "REPORT_S", 0.0)
    begun = begin(at_once)
    made = create_sweep(store, "s", spec(vary={BETA: (1.0, 3.0, 10.0)}))
    said: list[str] = []

    def watch(state: SweepState) -> None:
        said.append(state.message)
        if state.message == "Queuing the runs: 1 of 3.":
            made.send("stop")

    assert work(made, watch).state == "stopped" and said[-1] == "" and not begun
    assert "Queuing the runs: 1 of 3." in said
    assert len(open_study(made.storage(), "s").get_trials()) == 2
    assert work(made).state == "finished" and len(begun) == 3
    assert len(open_study(made.storage(), "s").get_trials()) == 3
    shared = spec(storage=f"journal:///{tmp_path}/shared.log")
    create_sweep(store, "t", shared, lambda message, share: said.append(f"{message} {share}"))
    assert said[-1] == "Queuing the runs: 1 of 2. 0.5"


def test_a_killed_worker_is_replaced_once(store: Store, begin: Any) -> None:
    begun: list[str] = []

    def train(run: Run) -> None:
        begun.append(run.id)
        (dies if len(begun) == 1 else at_once)(run)

    begin(train)
    ended = work(create_sweep(store, "s", spec(vary={BETA: (1.0,)})))
    assert begun == ["s-beta1", "s-beta1"]
    assert ended.entries[0].state == "finished" and ended.entries[0].attempts == 2


def test_a_worker_killed_again_marks_its_run_failed_with_the_log(store: Store, begin: Any) -> None:
    begun = begin(dies)
    made = create_sweep(store, "s", spec())
    ended = work(made)
    assert begun.count("s-beta1") == begun.count("s-beta3") == MAX_ATTEMPTS
    assert ended.state == "finished"
    for entry in ended.entries:
        assert entry.state == "failed" and "out of memory" in entry.message
    trials = open_study(made.storage(), "s").get_trials()
    assert {trial.state.name for trial in trials} == {"FAIL"}


def test_a_run_that_fails_by_itself_is_not_repeated(store: Store, begin: Any) -> None:
    def fails(run: Run) -> None:
        run.set_status(Status(state="failed", message="The loss is nan at step 3."))

    begun = begin(fails)
    ended = work(create_sweep(store, "s", spec(vary={BETA: (1.0,)})))
    assert begun == ["s-beta1"]
    assert ended.entries[0].message == "The loss is nan at step 3."


def test_a_full_disk_pauses_and_loses_nothing(store: Store, begin: Any) -> None:
    begun = begin(at_once)
    made = create_sweep(store, "s", spec())
    create, full = Store.create, [True]

    def may_be_full(self: Store, name: str, config: Any) -> Run:
        if full[0]:
            raise UserError("The run cannot be created: No space left on device.")
        return create(self, name, config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "create", may_be_full)
        states: list[SweepState] = []

        def watch(state: SweepState) -> None:
            states.append(state)
            if state.state == "paused":
                full[0] = False
                made.send("resume")

        ended = work(made, watch)
    assert any("No space left" in state.message for state in states)
    assert ended.state == "finished" and len(begun) == 2
    assert len(open_study(made.storage(), "s").get_trials()) == 2


def test_a_state_that_cannot_be_written_stops_no_run(
    store: Store, begin: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(at_once)
    made = create_sweep(store, "s", spec())
    write, full = Sweep.write_json, iter([True] * 3)

    def may_be_full(self: Sweep, name: str, value: Any) -> None:
        if name == "state.json" and next(full, False):
            raise UserError("state.json cannot be written: No space left on device.")
        write(self, name, value)

    monkeypatch.setattr(Sweep, "write_json", may_be_full)
    ended = work(made)
    assert ended == made.written_state() and ended.state == "finished"
    assert "No space left" in capsys.readouterr().err


def test_a_storage_that_goes_away_loses_no_result(
    store: Store, begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(at_once)
    monkeypatch.setattr("vae_core.sweeps.study.RETRY_S", 0.1)
    made = create_sweep(store, "s", spec())
    tell, failures = Study.tell, iter([True, True])

    def may_fail(*arguments: Any, **options: Any) -> Any:
        if next(failures, False):
            raise OSError("connection refused")
        return tell(*arguments, **options)

    monkeypatch.setattr(Study, "tell", may_fail)
    states: list[SweepState] = []
    ended = work(made, states.append)
    assert any("told later" in state.message for state in states)
    assert ended.state == "finished" and all(entry.reported for entry in ended.entries)
    assert ended.message == ""
    assert all(t.value is not None for t in open_study(made.storage(), "s").get_trials())


def test_two_machines_share_one_study(tmp_path: Path, begin: Any, short_silence: None) -> None:
    """Two stores, one journal: every point is done once, those of a machine that died too."""
    begin(at_once)
    url = f"journal:///{tmp_path / 'shared.log'}"
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    shared = spec(vary={BETA: (1.0, 3.0, 10.0)}, storage=url)
    first = create_sweep(here, "s", shared)
    with pytest.raises(UserError, match="leave out the values of β to join"):
        create_sweep(there, "s", shared)
    second = join_sweep(there, "s", url, workers=1)
    assert second.spec().vary == shared.vary

    died = Scheduler(first)
    died._ask_the_study()
    assert died._start_next(died.state.in_state("waiting")[0])
    died._save()
    states: list[SweepState] = []
    ended = work(second, states.append)
    assert [entry.state for entry in ended.entries] == ["finished"] * 3
    assert any(len(state.in_state("elsewhere")) == 1 for state in states), "first it was waited for"
    assert [run.id for run in here] == ["s-beta1"] and len(list(there)) == 3
    rest = work(first)
    assert [entry.state for entry in rest.entries] == ["elsewhere"] * 3
    assert [entry.value for entry in rest.entries] == [entry.value for entry in ended.entries]
    assert rest.state == "finished"
    trials = open_study(url, "s").get_trials()
    assert [trial.state.name for trial in trials] == ["FAIL", *["COMPLETE"] * 3]
    assert sorted(t.params[BETA] for t in trials if t.value is not None) == [1.0, 3.0, 10.0]
    with pytest.raises(UserError, match="no sweep called 'x' to join"):
        join_sweep(there, "x", url, workers=1)


ADDRESSES = {"journal": "journal:///{}/shared.log", "database": "sqlite:///{}/shared.db"}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a PostgreSQL server that is started for these tests."""
    if not pg_ctl():
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory() as folder, postgresql(Path(folder)) as (url, _):
        yield url


@pytest.fixture(params=[*ADDRESSES, "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a study is kept that machines share."""
    if request.param in ADDRESSES:
        return ADDRESSES[request.param].format(tmp_path)
    import psycopg

    url, name = request.getfixturevalue("server"), f"d{time.monotonic_ns()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    return f"{url.rpartition('/')[0]}/{name}"


@pytest.fixture
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines are dead that were not heard for two seconds."""
    monkeypatch.setenv("VAE_SILENT_S", "2")


def machines(tmp_path: Path, url: str = "", **changes: Any) -> tuple[SharedStudy, SharedStudy]:
    """One shared study, seen from two stores."""
    url = url or f"journal:///{tmp_path.absolute()}/shared.log"
    tmp_path.mkdir(exist_ok=True)
    here = create_sweep(Store(tmp_path / "here"), "s", spec(storage=url, **changes))
    return SharedStudy(here), SharedStudy(
        join_sweep(Store(tmp_path / "there"), "s", url, workers=1)
    )


def taken(study: SharedStudy, point: int, held: int | None = None) -> int | None:
    """The number of the trial by which a machine has a point."""
    trial = study.take(point, held)
    return None if trial is None else trial.number


def test_a_point_belongs_to_one_machine_and_asking_again_changes_nothing(
    tmp_path: Path, address: str
) -> None:
    here, there = machines(tmp_path, address)
    assert [taken(here, 0), taken(here, 0, held=0), taken(there, 0)] == [0, 0, None]
    assert [taken(there, 1), taken(here, 1)] == [1, None]
    assert here.tell(0, 0, -9.0) and here.tell(0, 0, -9.0)
    assert taken(here, 0, held=0) is None, "a trial that is done is not done again"
    assert len(open_study(here.url, "s").get_trials()) == 2


def test_of_two_that_take_a_point_at_once_one_has_it(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked before either has written."""
    here, there = machines(tmp_path, address)
    look, seen = study_module.standing, []

    def overtaken(study: Study, of: SweepSpec) -> Any:
        found = look(study, of)
        monkeypatch.setattr(study_module, "standing", look)
        seen.append(there.take(0))
        return found

    monkeypatch.setattr(study_module, "standing", overtaken)
    assert here.take(0) is None and seen[0].number == 0


def test_two_that_queue_the_points_at_once_have_each_point_once(
    tmp_path: Path, address: str
) -> None:
    """As machines do that go on with a study of an earlier version, which had no queue."""
    here, there = machines(tmp_path, address)
    for each in here, there:
        with each._opened() as study:
            for point, beta in enumerate((1.0, 3.0)):
                twin = {BETA: CategoricalDistribution((1.0, 3.0))}
                attributes = {study_module.POINT: point}
                study.add_trial(
                    create_trial(
                        state=TrialState.WAITING, params={BETA: beta}, distributions=twin,
                        user_attrs=attributes,
                    )
                )  # fmt: skip
    assert [taken(here, 0), taken(there, 0), taken(there, 1), taken(here, 1)] == [0, None, 1, None]
    assert here.tell(0, 0, -1.0) and there.tell(1, 1, -3.0)
    assert {point: trial.value for point, trial in here.standing().items()} == {0: -1.0, 1: -3.0}


def test_the_point_of_a_silent_machine_is_given_to_another_once(
    tmp_path: Path, address: str, short_silence: None
) -> None:
    here, there = machines(tmp_path, address)
    assert taken(here, 0) == 0 and taken(there, 1) == 1
    end = time.monotonic() + 30
    while not (waiting := there.beat([1]))[0].number and time.monotonic() < end:
        time.sleep(0.3)
    assert waiting[0].number == 2 and waiting[0].params == {BETA: 1.0}
    assert waiting[1].number == 1, "who beats is believed"
    assert [taken(there, 0), taken(here, 0, held=0)] == [2, None]
    assert here.tell(0, 0, -9.0), "who is done with it tells so, and others need not go on"
    assert not here.tell(0, 0, -8.0) and there.standing()[0].value == -9.0
    states = [trial.state.name for trial in open_study(here.url, "s").get_trials()]
    assert states == ["FAIL", "RUNNING", "COMPLETE"]


def test_a_machine_that_comes_back_tells_what_it_has_and_the_others_stop(
    tmp_path: Path, begin: Any, short_silence: None
) -> None:
    """Its scheduler died when the run was done but not told; another one has begun it anew."""
    here, _ = machines(tmp_path, vary={BETA: (1.0,)})
    begin(at_once)
    first = Scheduler(get_sweep(Store(tmp_path / "here"), "s"))
    first._ask_the_study()
    first._fill_workers()
    first._save()
    begun = begin(lambda run: run.set_status(Status(state="starting")))
    second = Scheduler(get_sweep(Store(tmp_path / "there"), "s"))
    end = time.monotonic() + 30
    while not second.state.in_state("running") and time.monotonic() < end:
        second._asks_at = 0.0
        second._ask_the_study()
        second._fill_workers()
        time.sleep(0.2)
    assert begun == ["s-beta1"]
    (told,) = work(get_sweep(Store(tmp_path / "here"), "s")).entries
    assert (told.state, told.reported) == ("finished", True)
    second._asks_at = 0.0
    second._ask_the_study()
    second._asks_at = 0.0
    second._ask_the_study()
    (entry,) = second.state.entries
    assert (entry.state, entry.value) == ("elsewhere", told.value)
    assert '"stop"' in Store(tmp_path / "there").get("s-beta1").text("control.jsonl")
    assert [t.state.name for t in open_study(here.url, "s").get_trials()] == ["FAIL", "COMPLETE"]


def test_nobody_is_buried_by_who_has_not_listened(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that was away for long comes back: all are given the time to be heard."""
    here, _ = machines(tmp_path, address)
    assert taken(here, 0) == 0
    monkeypatch.setenv("VAE_SILENT_S", "3")
    time.sleep(3.5)
    late = SharedStudy(get_sweep(Store(tmp_path / "there"), "s"))
    assert late.beat([])[0].number == 0
    here.beat([0])
    assert late.beat([])[0].number == 0


def test_who_dies_between_failing_a_trial_and_queueing_it_anew_loses_no_point(
    tmp_path: Path, address: str
) -> None:
    here, there = machines(tmp_path, address)
    assert taken(here, 0) == 0 and taken(here, 1) == 1
    here.tell(1, 1, None, reason="The loss is nan.")
    with here._opened() as study:
        study.tell(0, state=TrialState.FAIL)
    standing = there.beat([])
    assert standing[0].state == TrialState.WAITING and standing[0].number == 2
    assert standing[1].state == TrialState.FAIL, "a run that failed by itself is not repeated"


def test_machines_draw_as_many_together_as_were_asked_for(
    tmp_path: Path, begin: Any, short_silence: None
) -> None:
    begin(at_once)
    here, _ = machines(tmp_path, vary={BETA: (0.1, 10.0)}, sampler="random", trials=3)
    drawn = here.draw(())
    assert drawn is not None and drawn[0] == 0
    ended = work(get_sweep(Store(tmp_path / "there"), "s"))
    assert [entry.state for entry in ended.entries] == ["finished"] * 3, "one machine has died"
    assert ended.entries[2].params == drawn[1].params, "what it had drawn is done by another"
    assert here.draw({0}) is None and len(list(Store(tmp_path / "there"))) == 3


BETWEEN = {"vary": {BETA: (0.1, 10.0), "model.latent_dim": (2, 3)}, "trials": 6}


def draws(study: SharedStudy, count: int) -> list[tuple[int, dict[str, Any]]]:
    """So many trials of one process, each told before the next is drawn."""
    found = []
    for _ in range(count):
        drawn = study.draw({point for point, _ in found})
        assert drawn is not None
        point, trial = drawn
        study.tell(point, trial.number, -100.0 - trial.params[BETA])
        found.append((point, trial.params))
    return found


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_every_process_draws_points_of_its_own_and_together_those_of_one(
    tmp_path: Path, sampler: str
) -> None:
    here, there = machines(tmp_path / "two", sampler=sampler, **BETWEEN)
    drawn = draws(here, 2) + draws(there, 2)
    again = SharedStudy(
        get_sweep(Store(tmp_path / "two/here"), "s")
    )  # its scheduler was started anew
    drawn += draws(again, 2)
    betas = [params[BETA] for _, params in drawn]
    assert len(set(betas)) == 6
    alone, _ = machines(tmp_path / "one", sampler=sampler, **BETWEEN)
    assert draws(alone, 6) == drawn, "the same study, whoever does it"
    base = tiny(model=MLP, train={"epochs": 1, "seed": 1})
    other, _ = machines(tmp_path / "other", sampler=sampler, base=base, **BETWEEN)
    assert not {params[BETA] for _, params in draws(other, 6)} & set(betas)


class Staged:
    """A place where runs stand still."""

    def __init__(self, address: str, share: Share) -> None:
        pass

    def capacity(self) -> int | None:
        return None

    def threads(self, together: int) -> int | None:
        return None

    def submit(
        self, store: Store, name: str, config: RunConfig, owner: Folder | None = None
    ) -> Run:
        return jobs.create(store, name, config)

    def resume(self, run: Run, owner: Folder | None = None) -> None:
        raise AssertionError("nobody resumes what was given up")

    def close(self) -> None:
        pass


def an_epoch_further(run: Run) -> Status:
    """Of a run that makes an epoch whenever somebody looks; its ELBO is about −100 β."""
    if run.has("control.jsonl"):
        return Status(state="stopped")
    epoch = len(run.history()[0]) + 1
    terms = {"recon": 100 * run.config().objective["beta"], "kl": 1.0 / epoch}
    run.append("history.jsonl", {"kind": "validation", "epoch": epoch, "terms": terms})
    run.write_json("summary.json", {"elbo": -terms["recon"] - terms["kl"]})
    return Status(state="training" if epoch < 4 else "finished", step=epoch)


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a place of the kind `Staged`, whose runs go on nevertheless."""
    monkeypatch.setattr(Run, "status", an_epoch_further)
    executors.add(RegistryEntry(name="staged", label="staged", blurb="For tests.", build=Staged))
    yield "staged"
    del executors._entries["staged"]


@pytest.mark.parametrize("pruner", ["none", "median", "hyperband"])
def test_a_pruner_stops_what_is_hopeless_and_says_why(
    store: Store, staged: str, pruner: str
) -> None:
    vary = {BETA: (1.0, 1.1, 1.2, 1.3, 1.4, 9.0, 0.9)}
    base = tiny(model=MLP, train={"epochs": 4})
    made = create_sweep(
        store, "s", spec(base=base, vary=vary, workers=1, pruner=pruner, place=staged)
    )
    ended = work(made)
    states = {entry.params[BETA]: entry.state for entry in ended.entries}
    pruned = {beta for beta, state in states.items() if state == "pruned"}
    assert ended.state == "finished" and set(states.values()) <= {"finished", "pruned"}
    if pruner == "none":
        assert not pruned
        return
    assert 9.0 in pruned and states[1.0] == "finished", "the worst, and never the first"
    assert pruner != "median" or pruned == {9.0}
    (worst,) = (entry for entry in ended.entries if entry.params[BETA] == 9.0)
    assert re.search(rf"after epoch \d: an ELBO of −90[01].*hopeless.*{pruner}", worst.message)
    standing = SharedStudy(made).standing()
    names = {trial.params[BETA]: trial.state.name for trial in standing.values()}
    assert {beta for beta, name in names.items() if name == "PRUNED"} == pruned
    assert all(trial.intermediate_values for trial in standing.values())


def test_a_pruner_refuses_runs_whose_nats_do_not_compare(store: Store) -> None:
    vary = {BETA: (1.0, 3.0), "model.likelihood": ("bernoulli", "gaussian")}
    with pytest.raises(UserError, match=r"a pruner stops runs.*other nats; let all runs end"):
        create_sweep(store, "s", spec(vary=vary, pruner="median"))


@pytest.mark.parametrize("sampler", ["grid", "random"])
def test_a_sweep_whose_study_was_a_database_goes_on(store: Store, begin: Any, sampler: str) -> None:
    """As earlier versions left it: one point is done, one was taken by a scheduler that died before
    it had written that down, one waits."""
    begun = begin(at_once)
    trials = {} if sampler == "grid" else {"sampler": sampler, "trials": 3}
    made = create_sweep(store, "s", spec(vary={BETA: (1.0, 3.0, 10.0)}, **trials))
    made.file("study.log").unlink()
    study = open_study(f"sqlite:///{made.file('study.db')}", "s")
    betas: BaseDistribution = CategoricalDistribution((1.0, 3.0, 10.0))
    betas = betas if sampler == "grid" else FloatDistribution(1.0, 10.0, log=True)
    for beta, value in ((1.0, -77.0), (3.0, None)):
        state = TrialState.RUNNING if value is None else TrialState.COMPLETE
        study.add_trial(
            create_trial(
                state=state, value=value, params={BETA: beta}, distributions={BETA: betas},
                user_attrs={"machine": "5f"},
            )
        )  # fmt: skip
    written = made.written_state()
    done = Entry(
        number=0, params={BETA: 1.0}, state="finished", trial=0, value=-77.0, reported=True
    )
    entries = (done, *written.entries[1:])
    made.write_json("state.json", written.model_copy(update={"entries": entries}))
    ended = work(made)
    assert [entry.state for entry in ended.entries] == ["finished"] * 3 and len(begun) == 2
    assert ended.entries[0].value == -77.0 and ended.entries[1].params == {BETA: 3.0}
    standing = SharedStudy(made).standing()
    assert [standing[e.number].value for e in ended.entries] == [e.value for e in ended.entries]


def test_a_journal_that_ends_in_the_middle_of_a_line_is_read_and_gone_on_with(
    store: Store,
) -> None:
    """A full disk, or the end of its writer, came in between."""
    made = create_sweep(store, "s", spec())
    SharedStudy(made).fill()
    with made.file("study.log").open("ab") as file:
        file.write(b'{"op_code":5,"worker_id":"a-')
    study = SharedStudy(made)
    assert taken(study, 0) == 0
    assert SharedStudy(made).standing()[0].state == TrialState.RUNNING
    lines = made.file("study.log").read_bytes().splitlines(keepends=True)
    made.file("study.log").write_bytes(b"".join([*lines[:2], b"{}}\n", *lines[2:]]))
    with pytest.raises(UserError, match="the journal is damaged"):
        SharedStudy(made).standing()


def test_a_study_that_is_not_there_is_not_made_anew(store: Store) -> None:
    """A network drive that is not mounted is an empty folder; all would be done once more."""
    made = create_sweep(store, "s", spec())
    made.file("study.log").unlink()
    with pytest.raises(UserError, match="no study called 's'"):
        SharedStudy(made).standing()


def test_tpe_refuses_runs_whose_nats_do_not_compare(store: Store) -> None:
    for key, values in {
        "model.likelihood": ("bernoulli", "gaussian"),
        "model.sigma": (0.1, 0.2),
        "family": ("vae", "autoencoder"),
    }.items():
        with pytest.raises(UserError, match=f"{key}.*other nats"):
            base = tiny(model=MLP | {"likelihood": "gaussian"})
            create_sweep(store, "s", spec(base=base, vary={key: values}, sampler="tpe", trials=3))
    vary = {BETA: (0.1, 10.0), "family": ("vae", "free-bits")}
    create_sweep(store, "s", spec(vary=vary, sampler="tpe", trials=3))


def test_names_that_are_too_long_are_cut_and_stay_apart(store: Store, begin: Any) -> None:
    """Twenty widths written out are longer than a run's name may be."""
    begun = begin(at_once)
    folders = [str(store.path / ("a-folder-with-a-long-name-" * 3) / name) for name in "ab"]
    for folder in folders:
        Path(folder).mkdir(parents=True)
    vary = {BETA: (1.0, 3.0), "data.data_dir": tuple(folders)}
    ended = work(create_sweep(store, "a-sweep-whose-name-is-as-long-as-allowed", spec(vary=vary)))
    assert ended.state == "finished" and ended.message == ""
    assert [entry.state for entry in ended.entries] == ["finished"] * 4
    assert len(set(begun)) == 4 and all(len(name) <= 80 for name in begun)
    made = spec(vary=vary)
    wishes = {made.run_name("s" * 40, point) for point in made.points()}
    assert {store.free_name(wish) for wish in wishes} == {store.free_name(wish) for wish in wishes}


def test_values_with_the_same_four_digits_have_names_of_their_own() -> None:
    made = spec(vary={BETA: (0.12341, 0.12342, 1.0)})
    names = [made.run_name("s", point) for point in made.points()]
    assert names == ["s-beta0.12341", "s-beta0.12342", "s-beta1"]


def test_a_point_that_cannot_be_built_fails_alone(store: Store, begin: Any) -> None:
    """Each value fits by itself, both of them together do not: nobody waits for that to change."""
    begin(at_once)
    vary = {"family": ("vae", "free-bits"), "objective.free": (0.1,)}
    made = create_sweep(store, "s", spec())
    made.write_json("sweep.json", spec(vary=vary))
    entries = tuple(Entry(number=i, params=p) for i, p in enumerate(spec(vary=vary).points()))
    made.write_json("state.json", made.written_state().model_copy(update={"entries": entries}))
    ended = work(made)
    assert ended.state == "finished"
    assert [entry.state for entry in ended.entries] == ["failed", "finished"]
    assert "free" in ended.entries[0].message


def test_a_pause_says_why_and_a_new_scheduler_still_says_it(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    made = create_sweep(store, "s", spec())
    made.send("pause")
    assert "by hand" in made.state().message
    list_sweeps(store=store.path)
    assert "Paused by hand" in capsys.readouterr().out
    paused = made.written_state().model_copy(
        update={"target": "pause", "message": "Paused. No space left."}
    )
    made.write_json("state.json", paused)
    scheduler = Scheduler(made)
    scheduler._recover()
    assert scheduler.state.message == "Paused. No space left."
    assert apply_message(scheduler.state, {"command": "cancel"}).message == ""


def test_a_missing_driver_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match=r"Install it with: pip install 'psycopg\[binary\]'$"):
        create_sweep(store, "s", spec(storage="postgresql://me:secret@127.0.0.1:1/x"))
    monkeypatch.setitem(sys.modules, "MySQLdb", None)
    with pytest.raises(UserError, match=r"no driver for mysql://.*MySQLdb.*Install the package"):
        create_sweep(store, "s", spec(storage="mysql://me:secret@127.0.0.1:1/x"))


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_samplers_draw_beta_between_the_ends(store: Store, begin: Any, sampler: str) -> None:
    begin(at_once)
    vary = {BETA: (0.1, 10.0), "model.latent_dim": (2, 3)}
    ended = work(create_sweep(store, "s", spec(vary=vary, sampler=sampler, trials=4)))
    betas = [entry.params[BETA] for entry in ended.entries]
    assert len(set(betas)) == 4 and all(0.1 <= beta <= 10 for beta in betas)
    assert not set(betas) & {0.1, 10.0}
    assert {entry.params["model.latent_dim"] for entry in ended.entries} <= {2, 3}
    assert ended.state == "finished"


def test_a_scheduler_takes_up_what_another_left(store: Store, begin: Any) -> None:
    """The first one died; its run was stopped with the machine: it goes on, and nothing twice."""
    begun = begin(dies)
    made = create_sweep(store, "s", spec(workers=1))
    first = Scheduler(made)
    first._recover()
    first._ask_the_study()
    first._fill_workers()
    first._save()
    assert made.state().state == "interrupted"  # nobody holds it
    begun_later = begin(at_once)
    ended = work(made)
    assert begun == ["s-beta1"] and begun_later == ["s-beta1", "s-beta3"]
    assert [entry.state for entry in ended.entries] == ["finished", "finished"]
    assert [entry.attempts for entry in ended.entries] == [1, 1], "a machine's end counts not"


def test_one_scheduler_a_sweep(store: Store) -> None:
    made = create_sweep(store, "s", spec())
    with made.lock(), pytest.raises(UserError, match="already at work"):
        work(get_sweep(store, "s"))


# --- real processes ------------------------------------------------------------------------------


def kill(folder: Any) -> None:
    os.kill(json.loads(folder.file("job.json").read_text())["pid"], signal.SIGKILL)


@pytest.mark.timeout(150)
def test_pause_kill_everything_go_on_stop_and_go_on(store: Store) -> None:
    base = tiny(model=MLP, train={"epochs": 3000, "checkpoint_every": 20, "preview_every": 10_000})
    made = create_sweep(store, "s", spec(base=base, vary={BETA: (1.0, 3.0, 9.0)}))
    command = [sys.executable, "-m", "vae_core", "sweep", "--name", "s", "--store", str(store.path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        runs = [store.path / f"s-beta{beta}" for beta in (1, 3)]
        until(lambda: all((run / "training_state.pt").exists() for run in runs))
        one, two = map(Run, runs)
        made.send("pause")
        until(lambda: one.status().state == two.status().state == "paused")
        assert made.state().state == "paused"
        made.send("resume")
        until(lambda: one.status().state == "training")
        kill(one)  # by the system, say: it is replaced
        until(lambda: made.written_state().entry(0).attempts == 2)
        process.kill()
        process.wait(10)
        until(lambda: made.state().state == "interrupted")
        assert two.is_alive(), "runs outlive their scheduler"
        kill(two)  # the machine goes down
        until(lambda: not two.is_alive())
        made.send("drop", number=2)
        assert made.state().entry(2).state == "cancelled", "told while nobody listens"
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        until(lambda: two.is_alive() and two.status().state == "training")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert made.state().state == "stopped"
        assert [e.state for e in made.state().entries] == ["waiting", "waiting", "cancelled"]
        assert one.status().state == two.status().state == "stopped"
    finally:
        process.kill()
        process.wait(10)
        for run in store:
            if run.is_alive():
                kill(run)


def test_the_command_line_refuses_bad_input(store: Store) -> None:
    command = [sys.executable, "-m", "vae_core", "sweep", "--store", str(store.path)]
    done = subprocess.run(
        [*command, "--name", "s", "--beta", "1,-1"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: objective.beta: -1.0 is no positive number")


def test_going_on_changes_the_number_of_workers_only_when_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_sweep(store, "s", spec(workers=1))
    monkeypatch.setattr("vae_core.sweeps.scheduler.work", lambda made, watch: made.state())
    go_on(name="s", store=store.path)
    assert made.state().workers == 1
    go_on(name="s", store=store.path, workers=3)
    assert made.state().workers == 3


def test_a_store_with_sweeps_lists_them_newest_first(store: Store) -> None:
    for name in ("a", "b"):
        create_sweep(store, name, spec())
        time.sleep(0.01)
    assert [each.id for each in sweeps_of(store)] == ["b", "a"]
    assert isinstance(sweeps_of(store)[0], Sweep)
    Sweep(store, "a").delete()
    assert [each.id for each in sweeps_of(store)] == ["b"]
