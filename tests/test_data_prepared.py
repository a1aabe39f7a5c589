"""The cache of prepared images: all or nothing, small in memory, safe with several at work."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pictures import encoded, lay_out, picture, png
from vae_core.config import DataConfig
from vae_core.data import ArrayImages, StoredImages, load_dataset, npy
from vae_core.data import prepare as module
from vae_core.data.hashes import hash_rows
from vae_core.data.npy import NpyWriter, read_summary, shards_of
from vae_core.errors import UserError
from vae_core.imaging import pool
from vae_core.imaging.resize import resize, with_channels
from vae_core.progress import no_progress


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(path: Path, progress=no_progress, **wishes):
    return load_dataset(DataConfig(dataset="folder", data_dir=str(path), **wishes), progress)


def photos(root: Path, count: int) -> Path:
    return lay_out(root, {f"{i}.png": encoded(picture(i, size=(64, 64))) for i in range(count)})


def test_the_second_time_nothing_is_decoded(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, float | None]] = []
    first = load(photos(tmp_path / "x", 70), lambda *message: said.append(message))
    shares = [share for text, share in said if text.startswith("Preparing the images: ")]
    assert shares and shares == sorted(shares) and shares[-1] <= 1

    def never(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(pool, "fitted", never)
    second = load(tmp_path / "x")
    indices = np.arange(len(first.train))
    assert (first.train.images.gather(indices) == second.train.images.gather(indices)).all()
    assert second.train.files == first.train.files
    (entry,) = cache.iterdir()
    stored = np.load(entry / "images.npy", mmap_mode="r")  # an ordinary file for anyone
    assert stored.shape == (70, 3, 64, 64) and stored.dtype == np.uint8


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    photos(tmp_path / "x", 60)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # files end here, as on a full disk
    try:
        with pytest.raises(UserError, match=r"could not be written to .*cache: .*VAE_CACHE"):
            load(tmp_path / "x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(cache.iterdir()) == []
    dataset = load(tmp_path / "x")
    assert len(dataset.train) + len(dataset.validation) == 60


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VAE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="could not be written to"):
        load(photos(tmp_path / "x", 2))


def test_what_was_left_open_is_not_prepared_again_once_it_is_decided(
    tmp_path: Path, cache: Path
) -> None:
    """A run keeps the configuration that was decided, and is encoded and scored by that."""
    found = load(photos(tmp_path / "x", 40))
    assert found.resolved is not None and found.resolved.channels == 3
    again = load_dataset(found.resolved)
    assert len(list(cache.glob("folder-*"))) == 1
    for part, same in ((found.train, again.train), (found.validation, again.validation)):
        every = np.arange(len(part))
        np.testing.assert_array_equal(part.images.gather(every), same.images.gather(every))
    assert load(tmp_path / "x", channels=1).image_shape[0] == 1
    assert len(list(cache.glob("folder-*"))) == 2


@pytest.mark.parametrize("damage", ["cut", "no images", "no about", "not json", "not npy"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, cache: Path, damage: str) -> None:
    load(photos(tmp_path / "x", 5))
    (entry,) = cache.iterdir()
    images, about = entry / "images.npy", entry / "about.json"
    if damage == "cut":
        os.truncate(images, images.stat().st_size - 1)
    elif damage == "no images":
        images.unlink()
    elif damage == "no about":
        about.unlink()
    elif damage == "not json":
        about.write_text("{")
    else:
        images.write_bytes(b"x" * 1000)
    dataset = load(tmp_path / "x")
    assert dataset.train.images.gather(np.arange(4)).shape == (4, 3, 64, 64)
    assert [path.name for path in cache.iterdir()] == [entry.name]


def test_two_processes_prepare_the_same_at_once(tmp_path: Path, cache: Path) -> None:
    photos(tmp_path / "x", 150)
    script = (
        "import sys, hashlib, numpy as np\n"
        "from vae_core.config import DataConfig\n"
        "from vae_core.data import load_dataset\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "d = load_dataset(DataConfig(dataset='folder', data_dir=sys.argv[1]))\n"
        "images = d.train.images.gather(np.arange(len(d.train)))\n"
        "print(hashlib.sha256(images.tobytes()).hexdigest())\n"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "x")], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent,
        )
        for _ in range(3)
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    answers = {worker.communicate("go\n", timeout=60)[0] for worker in workers}
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len(answers) == 1 and len(answers.pop()) == 65
    assert len(list(cache.iterdir())) == 1


# --- files of images -------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from([1, 3, None]), min_size=1, max_size=12),
    st.integers(1, 9),
    st.integers(0, 12),
    st.integers(0, 12),
    st.booleans(),
)
def test_rows_hold_what_was_written_in_any_order_and_after_a_kill(
    channels: list[int | None], side: int, killed_after: int, seed: int, sharded: bool
) -> None:
    """None stands for a file that is no image; three grey images or one in colour are a shard."""
    with pytest.MonkeyPatch.context() as patch:
        if sharded:
            patch.setattr(npy, "SHARD", 3 * side * (side + 1))
        _write_and_read(channels, side, killed_after, seed)


def _write_and_read(channels: list[int | None], side: int, killed_after: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = [c and (c, side, side + 1) for c in channels]
    images = [s and rng.integers(0, 256, s, dtype=np.uint8) for s in shapes]
    order = rng.permutation(len(images)).tolist()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = NpyWriter(folder, len(images))
        for i in order[:killed_after]:
            rows.write(i, "no image" if images[i] is None else images[i])
            if rng.random() < 0.5:
                rows.sync()  # what came after the last one is lost
        rows = NpyWriter(folder, len(images))
        assert set(np.flatnonzero(rows.done)) <= set(order[:killed_after])
        for i in order:
            if not rows.done[i]:
                rows.write(i, "no image" if images[i] is None else images[i])
        rows.finish()
        kept = [i for i, c in enumerate(channels) if c]
        assert read_summary(folder) == (
            len(images), {i: "no image" for i in range(len(images)) if i not in kept},
        )  # fmt: skip
        found = {path.name for path in folder.iterdir()}
        if not kept:
            assert found == {"about.json"}
        if kept:
            shards = {path.name for path in shards_of(folder / "images.npy")}
            hashes = {"images.hashes.npy"} if len(shards) > 1 else set()
            assert found == {"about.json"} | shards | hashes
            wide = max(channels[i] for i in kept)
            expected = np.stack([np.repeat(images[i], wide // channels[i], axis=0) for i in kept])
            stored = StoredImages(folder / "images.npy")
            assert stored.shape == (len(images), wide, side, side + 1)
            mixed = rng.permutation(len(kept))
            assert (stored.gather(np.array(kept)[mixed]) == expected[mixed]).all()
            assert (stored.gather(np.array(kept)) == expected).all()
            assert (stored.hashes()[kept] == hash_rows(expected)).all()


def test_shards_that_do_not_belong_together_are_no_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npy, "SHARD", 3 * 64)
    writer = NpyWriter(tmp_path, 7)
    for i in range(7):
        writer.write(i, np.full((1, 8, 8), i, np.uint8))
    writer.finish()
    shards = [tmp_path / f"images-0000{i}-of-00003.npy" for i in range(3)]
    assert StoredImages(tmp_path / "images.npy").gather(np.arange(7))[:, 0, 0, 0].tolist() == [
        *range(7)
    ]
    middle = shards[1].read_bytes()
    shards[1].unlink()
    with pytest.raises(ValueError, match=r"some of the images in .* are missing"):
        StoredImages(tmp_path / "images.npy")
    np.save(shards[1], np.zeros((2, 1, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="holds other images"):
        StoredImages(tmp_path / "images.npy")
    shards[1].write_bytes(middle[:-1])
    with pytest.raises(ValueError, match="cut short"):
        StoredImages(tmp_path / "images.npy")


def test_images_strewn_over_a_large_file_are_asked_for_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of 100 requests takes 20 ms, as on a disk that has to seek."""
    array = np.random.default_rng(0).integers(0, 256, (5000, 1, 16, 16), dtype=np.uint8)
    np.save(tmp_path / "a.npy", array)
    monkeypatch.setattr(npy, "IN_MEMORY", 1000)
    images = StoredImages(tmp_path / "a.npy")
    waits, at_once, most = threading.Lock(), 0, 0
    read = npy._Shard._read_at

    def slow(shard: object, pieces: list[memoryview], place: int) -> int:
        nonlocal at_once, most
        with waits:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with waits:
            at_once -= 1
        return read(shard, pieces, place)  # type: ignore[arg-type]

    monkeypatch.setattr(npy._Shard, "_read_at", slow)
    places = np.random.default_rng(1).permutation(5000)[:100]
    assert (images.gather(places) == array[places]).all()
    assert most == npy.SEEKERS


def test_reading_a_large_file_stays_small_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    one = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    np.save(path, np.broadcast_to(one, (25_000, 3, 64, 64)))  # 307 MB
    images = StoredImages(path)
    process = psutil.Process()
    assert (images.gather(np.arange(125))[-1] == one).all()
    before, peak = process.memory_info().rss, 0
    order = np.random.default_rng(1).permutation(25_000)
    for start in range(0, 25_000, 125):
        assert (images.gather(order[start : start + 125])[-1] == one).all()
        peak = max(peak, process.memory_info().rss - before)
    path.unlink()
    assert peak < 20e6


def test_images_are_gathered_as_an_array_is_indexed(tmp_path: Path) -> None:
    array = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)
    np.save(tmp_path / "a.npy", array)
    images = StoredImages(tmp_path / "a.npy")
    for places in (range(99, -1, -1), range(100), [3, 3, 4, 5, 0, -1, -100], []):
        indices = np.array(places, np.int64)
        assert (images.gather(indices) == array[indices]).all()
    for place in (100, -101):
        with pytest.raises(IndexError):
            images.gather(np.array([place]))


@pytest.mark.parametrize("kind", [np.zeros((2, 3, 4), np.uint8), np.zeros((2, 1, 4, 4), np.int64)])
def test_other_arrays_are_no_images(tmp_path: Path, kind: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", kind)
    with pytest.raises(ValueError, match="holds no images"):
        StoredImages(tmp_path / "a.npy")
    with pytest.raises(ValueError, match="images are uint8"):
        ArrayImages(kind)


def test_large_arrays_are_resized_into_the_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.random.default_rng(0).integers(0, 256, (1100, 1, 8, 8), dtype=np.uint8)
    small = module.prepare_array("x", array, (3, 16, 16), no_progress)
    assert isinstance(small, ArrayImages) and not cache.exists()
    monkeypatch.setattr(module, "LARGE", 1000)
    large = module.prepare_array("x", array, (3, 16, 16), no_progress)
    assert isinstance(large, StoredImages)
    indices = np.array([0, 1099, 1000, 3])
    assert (large.gather(indices) == small.gather(indices)).all()
    expected = np.repeat(resize(array[3], (16, 16)), 3, axis=0)
    assert (small.gather(np.array([3]))[0] == expected).all()
    own = module.prepare_array("x", array, (1, 8, 8), no_progress)
    assert isinstance(own, ArrayImages) and own.array is array


def test_channels_of_arrays() -> None:
    colour = np.array([[[255]], [[0]], [[0]]], np.uint8)
    assert with_channels(colour, 1).tolist() == [[[76]]]  # ITU-R 601: 0.299 of red
    assert with_channels(colour, None) is colour
    assert (
        with_channels(np.full((2, 3, 4, 4), 200, np.uint8), 1).tolist()
        == np.full((2, 1, 4, 4), 200).tolist()
    )


def test_the_key_is_made_of_names_sizes_times_and_wishes(tmp_path: Path, cache: Path) -> None:
    lay_out(tmp_path / "x", {"a.png": png(0), "b.png": png(1)})
    for wishes in ({}, {}, {"image_size": 8}, {"channels": 1}, {"resize": "fit"}):
        load(tmp_path / "x", **wishes)
    assert len(list(cache.iterdir())) == 4
    (tmp_path / "x").rename(tmp_path / "moved")  # a moved folder keeps its prepared images
    load(tmp_path / "moved")
    assert len(list(cache.iterdir())) == 4
    said = json.loads(next(cache.iterdir()).joinpath("about.json").read_text())
    assert said == {"count": 2, "skipped": []}


def test_the_benchmark_measures_the_three_ways(tmp_path: Path) -> None:
    from benchmarks.preparing import WAYS, drawings, measured

    found = measured(tmp_path, drawings(tmp_path, 30), rounds=1)
    assert set(found) == set(WAYS) and found["one_thread"]["to_one_thread"] == 1
    assert all(each["images_per_s"][0] > 0 for each in found.values())
