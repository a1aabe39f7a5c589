"""Several hosts on one store: each a namespace of process ids and a name of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from latent_workbench.shared.catalog import facts_of
from tests.engine import tiny
from tests.hosts import OTHER, ROOT, ended, inside, on_other_host, started
from tests.pages import open_page
from tests.test_jobs import until
from vae_core.errors import UserError
from vae_core.runs import Run, Store
from vae_core.runs.process import Watch
from vae_core.sweeps import BETA, SweepSpec
from vae_core.sweeps.scheduler import work as work_through
from vae_core.sweeps.sweep import create_sweep
from vae_core.training import jobs

SILENT_S = 4.0
"""Of the workers of these tests; the app's are given 60 s."""

HERE = f"Run 'long' is training on {OTHER}"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The other host, on which `long` has begun to train."""
    long = {"epochs": 5000, "checkpoint_every": 5, "preview_every": 9999}
    run = Store(tmp_path).create("long", tiny(train=long))
    resume = ("-m", "vae_core", "resume", "long", "--store", tmp_path)
    process = on_other_host(*resume, VAE_SILENT_S=str(SILENT_S))
    try:
        until(lambda: run.status().step > 5 or process.poll() is not None, seconds=120)
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        ended(process)
        job = json.loads(run.file("job.json").read_text()) if run.path.exists() else {}
        if job and run.is_alive() and not run.remote_host():
            os.kill(job["pid"], signal.SIGKILL)


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vae_core", *words], capture_output=True, text=True, cwd=ROOT
    )


def job(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.file("job.json").read_text())
    return found


def test_a_run_that_trains_elsewhere_is_left_alone_and_heard(
    tmp_path: Path, elsewhere: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never called interrupted, nobody here resumes or deletes it, and it obeys."""
    run = Store(tmp_path).get("long")
    first = job(run)
    assert first["host"] == OTHER and first["boot"] and first["pids"] and first["pid"] == 1
    assert run.status().state == "training" and run.remote_host() == OTHER
    with pytest.raises(UserError, match=f"{HERE}; stop it before you delete it"):
        run.delete()
    with pytest.raises(UserError, match=HERE):
        jobs.resume(run)
    told = command("resume", "long", "--store", str(tmp_path))
    assert (told.returncode, told.stderr.splitlines()[-1]) == (2, f"error: {HERE}.")
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    assert (facts_of(run).state, facts_of(run).host) == ("training", OTHER)
    page = open_page("gallery", run="long")
    assert f"training on {OTHER}" in "\n".join(each.value for each in page.markdown)
    page.checkbox(key="sure-long").check().run()
    page.button(key="delete-long").click().run()
    assert HERE in page.error[0].value and run.file("config.json").exists()
    step = run.status().step
    until(lambda: run.status().step > step)
    assert job(run) == first, "the same worker, all along"

    for hours in (-10, 10):  # as when a clock is set
        for path in run.path.rglob("*"):
            stamp = time.time() + 3600 * hours
            with suppress(FileNotFoundError):
                os.utime(path, (stamp, stamp))
        assert (run.status().state, run.remote_host()) == ("training", OTHER)

    jobs.send(run, {"command": "pause"})
    until(lambda: run.status().state == "paused")
    time.sleep(SILENT_S + 1)
    assert run.status().state == "paused", "who waits lives all the same"
    jobs.resume(run)
    jobs.send(run, {"command": "set", "name": "beta", "value": 2.5})
    until(lambda: any(record["kind"] == "set" for record in run.history()[0]))
    jobs.send(run, {"command": "stop"})
    until(lambda: run.status().state == "stopped" and not run.is_alive())
    assert run.remote_host() == ""
    # A stop within two seconds leaves out the measurement where the processor is busy.
    assert run.summary().get("step") in (None, run.status().step)
    assert elsewhere.wait(30) == 0
    run.delete()


def test_who_was_silent_too_long_ends_without_a_word(
    tmp_path: Path, elsewhere: subprocess.Popen[str]
) -> None:
    """A machine that was suspended wakes up when another one has gone on with its run."""
    run, sleeper = Store(tmp_path).get("long"), inside(elsewhere)
    until(lambda: run.file("training_state.pt").exists())
    assert run.status().state == "training"
    sleeper.suspend()
    asleep = time.monotonic()
    until(lambda: run.status().state == "interrupted")
    assert time.monotonic() - asleep > SILENT_S / 2
    assert run.status().message.endswith(f"There has been no sign of life from {OTHER} for 4 s.")
    assert (facts_of(run).state, facts_of(run).host) == ("interrupted", "")
    jobs.resume(run)
    until(lambda: run.status().state == "training")
    ours, step = job(run)["token"], run.status().step
    sleeper.resume()
    _, err = elsewhere.communicate(timeout=30)
    assert elsewhere.returncode == 2
    assert f"error: Run 'long' was taken over by process {job(run)['pid']} on" in err
    until(lambda: run.status().step > step)
    assert job(run)["token"] == ours and run.remote_host() == ""
    jobs.send(run, {"command": "stop"})
    until(lambda: not run.is_alive())
    assert run.status().state == "stopped" and run.weights_step() == run.status().step
    steps = [r["step"] for r in run.history()[0] if r["kind"] == "step"]
    assert steps == sorted(set(steps)), "each step was recorded once"


TAKES = """
import sys, time
from pathlib import Path
from vae_core.errors import UserError
from vae_core.runs import Run
run = Run(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
won = 0
for _ in range(200):
    try:
        with run.lock() as lease:
            won += 1
            path = run.file("inside")
            with path.open("x"):
                pass
            run.append("history.jsonl", {"step": 1})
            path.unlink()
    except UserError:
        time.sleep(0.001)
print(won, flush=True)
"""


def test_of_many_hosts_one_holds_a_run(tmp_path: Path) -> None:
    """Each makes a file while it holds the run, which fails while there is one."""
    run = Store(tmp_path).create("one", tiny())
    hosts = [on_other_host("-c", TAKES, run.path, VAE_SILENT_S="60") for _ in range(4)]
    try:
        for host in hosts:
            started(host)
        for host in hosts:
            assert host.stdin is not None
            host.stdin.write("go\n")
            host.stdin.flush()
        told = [host.communicate(timeout=60) for host in hosts]
    finally:
        for host in hosts:
            if host.poll() is None:
                ended(host)
    assert [err for _, err in told] == [""] * 4
    assert sum(int(out) for out, _ in told) == len(run.history()[0]) > 0
    assert not run.is_alive() and not list(run.path.glob("lease-*"))


def test_a_run_that_is_deleted_ends_its_worker_and_stays_deleted(tmp_path: Path) -> None:
    store = tmp_path / "store"
    Store(store).create("gone", tiny(train={"epochs": 5000, "preview_every": 9999}))
    words = ["resume", "gone", "--store", str(store)]
    process = subprocess.Popen(
        [sys.executable, "-m", "vae_core", *words], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    run = Store(store).get("gone")
    until(lambda: run.status().step > 3)
    until(lambda: not (shutil.rmtree(store, ignore_errors=True) or store.exists()))
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "error: Run 'gone' was deleted. This process ends and writes nothing more." in err
    assert not store.exists()


def test_silence_is_what_one_has_seen_oneself() -> None:
    watch = Watch(longest_gap_s=0.05)
    assert watch.unchanged_s("a", lambda: 1) == 0, "who has only begun to look knows nothing"
    time.sleep(0.2)
    assert watch.unchanged_s("a", lambda: 1) == pytest.approx(0.05), "a long sleep proves little"
    time.sleep(0.02)
    assert watch.unchanged_s("a", lambda: 1) >= 0.07
    assert watch.unchanged_s("a", lambda: 2) == 0


# --- sweeps --------------------------------------------------------------------------------------


@pytest.mark.timeout(240)
def test_a_sweep_at_work_elsewhere_is_left_alone_and_taken_over_once_it_is_silent(
    tmp_path: Path,
) -> None:
    base = tiny(train={"epochs": 60, "checkpoint_every": 5, "preview_every": 9999})
    made = create_sweep(Store(tmp_path), "s", SweepSpec(base=base, vary={BETA: (1.0,)}, workers=1))
    words = ("-m", "vae_core", "sweep", "--name", "s", "--store", tmp_path)
    process = on_other_host(*words, VAE_SILENT_S=str(SILENT_S))
    try:
        until(lambda: [r for r in Store(tmp_path) if r.status().step > 5] != [], seconds=120)
        (run,) = Store(tmp_path)
        assert (made.state().state, made.remote_host()) == ("running", OTHER)
        assert run.remote_host() == OTHER
        with pytest.raises(UserError, match=f"Sweep 's' is at work on {OTHER}; cancel it before"):
            made.delete()
        with pytest.raises(UserError, match=f"Sweep 's' is at work on {OTHER}"):
            work_through(made)
        made.send("pause")
        until(lambda: run.status().state == "paused" and made.written_state().state == "paused")
    finally:
        ended(process)
    assert made.state().state == "paused", "it may be that it only thinks"
    until(lambda: made.state().state == "interrupted")
    assert f"no sign of life from {OTHER}" in run.status().message or run.is_alive()
    made.send("resume")
    done = work_through(made)
    assert done.state == "finished" and [e.state for e in done.entries] == ["finished"]
    assert run.status().state == "finished" and run.remote_host() == ""
