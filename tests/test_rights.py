"""Who may read what is written: what the person's umask says, and less where a password may be."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import tiny
from vae_core.errors import UserError
from vae_core.export.source import Export
from vae_core.export.writing import write_export
from vae_core.runs import Run, Store
from vae_core.sweeps import BETA, SweepSpec
from vae_core.sweeps.study import open_study
from vae_core.sweeps.sweep import create_sweep
from vae_core.training.worker import work

PASSWORD = "hunter22"


@pytest.fixture(params=[0o077, 0o027, 0o002, 0o000], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_new_files_have_the_rights_that_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    run = Store(tmp_path).create("one", tiny())
    run.claim(os.getpid()).release()
    run.append("history.jsonl", {"step": 1})
    run.write_bytes("previews/originals.png", b"picture")
    files = [path for path in run.path.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert {rights(path) for path in files} == {0o666 & ~umask}
    assert {rights(path) for path in (run.path, run.file("previews"))} == {0o777 & ~umask}


def test_all_that_a_training_and_an_export_write_is_private_where_one_wants_it(
    tmp_path: Path,
) -> None:
    before = os.umask(0o077)
    try:
        run = Store(tmp_path / "store").create("tiny", tiny())
        work(run)
        write_export(Export({"weights": b"w"}, ""), tmp_path / "out", run.id)
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10 and {rights(path) for path in files} == {0o600}


def test_a_password_in_a_sweep_is_nobody_elses_at_any_moment(tmp_path: Path) -> None:
    """Somebody looks on all the time; the umask would let everybody read."""
    before = os.umask(0)
    open_to_others, done = [], threading.Event()

    def look_on() -> None:
        while not done.is_set():
            for entry in os.scandir(tmp_path):
                try:
                    if entry.stat().st_mode & 0o077 and PASSWORD in Path(entry).read_text():
                        open_to_others.append(entry.name)
                except OSError:
                    continue

    watcher = threading.Thread(target=look_on)
    watcher.start()
    try:
        folder = Run(tmp_path)
        url = {"storage": f"postgresql://user:{PASSWORD}@host/db", "filler": "x" * 100_000}
        for number in range(50):
            name = f"sweep-{number}.json"
            folder.write_json(name, url, private=True)
            folder.write_json(name, url)  # written anew, it stays private
            assert rights(folder.file(name)) == 0o600
    finally:
        done.set()
        watcher.join()
        os.umask(before)
    assert open_to_others == []


def test_a_sweep_in_a_shared_database_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        url = f"sqlite:///{tmp_path / 'shared.db'}"
        spec = SweepSpec(base=tiny(), vary={BETA: (1.0,)}, storage=url)
        made = create_sweep(Store(tmp_path / "store"), "s", spec)
    finally:
        os.umask(before)
    assert rights(made.file("sweep.json")) == 0o600
    assert not [path for path in made.path.iterdir() if path.name != "sweep.json"
                and url in path.read_text(errors="replace")]  # fmt: skip


URLS = [
    f"postgresql://user:{PASSWORD}@127.0.0.1:1/db",
    f"postgresql://127.0.0.1:1/db?user=u&password={PASSWORD}",
    f"postgresql://127.0.0.1:1/db?sslmode={PASSWORD}",
    f"postgresql://user:pass@{PASSWORD}@127.0.0.1:1/db",
    f"postgresql//user:{PASSWORD}@host/db",
    f"postgresql://user:{PASSWORD}@host:port/db",
    f"user:{PASSWORD}@host",
    f"mysql://user:{PASSWORD}@host/db",
    f"nothing://user:{PASSWORD}@host/db",
]


@pytest.mark.parametrize("url", URLS)
def test_no_sentence_shows_a_password(url: str) -> None:
    with pytest.raises(UserError) as error:
        open_study(url, "s")
    assert PASSWORD not in str(error.value)
