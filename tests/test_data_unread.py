"""What cannot be read is an error and is forgotten; what was read and is no image is skipped."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.pictures import encoded, lay_out, pack, picture, png
from vae_core.config import DataConfig
from vae_core.data import Dataset, load_dataset
from vae_core.data.prepare import PREPARING, prepare_files
from vae_core.errors import UserError
from vae_core.imaging import pool
from vae_core.imaging.decoder import Decoder
from vae_core.imaging.fit import Target
from vae_core.imaging.reading import Picture, Refused, read_whole
from vae_core.imaging.walk import list_folder, open_pictures
from vae_core.progress import no_progress

ROOT = Path(__file__).resolve().parent.parent
COUNT = 300


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are started at once, not when it has taken a while."""
    monkeypatch.setattr(pool, "START_AFTER_S", 0.0)


with_processes = pytest.mark.usefixtures("processes")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that decoding takes a second or two."""
    root = tmp_path_factory.mktemp("photos")
    for i in range(COUNT):
        image = picture(i, size=(400, 300))
        (root / f"{i:03}.png").write_bytes(encoded(image, compress_level=1) + bytes(i))
    return root


def load(path: Path, progress=no_progress, **wishes) -> Dataset:
    wishes = {"resize": "stretch", **wishes}  # cuts nothing off, which would be said
    return load_dataset(DataConfig(dataset="folder", data_dir=str(path), **wishes), progress)


def count(dataset: Dataset) -> int:
    return len(dataset.train) + len(dataset.validation)


# --- drives and folders that go --------------------------------------------------------------


@with_processes
def test_a_folder_that_vanishes_and_comes_back_is_whole_again(photos: Path, tmp_path: Path) -> None:
    folder, away = tmp_path / "x", tmp_path / "away"
    shutil.copytree(photos, folder)

    def rename(message: str, share: float | None) -> None:
        preparing = message.startswith(PREPARING) and share is not None and share >= 0.2
        if preparing and folder.exists():
            folder.rename(away)

    with pytest.raises(UserError, match=r"/x vanished while its images were prepared") as told:
        load(folder, rename)
    said = re.search(r"the (\d+) of 300 files that were read are kept", str(told.value))
    assert said and 60 <= int(said[1]) < 300
    away.rename(folder)
    dataset = load(folder)
    assert count(dataset) == COUNT and "skipped" not in " ".join(dataset.notes)


@pytest.fixture
def drive(tmp_path: Path):
    """A file system of its own, which can be taken away."""
    place = tmp_path / "drive"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "none", place], capture_output=True)
    if done.returncode:  # no right to mount: the nearest that there is to it is a link that goes
        (tmp_path / "behind").mkdir()
        place.rmdir()
        place.symlink_to(tmp_path / "behind")
        yield place, lambda: place.unlink(missing_ok=True)
        return
    yield place, lambda: subprocess.run(["umount", "-l", place], check=True)
    subprocess.run(["umount", "-l", place], capture_output=True)


@with_processes
def test_a_drive_that_is_taken_away(photos: Path, drive) -> None:
    place, take_away = drive
    shutil.copytree(photos, place / "x")
    gone = False

    def unmount(message: str, share: float | None) -> None:
        nonlocal gone
        if share is not None and share >= 0.2 and not gone:
            take_away()
            gone = True

    with pytest.raises(UserError, match=r"/x (vanished|could not be read)"):
        load(place / "x", unmount)
    with pytest.raises(UserError, match="There is no folder or"):
        load(place / "x")


def test_files_and_folders_without_the_right_to_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        root = Path(name)
        folder = lay_out(root / "x", {f"{i}.png": png(i) for i in range(9)} | {"in/a.png": png(9)})
        monkeypatch.setenv("VAE_CACHE", str(root / "cache"))
        (root / "cache").mkdir()
        for path, mode in ((root, 0o755), (root / "cache", 0o777), (folder / "3.png", 0)):
            path.chmod(mode)
        told = r"1 file in .*/x .*such as 3\.png: Permission den"
        with bound_by_permissions(), pytest.raises(UserError, match=told):
            load(folder)
        (folder / "3.png").chmod(0o644)
        (folder / "in").chmod(0)
        with bound_by_permissions(), pytest.raises(UserError, match="/in cannot be reached: Perm"):
            load(folder)
        (folder / "in").chmod(0o755)
        with bound_by_permissions():
            assert count(load(folder)) == 10


@contextlib.contextmanager
def bound_by_permissions():
    """As somebody whom permissions keep out, which they do not root."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_changes_while_it_is_read_is_not_taken_for_what_it_was(tmp_path: Path) -> None:
    lay_out(tmp_path / "x", {f"{i}.png": png(i) for i in range(5)})
    listing = list_folder(tmp_path / "x")
    os.truncate(tmp_path / "x/3.png", 60)  # as while a folder is being copied
    with pytest.raises(UserError, match=r"1 file in .*/x could not be read, such as 3\.png: it ch"):
        prepare_files("folder", listing, Target(8, 8), no_progress)
    (tmp_path / "x/3.png").write_bytes(png(3))
    assert count(load(tmp_path / "x", image_size=8)) == 5


@pytest.mark.parametrize(
    ("number", "more"),
    [(errno.EACCES, 2), (errno.EIO, 2), (errno.ESTALE, 1), (errno.ETIMEDOUT, 1)],
)
def test_files_that_the_system_refuses_are_counted_and_tried_again(
    tmp_path: Path, number: int, more: int
) -> None:
    """Root may read everything, so the system's answers are given in its place."""
    names = {f"{i:03}.png": png(i) for i in range(150)}
    lay_out(tmp_path / "x", {**names, "bad.png": b"no picture at all"})
    good, tried = list_folder(tmp_path / "x"), []

    def read(index: int) -> Picture:
        tried.append(index)
        if index in (5, 140):
            raise OSError(number, os.strerror(number))
        return good.read(index)

    with pytest.raises(UserError) as told:
        prepare_files("folder", replace(good, read=read), Target(8, 8), no_progress)
    files = "1 file" if more == 1 else f"{more} files"
    assert f"{files} in {tmp_path}/x could not be read, such as " in str(told.value)
    assert os.strerror(number) in str(told.value)
    said = re.search(r"the (\d+) of 151 files that were read are kept", str(told.value))
    assert said
    kept = int(said[1])
    assert kept == 149 if more == 2 else len(tried) < 151  # such a drive is given up at once
    again: list[int] = []

    def count_reads(index: int) -> Picture:
        again.append(index)
        return good.read(index)

    prepared = prepare_files("folder", replace(good, read=count_reads), Target(8, 8), no_progress)
    assert len(prepared.kept) == 150 and [skip.name for skip in prepared.skipped] == ["bad.png"]
    assert len(again) == len({*again}) == 151 - kept


def test_an_archive_that_is_cut_short_meanwhile_is_no_damaged_archive(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {f"{i}.png": png(i) for i in range(200)})
    whole = path.read_bytes()
    with open_pictures(path) as listing:
        assert listing.read(0).file == png(0)
        os.truncate(path, 300)
        with pytest.raises(UserError, match=r"could not be read, such as .*it changes while"):
            prepare_files("folder", listing, Target(8, 8), no_progress)
    path.write_bytes(whole)
    assert count(load(path, image_size=8)) == 200
    damaged = bytearray(whole)
    damaged[60:90] = bytes(30)  # inside the first picture: that is what the archive holds
    path.write_bytes(damaged)
    dataset = load(path, image_size=9)
    assert count(dataset) == 199 and "0.png (damaged in the archive: " in dataset.notes[0]


# --- what is no ordinary file ----------------------------------------------------------------


def test_only_ordinary_files_are_opened(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "x", {f"{i}.png": png(i) for i in range(4)})
    os.mkfifo(folder / "pipe.png")
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "nowhere.png").symlink_to(tmp_path / "nowhere")
    (folder / "circle.png").symlink_to(folder / "circle.png")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "folder.png").mkdir()
    (folder / "folder.png/inside.png").write_bytes(png(9))
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(folder):
        listening.bind("socket.png")
    with (folder / "giant.png").open("wb") as file:
        file.truncate(50 * 10**9)
    (folder / "linked.png").symlink_to(folder / "0.png")
    dataset = load(folder, image_size=8)
    assert count(dataset) == 6
    assert dataset.notes == (
        "7 of 13 files were skipped: circle.png (a link to nowhere), device.png (no ordinary "
        "file), giant.png (larger than 200 MB), linked (a link to a folder), nowhere.png (a link "
        "to nowhere) and 2 more.",
        "1 image is an exact copy of another; copies lie on one side of the split.",
    )
    for name in ("/dev/zero", str(folder / "pipe.png")):
        with pytest.raises(UserError, match="is neither a folder nor a file"):
            load(Path(name))
    for name in ("circle.png", "x" * 300, "nul\0", "0.png/inside"):
        with pytest.raises(UserError, match=r"^(?!.*\n).*(check the path|reached: File name|zip)"):
            load(folder / name)


def test_a_pipe_in_place_of_a_file_is_let_go_of(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused, match="no ordinary file"):
        read_whole(tmp_path / "pipe")
    with pytest.raises(Refused, match="no ordinary file"):
        read_whole("/dev/zero")
    (tmp_path / "short").write_bytes(b"abc")
    with pytest.raises(OSError, match="changes while"):
        read_whole(tmp_path / "short", stamp=(4, 0))
    with pytest.raises(OSError, match=r"only 0|bytes came"):
        read_whole("/proc/self/status")  # of 0 bytes, of which many come


def test_a_folder_of_uploads_follows_no_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_DATA", str(tmp_path / "data"))
    secret = lay_out(tmp_path / "private", {"face.png": png(7)})
    upload = lay_out(tmp_path / "data/uploads" / ("0" * 32), {"a.png": png(0), "b.png": png(1)})
    (upload / "c.png").symlink_to(secret / "face.png")
    dataset = load(upload)
    assert count(dataset) == 2 and dataset.notes == ("1 of 3 files was skipped: c.png (a link).",)


# --- archives that ask for all memory --------------------------------------------------------


def grown_by(work) -> int:
    """Bytes by which the process grows at most while `work` runs."""
    process, peak, over = psutil.Process(), 0, threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.005):
            peak = max(peak, process.memory_info().rss - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        work()
    finally:
        over.set()
        thread.join()
    return peak


def test_a_sparse_archive_is_not_read_into_memory(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": png()})
    end = path.read_bytes()[-22:]
    size = 3 * 10**9
    with path.open("r+b") as file:  # its list of entries claims to be 3 GB of holes
        file.seek(size)
        file.write(end[:12] + size.to_bytes(4, "little") + bytes(4) + end[20:])

    def refused() -> None:
        with pytest.raises(UserError, match="asks for too much memory"):
            load(path)

    assert grown_by(refused) < 300e6


@pytest.mark.parametrize(
    ("method", "most"),
    [(zipfile.ZIP_BZIP2, 70e6), (zipfile.ZIP_LZMA, 30e6)],
)
def test_a_bomb_of_another_packer_gains_nothing(tmp_path: Path, method: int, most: float) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.png", bytes(100_000_000), method)
        archive.writestr("1.png", png(1))
        archive.writestr("2.png", png(2))
    lie = (1000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace((100_000_000).to_bytes(4, "little"), lie))

    def loaded() -> None:
        dataset = load(path, image_size=8)
        assert count(dataset) == 2 and "0.png (" in dataset.notes[0]

    assert grown_by(loaded) < most


def test_the_dictionary_of_lzma_is_no_longer_than_the_file(tmp_path: Path) -> None:
    """It asks for 1 GB, and had it; what is packed so is read as before."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(3):
            archive.writestr(f"{i}.png", png(i), zipfile.ZIP_LZMA)
    packed = path.read_bytes()
    assert packed.count((8 * 2**20).to_bytes(4, "little")) == 3  # what is usual
    path.write_bytes(packed.replace((8 * 2**20).to_bytes(4, "little"), bytes([0, 0, 0, 64])))

    def loaded() -> None:
        assert count(load(path, image_size=8)) == 3

    assert grown_by(loaded) < 30e6
    cut = packed.replace(png(1)[-4:], b"")
    assert cut == packed  # they are packed


# --- killed, stopped, two at once ------------------------------------------------------------

SLOW = """
import sys, time
from pathlib import Path
from vae_core.imaging.fit import Target
from vae_core.imaging.walk import list_folder
from vae_core.data.prepare import prepare_files
from dataclasses import replace
from vae_core.imaging import pool
pool.START_AFTER_S = 0
good, opened = list_folder(Path(sys.argv[1])), open(sys.argv[2], "a", buffering=1)
def read(index):
    opened.write(f"{index}\\n")
    time.sleep(float(sys.argv[3]))
    return good.read(index)
say = lambda message, share: print(message, flush=True)
prepared = prepare_files("folder", replace(good, read=read), Target(64, 64), say)
print(len(prepared.kept), "kept", flush=True)
"""


def preparing(folder: Path, opened: Path, file_s: float = 0.0) -> subprocess.Popen[str]:
    """A process that prepares, and takes `file_s` longer to read a file, as from a slow drive."""
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, str(folder), str(opened), str(file_s)],
        cwd=ROOT, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip


def test_whoever_is_killed_goes_on_where_it_stopped(
    photos: Path, tmp_path: Path, cache: Path
) -> None:
    opened = [tmp_path / f"opened-{i}" for i in range(2)]
    with preparing(photos, opened[0], 0.1) as first:
        (journal,) = wait_for(lambda: [p for p in cache.glob("*/journal.jsonl") if p.read_text()])
        first.kill()
    helpers = [p for p in psutil.process_iter(["cmdline"]) if is_decoder(p, first.pid)]
    kept = sum(b - a for a, b, _ in map(json.loads, journal.read_text().splitlines()))
    assert 0 < kept < COUNT
    with preparing(photos, opened[1]) as second:
        assert f"{COUNT} kept" in second.communicate(timeout=60)[0]
    again = opened[1].read_text().split()
    assert len(again) == COUNT - kept
    psutil.wait_procs(helpers, 5)
    assert not any(helper.is_running() for helper in helpers), "they end with who started them"


def test_two_processes_share_the_work(photos: Path, tmp_path: Path) -> None:
    opened = [tmp_path / f"opened-{i}" for i in range(2)]
    workers = [preparing(photos, each) for each in opened]
    answers = [worker.communicate(timeout=60)[0] for worker in workers]
    assert all(f"{COUNT} kept" in answer for answer in answers)
    assert sum(len(each.read_text().split()) for each in opened) == COUNT
    assert any("Another process is preparing these images" in answer for answer in answers)


class Stopped(Exception):
    pass


@with_processes
def test_what_progress_raises_ends_all_at_once(photos: Path, cache: Path) -> None:
    asked = 0.0

    def stop(message: str, share: float | None) -> None:
        nonlocal asked
        if share and children():
            asked = time.monotonic()
            raise Stopped

    with pytest.raises(Stopped):
        load(photos, stop)
    assert time.monotonic() - asked < 0.5
    wait_for(lambda: not children())
    assert count(load(photos)) == COUNT


def test_progress_is_called_while_a_drive_stands_still(tmp_path: Path) -> None:
    """And what it raises comes out at once, whatever the drive does."""
    lay_out(tmp_path / "x", {f"{i}.png": png(i) for i in range(9)})
    script = (
        "import sys, time, threading\n"
        "from vae_core.config import DataConfig\n"
        "from vae_core.data import load_dataset\n"
        "from vae_core.imaging import walk\n"
        "walk.read_whole = lambda *_, **__: threading.Event().wait()\n"
        "calls = []\n"
        "def progress(message, share):\n"
        "    calls.append(time.monotonic())\n"
        "    if len(calls) > 6: raise KeyboardInterrupt\n"
        "try: load_dataset(DataConfig(dataset='folder', data_dir=sys.argv[1]), progress)\n"
        "except KeyboardInterrupt: pass\n"
        "print(max(b - a for a, b in zip(calls, calls[1:])), time.monotonic() - calls[-1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "x")],
        cwd=ROOT, text=True, capture_output=True, timeout=30,
    )  # fmt: skip
    between, to_leave = map(float, done.stdout.split())
    assert between < 0.5 and to_leave < 0.5, done.stderr


@with_processes
def test_a_paused_training_prepares_nothing(photos: Path) -> None:
    paused_at: list[float] = []

    def pause(message: str, share: float | None) -> None:
        if children() and not paused_at:
            at_work = [psutil.Process(), *children()]
            time.sleep(1.5)  # what was under way is decoded
            before = sum(map(cpu, at_work))
            time.sleep(1)
            paused_at.append(sum(map(cpu, at_work)) - before)

    assert count(load(photos, pause)) == COUNT
    assert paused_at and paused_at[0] < 0.2


# --- decoders that die -----------------------------------------------------------------------


@with_processes
def test_a_file_that_breaks_the_decoder_is_skipped_and_one_that_is_killed_is_not(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Decoder.__call__
    sent: signal.Signals | None = None

    def dies(self: Decoder, pictures):
        if sent and any(picture.size == unlucky for picture in pictures):
            self._process.send_signal(sent)
            self._process.wait()
        return real(self, pictures)

    listing = list_folder(photos)
    sizes = listing.stamps[:, 0].tolist()
    unlucky = next(size for size in reversed(sizes) if sizes.count(size) == 1)
    monkeypatch.setattr(Decoder, "__call__", dies)
    sent = signal.SIGKILL  # as the system does where memory is short
    with pytest.raises(UserError, match=r"ended from outside at \d+\.png, most likely because mem"):
        load(photos)
    sent = signal.SIGSEGV
    dataset = load(photos)
    assert count(dataset) == COUNT - 1
    assert "(damaged: the decoder breaks on it)" in dataset.notes[0]


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if is_decoder(p)]


def is_decoder(process: psutil.Process, parent: int | None = None) -> bool:
    with contextlib.suppress(psutil.Error):
        return "vae_core.imaging.decoder" in process.cmdline() and (
            parent is None or process.ppid() in (parent, 1)
        )
    return False


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def wait_for(condition, seconds: float = 30.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found
