"""Runs that are trained on other machines: what goes there, what comes back, and what is lost."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine import tiny, trained
from tests.folders import digit_files, on_folder
from tests.machines import Act, Machines, ScriptedPlace, follow, mirrored, no_waiting, scripted
from vae_core.errors import LeaseLost, UserError
from vae_core.progress import no_progress
from vae_core.runs import Run, Status, Store, layout
from vae_core.runs.saves import write_save
from vae_core.runs.schemas import Placement
from vae_core.training import jobs, worker
from vae_core.training.cluster import luggage, placed
from vae_core.training.cluster.collection import Collection, Shelf
from vae_core.training.cluster.luggage import Found
from vae_core.training.cluster.mirror import MOST_LOSSES, place_name
from vae_core.training.cluster.place import Place
from vae_core.training.cluster.placed import address_to_resume, put_on_cluster, require_address
from vae_core.training.control import send
from vae_core.training.executors import Share

pytestmark = pytest.mark.usefixtures("no_waiting")
__all__ = ["no_waiting"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that has not begun."""
    return Store(tmp_path / "store").create("elsewhere", tiny())


def says(state: str, step: int = 0, message: str = "") -> Act:
    """A worker that says this of itself."""
    status = Status(state=state, step=step, total_steps=10, message=message)  # type: ignore[arg-type]
    return lambda run: run.set_status(status)


def learns(*steps: int) -> Act:
    """A worker that records these steps."""

    def act(run: Run) -> None:
        for step in steps:
            run.append(layout.HISTORY, {"kind": "step", "step": step})

    return act


def takes(source: Run, step: int | None = None) -> Act:
    """A worker that has come to where another run is: its save and all that goes with it."""

    def act(run: Run) -> None:
        for name in (layout.DATA_CARD, layout.PARTS, layout.ENCODINGS, layout.SUMMARY):
            run.write_bytes(name, source.read(name))
        best = source.read(layout.BEST) if source.has(layout.BEST) else None
        write_save(run, source.read(layout.WEIGHTS), source.file(layout.STATE).read_bytes(), best)

    return act


def steps_of(run: Run) -> list[int]:
    return [each["step"] for each in run.history()[0] if each["kind"] == "step"]


# --- with a real worker ---------------------------------------------------------------------------


def test_a_killed_machine_costs_nothing_that_had_come_back(tmp_path: Path) -> None:
    """Own images, of which the machine knows nothing; killed once, and ended bit for bit like a
    run that nobody disturbed."""
    digit_files(tmp_path / "mine", labels=range(3), each=40)
    changes = {"train": {"epochs": 40, "batch_size": 16, "checkpoint_every": 10}}
    config = on_folder(tmp_path / "mine", **changes)
    run = Store(tmp_path / "store").create("mine", config)
    machines = Machines()

    def kill_once_saved(message: str, share: float | None) -> None:
        if len(machines.begun) == 1 and run.has(layout.WEIGHTS):
            machines.lose()

    with run.lock():
        followed = mirrored(run, machines)
        followed._progress = kill_once_saved
        assert followed.follow().state == "finished"
    assert len(machines.begun) == 2
    assert not machines.places and not any((tmp_path / "machine/cluster-runs").iterdir())

    # What was sent is there already the second time, and is what the same images are here.
    assert len(set(machines.pieces)) == len(machines.pieces) == 1
    assert run.config().data.data_dir == str(tmp_path / "mine")
    alone = trained(tmp_path / "alone", "alone", data=config.data.model_dump(), **changes)
    assert run.read(layout.PARTS) == alone.read(layout.PARTS)
    assert run.read(layout.WEIGHTS) == alone.read(layout.WEIGHTS)
    steps = steps_of(run)  # on a busy machine there are more records, of fewer steps each
    assert steps == sorted(set(steps)) and steps[-1] == steps_of(alone)[-1]
    assert Run(run.path).status().state == "finished"  # with all that belongs to it


# --- what comes back ------------------------------------------------------------------------------


def test_a_run_elsewhere_looks_as_if_it_were_here(run: Run, finished: Run) -> None:
    seen: list[tuple[str, int | None, list[int]]] = []

    def look(there: Run) -> None:
        here = Run(run.path)
        assert here.is_alive()
        seen.append((here.status().state, here.status().step, steps_of(here)))

    log: Act = lambda there: there.file(layout.LOG).write_text("worker: hello\n") and None  # noqa: E731
    follow(
        run,
        scripted(
            [
                says("training", 1), learns(1), look,
                learns(2, 3), says("training", 3), look,
                log, takes(finished), says("finished", 10),
            ]
        ),
    )  # fmt: skip
    assert seen == [("training", 1, [1]), ("training", 3, [1, 2, 3])]
    assert run.read(layout.WEIGHTS) == finished.read(layout.WEIGHTS)
    assert run.summary() == finished.summary()
    assert "worker: hello" in run.log_tail()
    assert not Run(run.path).is_alive()


def test_trackers_follow_at_home(
    tmp_path: Path, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they write lies where the person is, and not in a folder that is removed."""
    told: list[object] = []

    class Following:
        def __init__(self, run: Run, names: object, note: object) -> None:
            told.extend([run.id, names])

        def finish(self, last: object, note: object) -> None:
            told.append(last)

    monkeypatch.setattr("vae_core.training.following.Following", Following)
    run = Store(tmp_path / "store").create("followed", tiny(train={"track": ["tensorboard"]}))
    there: list[object] = []
    look: Act = lambda at: there.append(at.config().train.track)  # noqa: E731
    machines = scripted([look, takes(finished), says("finished", 10)])
    make = machines.make

    def as_begun(run_id: str, gpus: float) -> object:
        place = make(run_id, gpus)
        scripted_begin = place.begin

        def begin(options: list[str], needed_s: float | None = None) -> None:
            monkeypatch.setattr("subprocess.Popen", lambda *args, **more: None)
            Place.begin(place, options)
            scripted_begin(options)

        place.begin = begin  # type: ignore[method-assign]
        return place

    machines.make = as_begun  # type: ignore[assignment]
    follow(run, machines)
    assert there == [()] and run.config().train.track == ("tensorboard",)
    assert told[:2] == ["followed", ("tensorboard",)] and len(told) == 3


def test_history_that_went_back_is_taken_anew(run: Run) -> None:
    def went_back(there: Run) -> None:
        there.write_records(layout.HISTORY, [{"kind": "step", "step": 1}])

    again = [learns(1, 2, 3), went_back, learns(2), learns(3), says("finished")]
    follow(run, scripted(again))
    assert steps_of(run) == [1, 2, 3]


def test_a_long_history_comes_in_pieces(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_core.training.cluster.place.PIECE", 200)
    follow(run, scripted([learns(*range(100)), says("finished")]))
    assert steps_of(run) == list(range(100))


def test_a_save_that_is_being_written_comes_when_it_is_whole(run: Run, finished: Run) -> None:
    def half(there: Run) -> None:
        there.write_bytes(layout.NEXT_STATE, b"the state of weights that are to come")
        there.write_bytes(layout.WEIGHTS, finished.read(layout.WEIGHTS))

    def look(there: Run) -> None:
        assert not run.has(layout.WEIGHTS) and not run.has(layout.STATE)

    whole = [half, lambda there: None, look, takes(finished), says("finished")]
    follow(run, scripted(whole))
    assert run.file(layout.STATE).read_bytes() == finished.file(layout.STATE).read_bytes()


@pytest.mark.parametrize(
    ("name", "found", "said"),
    [
        ("../outside.json", Found("1", 2, b"{}"), "none of a run"),
        ("previews/../../x.png", Found("1", 2, b"{}"), "none of a run"),
        ("job.json", Found("1", 2, b"{}"), "none of a run"),
        ("control.jsonl", Found("1", 2, b"{}"), "none of a run"),
        ("summary.json", Found("1", 10**12), "at most 4 MB"),
        ("model.safetensors", Found("1", 10**12), "at most 16 GB"),
    ],
)
def test_what_no_run_holds_is_not_taken(run: Run, name: str, found: Found, said: str) -> None:
    machines = scripted([says("training"), says("training")])

    def poisoned(*known: object) -> luggage.Changes:
        files = {name: found, layout.STATE: Found("1", 4, b"zero")}
        return luggage.Changes(False, b"{}", 0, b"", 0, b"", False, files)

    make = machines.make

    def lying(run_id: str, gpus: float) -> object:
        place = make(run_id, gpus)
        place.changes = poisoned  # type: ignore[method-assign, assignment]
        return place

    machines.make = lying  # type: ignore[assignment]
    before = {path.name for path in run.path.parent.rglob("*")}
    with pytest.raises(UserError, match=said):
        follow(run, machines)
    assert Run(run.path).status().state == "failed"
    assert not machines.places, "its place is given back"
    new = {path.name for path in run.path.parent.rglob("*")} - before
    assert new == {layout.PLACEMENT, layout.STATUS, layout.JOB}


def test_no_more_is_taken_than_was_announced(run: Run) -> None:
    def grows(there: Run) -> None:
        there.write_bytes(layout.SUMMARY, b"{}")

    machines = scripted([grows, says("finished")])
    make = machines.make

    def lying(run_id: str, gpus: float) -> object:
        place = make(run_id, gpus)
        found = place._found
        place._found = lambda name, token: Found(found(name, token).token, 2)  # type: ignore[method-assign]
        place.read = lambda name, offset: b"{}" + b" " * 10_000_000  # type: ignore[method-assign]
        return place

    machines.make = lying  # type: ignore[assignment]
    follow(run, machines)
    assert run.read(layout.SUMMARY) == b"{}"


# --- what is lost, and who goes on ----------------------------------------------------------------


def test_what_was_lost_begins_with_the_save_that_came_back(run: Run, finished: Run) -> None:
    machines = scripted(
        [takes(finished), learns(1, 2), lambda there: machines.lose()],
        [lambda there: begun.append(there.read(layout.WEIGHTS)), says("finished")],
    )
    begun: list[bytes] = []
    assert follow(run, machines).state == "finished"
    assert begun == [finished.read(layout.WEIGHTS)]
    assert steps_of(run) == [1, 2]


def test_a_run_that_kills_its_machines_is_given_up(run: Run) -> None:
    lose: Act = lambda there: machines.lose()  # noqa: E731
    machines = scripted(*([lose] for _ in range(MOST_LOSSES)))
    status = follow(run, machines)
    assert status.state == "interrupted" and "its machine was killed" in status.message
    assert len(machines.begun) == MOST_LOSSES


def test_another_mirror_takes_up_what_goes_on(run: Run, finished: Run) -> None:
    """The driver is killed; its place goes on and is found by its name."""
    machines = scripted(
        [
            learns(1, 2), lambda there: first.leave(), says("training", 2), learns(3),
            takes(finished), says("finished", 10),
        ]
    )  # fmt: skip
    with run.lock():
        first = mirrored(run, machines)
        first.follow()
    assert Run(run.path).status().state == "interrupted"  # as far as anybody here knows
    assert machines.places

    from vae_core.training.cluster.mirror import Mirror

    again = Run(run.path)
    with again.lock():
        assert Mirror(again, machines, list).follow().state == "finished"
    assert len(machines.begun) == 1
    assert steps_of(run) == [1, 2, 3]


def test_a_mirror_whose_run_was_taken_leaves_the_place_to_the_other(run: Run) -> None:
    def taken(there: Run) -> None:
        job = json.loads(run.read(layout.JOB))
        run.file(layout.JOB).write_text(json.dumps(job | {"token": "another"}))

    machines = scripted([learns(1), taken, learns(2)])
    with pytest.raises(LeaseLost):
        follow(run, machines)
    assert machines.places and steps_of(run) == [1]


def test_a_cluster_that_does_not_answer_is_asked_again(run: Run) -> None:
    said: list[str] = []

    def sleep(there: Run) -> None:
        machines.away = 3

    machines = scripted([learns(1), sleep, learns(2), says("finished")])
    with run.lock():
        followed = mirrored(run, machines)
        followed._progress = lambda message, share: said.append(message)
        assert followed.follow().state == "finished"
    assert any("does not answer" in message for message in said)
    assert steps_of(run) == [1, 2] and len(machines.begun) == 1


def left_alone(run: Run) -> Machines:
    """Machines on which a place goes on with a run whose mirror has gone."""
    machines = scripted([learns(1, 2), lambda there: left.leave(), *[says("training", 2)] * 9])
    with run.lock():
        left = mirrored(run, machines)
        left.follow()
    assert machines.places
    return machines


def notes(run: Run) -> list[str]:
    return [each["message"] for each in run.history()[0] if each["kind"] == "note"]


def test_who_goes_on_here_ends_what_goes_on_there(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = left_alone(run)
    monkeypatch.setattr(placed, "unavailable", lambda: "")
    monkeypatch.setattr(placed, "connect", lambda address, progress: machines)
    assert address_to_resume(run, "here") is None and run.has(layout.PLACEMENT)
    worker.work(Run(run.path))
    assert not machines.places and machines.left and not run.has(layout.PLACEMENT)
    assert Run(run.path).status().state == "finished"
    assert notes(run) == ["Goes on on this machine; the cluster does nothing of this run any more."]
    assert address_to_resume(run) is None, "it is here from now on"


def test_who_cannot_be_ended_is_told_and_comes_to_nobody(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = left_alone(run)
    machines.away = 10**6
    monkeypatch.setattr(placed, "unavailable", lambda: "")
    monkeypatch.setattr(placed, "connect", lambda address, progress: machines)
    worker.work(Run(run.path))
    [said] = notes(run)
    assert "could not be ended: it is asleep. It trains there until it is done" in said
    assert Run(run.path).status().state == "finished" and machines.places
    machines.away = 0
    put_on_cluster(run, Share())
    name = place_name(run, run.parse(layout.PLACEMENT, Placement))
    assert machines.find(name) is None, "nobody takes up what was left there"


# --- messages -------------------------------------------------------------------------------------


def test_messages_go_there_and_a_stop_waits_for_what_it_saved(run: Run, finished: Run) -> None:
    heard: list[dict[str, object]] = []

    def hear(there: Run) -> None:
        heard.extend(there.records(layout.CONTROL)[0])

    def turn(there: Run) -> None:
        send(run, {"command": "set", "name": "beta", "value": 4})
        send(run, {"command": "stop"})

    last = [turn, lambda there: None, hear, takes(finished), says("stopped", 10, "Stopped.")]
    status = follow(run, scripted(last))
    assert [(each["command"], each["value"]) for each in heard] == [("set", 4.0), ("stop", 0.0)]
    assert status.state == "stopped" and run.has(layout.WEIGHTS)


@pytest.mark.parametrize("command", ["stop", "pause"])
def test_who_waits_for_a_place_is_told_so_and_obeys(run: Run, command: str) -> None:
    machines = scripted([says("finished")])
    machines.full = 200
    states: list[tuple[str, str]] = []

    def progress(message: str, share: float | None) -> None:
        status = Run(run.path).status()
        states.append((status.state, status.message))
        if len(states) == 3:
            send(run, {"command": command})

    with run.lock():
        followed = mirrored(run, machines, cpus=2)
        followed._progress = progress
        status = followed.follow()
    waiting = "Waiting for a free place in the cluster: 0 of 2 CPUs are free"
    assert ("starting", waiting) in states
    if command == "stop":
        assert status.state == "stopped" and waiting in status.message
        assert not machines.places
    else:
        assert ("paused", waiting) in states
        assert machines.begun[0].run.path.parent.parent.exists()


# --- images ---------------------------------------------------------------------------------------


def packed(path: Path) -> bytes:
    return b"".join(Collection(path).pieces(no_progress))


def test_a_collection_is_named_after_its_content(tmp_path: Path) -> None:
    first, second = (tmp_path / name / "cats" for name in ("here", "there"))
    for folder in (first, second):
        (folder / "tabby").mkdir(parents=True)
        (folder / "tabby" / "ünï.png").write_bytes(b"\x89PNG" * 1000)
        (folder / "labels.csv").write_text("file,label\n")
        (folder / ".DS_Store").write_bytes(os.urandom(8))
    (second / "link.png").symlink_to(second / "nowhere.png")
    os.utime(second / "labels.csv", (1, 1))
    digest = Collection(first).digest(no_progress)
    assert Collection(second).digest(no_progress) == digest
    with tarfile.open(fileobj=io.BytesIO(packed(first))) as archive:
        assert archive.getnames() == ["cats/labels.csv", "cats/tabby/ünï.png"]

    (second / "labels.csv").write_text("file,label!\n")
    assert Collection(second).digest(no_progress) != digest


def test_a_collection_comes_to_each_machine_once(tmp_path: Path) -> None:
    source = tmp_path / "cats"
    source.mkdir()
    (source / "a.png").write_bytes(os.urandom(3000))
    digest = Collection(source).digest(no_progress)
    first, second = Shelf(digest), Shelf(digest)
    assert first.state() == "send"
    assert second.state() == "wait"
    data = packed(source)
    for offset in (0, 0, 1000, 1000, 2000):  # a piece whose answer was lost is sent again
        first.take(offset, data[offset : offset + 1000] if offset < 2000 else data[2000:])
    first.finish()
    assert second.state() == "there"
    assert (second.path / "a.png").read_bytes() == (source / "a.png").read_bytes()
    assert first.path == second.path and second.path.name == "cats"


def archive_of(add: Callable[[tarfile.TarFile], None]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        add(archive)
    return out.getvalue()


def named(name: str, kind: bytes = tarfile.REGTYPE) -> Callable[[tarfile.TarFile], None]:
    def add(archive: tarfile.TarFile) -> None:
        head = tarfile.TarInfo(name)
        head.type, head.linkname = kind, "/etc/passwd" if kind == tarfile.SYMTYPE else ""
        archive.addfile(head)

    return add


@pytest.mark.parametrize(
    "add",
    [named("../outside"), named("/outside"), named("a/../../outside"), named("a", tarfile.SYMTYPE)],
)
def test_no_name_of_a_collection_leads_elsewhere(
    add: Callable[[tarfile.TarFile], None], tmp_path: Path
) -> None:
    import hashlib

    data = archive_of(add)
    shelf = Shelf(hashlib.sha256(data).hexdigest())
    assert shelf.state() == "send"
    shelf.take(0, data)
    with pytest.raises(UserError, match="no file of a collection"):
        shelf.finish()
    assert not list(tmp_path.rglob("outside"))
    shelf.release()
    assert Shelf(hashlib.sha256(data).hexdigest()).state() == "send", "nothing counts as there"


def test_what_changed_on_its_way_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.zip"
    source.write_bytes(b"one")
    shelf = Shelf(Collection(source).digest(no_progress))
    assert shelf.state() == "send"
    source.write_bytes(b"two")
    shelf.take(0, packed(source))
    with pytest.raises(UserError, match="changed while they were sent"):
        shelf.finish()


# --- whose cluster --------------------------------------------------------------------------------


def test_a_folder_that_somebody_sent_names_no_cluster(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever connects to a cluster trusts it: its address comes from the person alone."""
    assert not [name for name in Placement.model_fields if "address" in name or "host" in name]
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    put_on_cluster(run, Share(cpus=2, gpus=0.5))
    with pytest.raises(UserError, match="is trained on a cluster") as refused:
        jobs.resume(run)
    assert "--on" in refused.value.shell and "--on" not in str(refused.value)
    assert address_to_resume(run, "ray://lab:10001") == "ray://lab:10001"
    assert address_to_resume(run, "here") is None


@pytest.mark.parametrize("text", ["ray:", "ray://", "ray://a/b:1", "http://a:1", "ray://a:b", ""])
def test_an_address_is_one_of_a_cluster(text: str) -> None:
    with pytest.raises(UserError, match="no address of a cluster"):
        require_address(text)


def test_threads_are_the_cpus_that_a_run_takes(run: Run) -> None:
    run.write_json(layout.CONFIG, tiny(train={"threads": None}).model_dump())
    put_on_cluster(run, Share(cpus=3))
    assert run.config().train.threads == 3


def test_a_place_that_nobody_asks_any_more_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from vae_core.training.cluster import place as place_module

    place = ScriptedPlace("forgotten", 0)
    assert not place.is_forgotten()
    monkeypatch.setattr(place_module, "NEVER_BEGUN_S", -1)
    assert place.is_forgotten()

    place.begin([])
    monkeypatch.setattr(place_module, "FORGOTTEN_S", -1)
    assert not place.is_forgotten(), "its worker goes on"
    place._worker.over = 0
    assert place.is_forgotten()

    needed = ScriptedPlace("needed", 0)
    needed.begin([], needed_s=60)
    assert not needed.is_forgotten()
    needed._asked -= 61
    assert needed.is_forgotten(), "somebody else does what it was to do"
    needed.send([])
    assert not needed.is_forgotten()
    for each in (place, needed):
        each.end()


def test_a_token_of_this_machine_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from vae_core.training.cluster.over_ray import _show_token

    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")  # so that it is put back, whatever becomes of it here
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    _show_token()
    assert "RAY_AUTH_MODE" not in os.environ
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").touch()
    _show_token()
    assert os.environ["RAY_AUTH_MODE"] == "token"
    os.environ["RAY_AUTH_MODE"] = "disabled"  # as somebody has said
    _show_token()
    assert os.environ["RAY_AUTH_MODE"] == "disabled"
