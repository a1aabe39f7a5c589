"""What a worker is told: each worker its own, only what can be done, and what cannot is said."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands import vae_core
from tests.engine import make_loop, tiny, trained
from vae_core.runs import Folder, Run, Store
from vae_core.runs.lease import TOKEN_VARIABLE
from vae_core.training import jobs
from vae_core.training.control import FILE, ControlFile, Message, control_size, parse, send
from vae_core.training.events import Noted, ValueSet
from vae_core.training.loop import Loop
from vae_core.training.worker import work

ROOT = Path(__file__).parent.parent


def notes(run: Run) -> list[str]:
    return [record["message"] for record in run.history()[0] if record["kind"] == "note"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Store(tmp_path).create("tiny", tiny())


# --- to whom it was said -------------------------------------------------------------------------


def test_what_was_said_to_an_earlier_worker_is_not_said_to_the_next(run: Run) -> None:
    """Stop in the app, then go on by hand: it stopped again before its first step, every time."""
    send(run, {"command": "set", "name": "beta", "value": 3.0})
    send(run, {"command": "stop"})
    assert work(run).finished
    assert not [r for r in run.history()[0] if r["kind"] == "set"]


def test_resume_on_the_command_line_goes_on_after_a_stop(run: Run, tmp_path: Path) -> None:
    for command in ("stop", "pause"):
        send(run, {"command": command})
    done = vae_core("resume", "tiny", "--store", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert run.status().state == "finished"


def test_what_is_said_between_the_launch_and_the_first_look_is_heard(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app launches a worker, and somebody presses Stop before it has begun."""
    send(run, {"command": "pause"})
    launched: list[list[str]] = []

    def spawn(folder: Folder, command: list[str], store: Path) -> None:
        launched.append(command)
        assert folder.lease is not None
        monkeypatch.setenv(TOKEN_VARIABLE, folder.lease.job.token)  # the worker is this process

    monkeypatch.setattr(jobs, "spawn", spawn)
    jobs.resume(run)
    send(run, {"command": "stop"})
    ((_, name, option, offset),) = launched
    assert (name, option) == ("tiny", "--heard")
    ended = work(run, offset=int(offset))
    assert not ended.finished and ended.step == 0


def test_a_file_that_was_removed_is_begun_again(run: Run) -> None:
    send(run, {"command": "pause"})
    control = ControlFile(run, control_size(run))
    assert control() == []
    run.file(FILE).unlink()
    assert control() == []
    send(run, {"command": "stop"})
    assert control() == [Message("stop")]


def test_a_line_is_heard_once_it_is_whole(run: Run) -> None:
    control = ControlFile(run, 0)
    with run.file(FILE).open("ab", buffering=0) as file:
        file.write(b'{"command":')
        assert control() == []
        file.write(b'"save"}\n{"comm')
        assert control() == [Message("save")]
    assert control() == []


# --- what may be asked ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        {"command": "set", "name": "beta"},
        {"command": "set", "value": 2.0},
        {"command": "set", "name": "beta", "value": None},
        {"command": "set", "name": "beta", "value": "2"},
        {"command": "set", "name": "beta", "value": True},
        {"command": "set", "name": "beta", "value": [1]},
        {"command": "set", "name": 3, "value": 1.0},
        {"command": "set", "name": "beta", "value": 10**400},
        {"command": "set", "name": "beta", "value": math.inf},
        {"command": ["set"]},
        {"command": "begin"},
    ],
)
def test_what_is_no_message_changes_nothing_and_is_said(message: dict[str, Any], run: Run) -> None:
    line = json.dumps(message).encode()
    assert parse(line) is None
    control = ControlFile(run, 0)
    run.file(FILE).write_bytes(line + b"\n")
    loop = make_loop(tiny())
    told = [event for event in loop.run(control) if isinstance(event, Noted | ValueSet)]
    assert [type(event) for event in told] == [Noted]
    assert "was not understood and changed nothing" in told[0].message  # type: ignore[union-attr]
    assert loop.overrides == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
messages = st.fixed_dictionaries(
    {},
    optional={
        "command": st.sampled_from(["set", "stop", "pause", "rm"]) | json_values,
        "name": st.sampled_from(["beta", "gamma"]) | json_values,
        "value": json_values,
    },
)


@given(line=messages.map(lambda m: json.dumps(m).encode()) | st.binary(max_size=40))
def test_every_line_is_a_message_or_none(line: bytes) -> None:
    found = parse(line)
    if found is not None and found.command == "set":
        raw = json.loads(line)
        assert raw["name"] == found.name and isinstance(found.name, str)
        assert not isinstance(raw["value"], bool | str) and float(raw["value"]) == found.value
        assert math.isfinite(found.value)


def loop_of(family: str) -> Loop:
    return make_loop(tiny(family=family, data={"limit": 150}))


LOOPS = {name: loop_of(name) for name in ("vae", "factor-vae", "capacity", "vq-vae", "autoencoder")}
RANGES = {
    "vae": ("beta", 0.0, 1e6),
    "factor-vae": ("gamma", 0.0, 1e6),
    "capacity": ("capacity", 0.0, 1e4),
    "vq-vae": ("commitment", 0.0, 1e4),
}
"""Control of each family with the range that its setting has."""

names = st.sampled_from(["beta", "gamma", "capacity", "commitment", "free", "", "β"])
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.floats(-10, 10)


@given(family=st.sampled_from(list(LOOPS)), name=names, value=numbers)
def test_only_what_the_setting_allows_is_taken(family: str, name: str, value: float) -> None:
    loop = LOOPS[family]
    loop.overrides = {}
    (event,) = loop._set(Message("set", name, value))
    control, least, most = RANGES.get(family, ("", 0.0, 0.0))
    if name == control and name and least <= value <= most:
        assert isinstance(event, ValueSet) and loop.overrides == {name: value}
    else:
        assert isinstance(event, Noted) and loop.overrides == {}
        assert event.message.startswith(f"{name} = {value:g} was refused. ")


def test_a_refusal_is_in_the_history(tmp_path: Path) -> None:
    run = trained(tmp_path, data={"limit": 150}, train={"epochs": 1})
    assert notes(run) == []
    again = Store(tmp_path).create("told", run.config())
    for value in (-5, 2.5):
        send(again, {"command": "set", "name": "beta", "value": value})
    send(again, {"command": "set", "name": "gamma", "value": 1})
    send(again, {"command": "set", "name": "beta"})
    work(again, offset=0)
    below, unknown, unread = notes(again)
    assert below.startswith("beta = -5 was refused. objective.beta: ") and "equal to 0" in below
    assert unknown.startswith("gamma = 1 was refused. There is no value to set 'gamma'")
    assert "not understood" in unread and '"name":"beta"' in unread
    assert [r["value"] for r in again.history()[0] if r["kind"] == "set"] == [2.5]
