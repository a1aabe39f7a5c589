"""The files of a run: atomic writes, a full disk, and damage."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.runs import Run, Status, Store
from vae_core.runs.migrations import FORMAT


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture
def run(store: Store) -> Run:
    return store.create("one", RunConfig())


# --- writing -------------------------------------------------------------------------------------


def test_a_reader_never_sees_a_part(run: Run) -> None:
    """Two threads read while a third writes documents of very different lengths."""
    documents = [{"step": n, "filler": "x" * (n * 50_000)} for n in range(4)]
    run.write_json("summary.json", documents[0])
    stop, seen, errors = threading.Event(), set(), []

    def read() -> None:
        while not stop.is_set():
            try:
                summary = run.summary()
                assert summary == documents[summary["step"]]
                seen.add(summary["step"])
            except (UserError, AssertionError) as error:
                errors.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        for document in documents:
            run.write_json("summary.json", document)
    stop.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert len(seen) == len(documents)
    assert not list(run.path.glob(".writing-*"))


def test_history_is_read_while_it_grows(run: Run) -> None:
    records = [{"kind": "step", "step": n, "note": "é\n" * (n % 7)} for n in range(3000)]

    def write() -> None:
        for record in records:
            run.append("history.jsonl", record)

    writer = threading.Thread(target=write)
    writer.start()
    got: list[dict[str, Any]] = []
    offset = 0
    while writer.is_alive() or len(got) < len(records):
        new, offset = run.history(offset)
        got += new
    writer.join()
    assert got == records
    assert run.history(offset) == ([], offset)


def test_what_is_written_is_plain_json(run: Run) -> None:
    run.set_status(Status(state="finished", images_per_s=9000.5))
    assert json.loads(run.file("status.json").read_text())["images_per_s"] == 9000.5
    stored = json.loads(run.file("config.json").read_text())
    assert stored == {"format": FORMAT} | json.loads(RunConfig().to_json())
    assert run.file("config.json").stat().st_mode & 0o777 == 0o644


def full_disk(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_keeps_the_old_file_and_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.write_json("summary.json", {"elbo": -97.0})
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", full_disk)
        with pytest.raises(UserError, match=r"summary.json of run 'one'.*No space left.*Free some"):
            run.write_json("summary.json", {"elbo": -96.0})
    assert run.summary() == {"elbo": -97.0}
    assert not list(run.path.glob(".writing-*"))


def test_a_full_disk_frees_the_name_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", full_disk)
        with pytest.raises(UserError, match="No space left"):
            store.create("two", RunConfig())
    assert list(store) == []
    assert store.create("two", RunConfig()).config() == RunConfig()


def test_a_record_that_fits_only_in_part_is_told_and_spoils_no_other(run: Run) -> None:
    """The limit on file sizes makes the kernel write short, as a full disk does."""
    script = (
        "import resource, signal, sys; from pathlib import Path;"
        "from vae_core.runs import Run; from vae_core.errors import UserError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "run = Run(Path(sys.argv[1]))\n"
        "run.append('history.jsonl', {'n': 1})\n"
        "try: run.append('history.jsonl', {'n': 2, 'filler': 'x' * 200})\n"
        "except UserError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(run.path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    assert "history.jsonl of run 'one' could not be written: No space left" in done.stdout
    assert run.file("history.jsonl").stat().st_size == 100
    records, offset = run.history()
    assert records == [{"n": 1}]
    run.append("history.jsonl", {"n": 3})
    records, _ = run.history(offset)
    assert records == [{"n": 3}]


def test_a_folder_that_is_gone_is_a_user_error(run: Run) -> None:
    run.delete()
    with pytest.raises(UserError, match="could not be written"):
        run.append("control.jsonl", {"command": "stop"})


# --- damage --------------------------------------------------------------------------------------


def test_a_torn_last_line_waits_for_its_end(run: Run) -> None:
    path = run.file("history.jsonl")
    path.write_bytes(b'{"step":1}\n{"step":2}\n{"ste')
    records, offset = run.history()
    assert records == [{"step": 1}, {"step": 2}]
    assert run.history(offset) == ([], offset)
    with path.open("ab") as file:
        file.write(b'p":3}\n')
    assert run.history(offset)[0] == [{"step": 3}]


@pytest.mark.parametrize(
    "line", [b'{"ste', b"\0\0\0\0", b"\xff\xfe", b"3", b"null", b"", b"[" * 100_000]
)
def test_a_damaged_line_costs_only_itself(run: Run, line: bytes) -> None:
    run.file("history.jsonl").write_bytes(b'{"step":1}\n' + line + b'\n{"step":2}\n')
    assert run.history()[0] == [{"step": 1}, {"step": 2}]


def test_no_history_is_an_empty_one(run: Run) -> None:
    assert run.history() == ([], 0)
    assert run.log_tail() == ""
    assert run.summary() == {}


DAMAGE = [b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b'{"colour": 1}', b"[" * 100_000]


@pytest.mark.parametrize("content", DAMAGE)
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("config.json", Run.config),
        ("data.json", Run.data_card),
        ("status.json", Run.status),
    ],
)
def test_a_damaged_file_is_named_with_its_run(
    run: Run, name: str, read: Any, content: bytes
) -> None:
    run.file(name).write_bytes(content)
    with pytest.raises(UserError) as error:
        read(run)
    assert f"{name} of run 'one'" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[]", b"[" * 100_000])
def test_a_damaged_summary_is_named_with_its_run(run: Run, content: bytes) -> None:
    run.file("summary.json").write_bytes(content)
    with pytest.raises(UserError, match=r"summary\.json of run 'one'"):
        run.summary()


@pytest.mark.parametrize("content", [*DAMAGE, b'{"pid": -1, "create_time": 0}'])
def test_a_damaged_job_is_nobody_at_work(run: Run, content: bytes) -> None:
    run.file("job.json").write_bytes(content)
    assert not run.is_alive()


def test_a_missing_file_is_named(run: Run) -> None:
    with pytest.raises(UserError, match=r"Run 'one' has no data\.json"):
        run.data_card()
    run.file("config.json").unlink()
    with pytest.raises(UserError, match=r"Run 'one' has no config\.json"):
        run.config()


@pytest.mark.parametrize("name", ["config.json", "history.jsonl", "log.txt"])
def test_a_file_that_is_a_folder_is_a_user_error(run: Run, name: str) -> None:
    run.file(name).unlink(missing_ok=True)
    run.file(name).mkdir()
    read: dict[str, Any] = {
        "config.json": run.config,
        "history.jsonl": run.history,
        "log.txt": run.log_tail,
    }
    with pytest.raises(UserError, match=f"{name} of run 'one'"):
        read[name]()


def test_a_damaged_run_leaves_the_others_usable(store: Store, run: Run) -> None:
    (store.path / "empty").mkdir()
    (store.path / "half").mkdir()
    (store.path / "half" / "config.json").write_bytes(b"{")
    assert {found.id for found in store} == {"one", "empty", "half"}
    assert store.get("one").config() == RunConfig()


def test_the_log_is_read_from_its_end(run: Run) -> None:
    lines = [f"line {n} é" for n in range(10_000)]
    run.file("log.txt").write_bytes("\n".join(lines).encode() + b"\n\xff")
    assert run.log_tail(3).splitlines()[:2] == lines[-2:]
    assert len(run.log_tail(20).splitlines()) == 20
