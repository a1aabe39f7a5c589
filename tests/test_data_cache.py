"""What is kept on the disk: bounded, the least recently used first, and nothing that is in use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.engine import tiny
from tests.folders import digit_files, on_folder
from tests.pictures import encoded, lay_out, picture, png
from vae_core.config import DataConfig
from vae_core.data import Dataset, load_dataset
from vae_core.data.cache import LIMIT_VARIABLE, entries, free_space, lock_upload, prune, size_limit
from vae_core.errors import UserError
from vae_core.families import complete
from vae_core.locations import cache_folder, uploads_folder
from vae_core.runs import Status, Store
from vae_core.training.events import Stepped
from vae_core.training.worker import work
from vae_core.units import gigabytes
from vae_core.upkeep import clear_disk, tidy

ROOT = Path(__file__).resolve().parent.parent
UPLOADS = ("0" * 32, "1" * 32, "pictures-0123456789ab.zip")


@pytest.fixture(autouse=True)
def _own_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VAE_DATA", str(tmp_path / "data"))


def load(path: Path, **wishes) -> Dataset:
    return load_dataset(DataConfig(dataset="folder", data_dir=str(path), **wishes))


def kept(tmp_path: Path) -> list[Path]:
    """Three prepared sets of about 1 MB, the first one made used longest ago."""
    lay_out(tmp_path / "x", {f"{i}.png": encoded(picture(i)) for i in range(20)})
    for age, size in ((300, 128), (200, 129), (100, 130)):
        load(tmp_path / "x", image_size=size)
        (new,) = (entry.path for entry in entries() if not (entry.path / "aged").exists())
        (new / "aged").write_text("")
        used_before(new, age)
    return [entry.path for entry in entries()]


def used_before(entry: Path, seconds: int) -> None:
    place = entry if entry.is_file() else entry / ".lock"
    place.touch()
    then = place.stat().st_mtime - seconds
    os.utime(place, (then, then))


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    first, second, third = kept(tmp_path)
    sizes = [entry.size for entry in entries()]
    assert prune(sum(sizes)) == []
    load(tmp_path / "x", image_size=128)  # the first is the latest now
    assert [entry.path for entry in entries()] == [second, third, first]
    assert [entry.path for entry in prune(sizes[0] + sizes[2])] == [second]
    assert [entry.path for entry in prune(0)] == [third, first] and entries() == []


def test_making_something_new_prunes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = kept(tmp_path)
    total = sum(entry.size for entry in entries())
    monkeypatch.setenv(LIMIT_VARIABLE, str(total / 1e9))
    dataset = load(tmp_path / "x", image_size=127)
    assert not first.exists() and second.exists() and third.exists()
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    other = load(tmp_path / "x", image_size=126)
    assert [entry.in_use for entry in entries()] == [True, True], "open, so kept beyond any bound"
    pixels = dataset.train.images.gather(np.arange(3))
    del dataset, other
    assert len(prune()) == 2 and pixels.shape == (3, 3, 127, 127)


def test_what_another_process_has_open_stays_until_it_is_killed(tmp_path: Path) -> None:
    kept(tmp_path)
    code = (
        "import sys; from vae_core.config import DataConfig\n"
        "from vae_core.data import load_dataset\n"
        "d = load_dataset(DataConfig(dataset='folder', data_dir=sys.argv[1], image_size=129))\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "x")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "open\n"
        assert len(prune(0)) == 2
        (left,) = entries()
        assert left.in_use and (left.path / "images.npy").exists()
        process.kill()
    assert not left.in_use and len(prune(0)) == 1


def test_only_what_we_made_is_removed(tmp_path: Path) -> None:
    kept(tmp_path)
    mine = ("cache/notes.txt", "cache/photos/a.png", "data/uploads/thesis/b.png")
    lay_out(tmp_path, dict.fromkeys(mine, png()))
    (cache_folder() / ("folder-" + "0" * 20)).symlink_to(tmp_path / "x")
    prune(0)
    free_space(10**18, tmp_path)
    assert all((tmp_path / name).exists() for name in mine)
    assert len(list((tmp_path / "x").iterdir())) == 20


def uploaded() -> list[Path]:
    names = [f"{name}/{i}.png" if ".zip" not in name else name for name in UPLOADS for i in (0, 1)]
    lay_out(uploads_folder(), {name: png(len(name) + i) for i, name in enumerate(names)})
    for age, name in zip((30, 20, 10), UPLOADS, strict=True):
        used_before(uploads_folder() / name, age)
    return [uploads_folder() / name for name in UPLOADS]


def test_uploads_go_too_but_for_those_that_are_still_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = uploaded()
    assert prune(0) == [], "by itself only what can be made again goes"
    store = Store()
    run = store.create("unfinished", complete(tiny(data={"data_dir": str(first)})))
    run.set_status(Status(state="stopped"))
    lease = lock_upload(second / "0.png")
    assert lease is not None and lock_upload(tmp_path) is None
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    assert [entry.path for entry in tidy(store)] == [third]
    lease.release()
    run.set_status(Status(state="finished"))
    assert {entry.path for entry in clear_disk(store)} == {first, second}


def test_room_is_asked_for_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small disk; where no disk can be made, the system's word for one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    monkeypatch.setenv("VAE_CACHE", str(disk))
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk])
    try:
        if made.returncode:
            left = shutil._ntuple_diskusage(4 << 20, 4 << 20, 4 << 20)
            monkeypatch.setattr(shutil, "disk_usage", lambda path: left)
        lay_out(tmp_path / "x", {f"{i}.png": encoded(picture(i)) for i in range(20)})
        load(tmp_path / "x", image_size=128)
        with pytest.raises(UserError, match=r"take 5\.2\d MB, and 4\.\d+ MB are free in"):
            load(tmp_path / "x", image_size=512)
        assert made.returncode or entries() == [], "what could be made again has made room"
        assert len(load(tmp_path / "x", image_size=128).train) > 0
    finally:
        subprocess.run(["umount", "-l", disk], capture_output=True)


def test_a_damaged_set_is_made_anew_beside_those_who_have_it_open(tmp_path: Path) -> None:
    lay_out(tmp_path / "x", {f"{i}.png": png(i) for i in range(20)})
    before = load(tmp_path / "x")
    (images,) = cache_folder().glob("*/images.npy")
    os.truncate(images, 500)
    after = load(tmp_path / "x")
    assert after.train.images.gather(np.arange(3)).shape[0] == 3
    with pytest.raises(UserError, match="cannot be read any more"):
        before.train.images.gather(np.arange(3))


def test_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LIMIT_VARIABLE, raising=False)
    assert 0 < size_limit() <= 20e9
    monkeypatch.setenv(LIMIT_VARIABLE, "1.5")
    assert size_limit() == 1_500_000_000
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv(LIMIT_VARIABLE, wrong)
        with pytest.raises(UserError, match="let it be a number of GB"):
            size_limit()
    assert [gigabytes(size) for size in (0, 2_340_000, 12_345_678_901)] == [
        "0 MB", "2.34 MB", "12.3 GB",
    ]  # fmt: skip


def test_the_command_lists_and_clears(tmp_path: Path) -> None:
    kept(tmp_path)

    def vae(*options: str) -> str:
        command = [sys.executable, "-m", "vae_core", "cache", *options]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    told = json.loads(vae("--json"))
    assert [row["kind"] for row in told["entries"]] == ["prepared"] * 3
    assert told["bytes"] == sum(row["bytes"] for row in told["entries"]) > 2e6
    assert told["bound_bytes"] == size_limit()
    said = vae("--clear")
    assert said.startswith("Removed 3, ") and entries() == []
    assert f"0 MB of at most {gigabytes(size_limit())}" in said


def test_the_page_shows_and_clears(tmp_path: Path) -> None:
    kept(tmp_path)
    total = gigabytes(sum(entry.size for entry in entries()))
    in_use = load(tmp_path / "x", image_size=130)
    page = AppTest.from_string(
        "from latent_workbench.train.disk import kept_on_disk; kept_on_disk()"
    ).run()
    said = " ".join(caption.value for caption in page.caption)
    assert f"Prepared images: 3 sets, {total}, of which " in said and "Uploads: none" in said
    page.button(key="clear-disk").click().run()
    assert not page.exception and "were cleared" in " ".join(c.value for c in page.caption)
    (left,) = entries()
    assert left.in_use and len(in_use.train)


# --- under a training ------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["the images vanish", "the cache is removed", "it is cut short"])
def test_a_training_whose_images_go_ends_well_or_with_a_sentence(tmp_path: Path, what: str) -> None:
    digit_files(tmp_path / "x", (0, 1, 7), 20)
    run = Store().create("run", on_folder(tmp_path / "x"))

    def happens(event: object) -> None:
        if isinstance(event, Stepped) and event.step == 2:
            if what == "the images vanish":
                (tmp_path / "x").rename(tmp_path / "away")
            elif what == "the cache is removed":
                subprocess.run(["rm", "-r", str(cache_folder())], check=True)
            else:
                (images,) = cache_folder().glob("*/images.npy")
                os.truncate(images, 500)  # of a file that is mapped, this ends a process by SIGBUS

    if what == "it is cut short":
        with pytest.raises(UserError, match=r"cannot be read any more: it was cut short\. Remove"):
            work(run, lambda total, first: [happens])
        assert run.status().state == "failed" and "cut short" in run.status().message
    else:
        work(run, lambda total, first: [happens])
        assert run.status().state == "finished"
        if what == "the images vanish":
            with pytest.raises(UserError, match="There is no folder"):
                load(tmp_path / "x")
            (tmp_path / "away").rename(tmp_path / "x")
    again = Store().create("again", on_folder(tmp_path / "x"))
    work(again)
    assert again.data_card().digest == run.data_card().digest
