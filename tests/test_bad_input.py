"""What people bring by mistake: one sentence each; it costs nothing else and is cached as it is."""

from __future__ import annotations

import io
import resource
import struct
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.commands import vae_core
from tests.folders import on_folder
from tests.pictures import encoded, lay_out, pack, picture, png
from vae_core.config import DataConfig, Window
from vae_core.data import Dataset, load_dataset
from vae_core.data.new_images import load_new_images
from vae_core.data.uploads import Announced, begin_upload
from vae_core.errors import UserError
from vae_core.imaging import kinds
from vae_core.imaging.decode import decode
from vae_core.imaging.fit import Target
from vae_core.loading import load_part
from vae_core.runs import Run, Store
from vae_core.training.worker import work

Files = dict[str, bytes]

SIDE = 16
TOO_FEW = "at least 2 are needed, one to learn from and one to measure on"


def good(count: int = 6, folder: str = "") -> Files:
    """Different pictures, g0.png and so on."""
    return {f"{folder}g{i}.png": png(i) for i in range(count)}


def load(path: Path, **wishes: Any) -> Dataset:
    config = DataConfig(dataset="folder", data_dir=str(path), image_size=SIDE, resize="stretch")
    return load_dataset(config.model_copy(update=wishes))


def images_of(dataset: Dataset) -> dict[str, bytes]:
    """The pixels of every image by its name."""
    found = {}
    for part in (dataset.train, dataset.validation):
        pixels = part.images.gather(np.arange(len(part)))
        found |= dict(zip(part.files, (each.tobytes() for each in pixels), strict=True))
    return found


def zipped(files: Files) -> bytes:
    """The bytes of a .zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def locked(files: Files) -> bytes:
    """A .zip whose files are encrypted, as its heads say."""
    data = bytearray(zipped(files))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(signature)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(signature, place + 4)
    return bytes(data)


def vast_png(side: int = 30_000) -> bytes:
    """A black PNG of side × side pixels: 900 million of them pack into 4 MB."""

    packer = zlib.compressobj(1)
    megabyte, left, packed = bytes(2**20), side * (side + 1), []
    while left > 0:
        packed.append(packer.compress(megabyte[:left]))
        left -= len(megabyte)
    return png_of(side, b"".join(packed) + packer.flush())


def png_of(side: int, body: bytes) -> bytes:
    """A grey PNG of side × side pixels around what is packed in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", body), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture(scope="session")
def vast() -> bytes:
    """An image of 30 000 × 30 000 pixels."""
    return vast_png()


# --- nothing, or too little ----------------------------------------------------------------------

REFUSED: list[tuple[str, Callable[[], bytes], str]] = [
    ("empty", lambda: zipped({}), rf"There (are no images|is no image) in .*empty\.zip.*{TOO_FEW}"),
    ("rubbish", lambda: b"PK\x03\x04" + b"\xa7" * 500, r"rubbish\.zip is no zip file that can be"),
    ("one", lambda: zipped(good(1)), rf"There is only one image in .*one\.zip.*{TOO_FEW}"),
    (
        "secret",
        lambda: locked(good()),
        r"secret\.zip was refused: it is protected by a password, as 'g0\.png' is encrypted\. "
        r"Pack your images again without a password\.",
    ),
    (
        "leads-out",
        lambda: zipped({**good(), "../../evil.png": png()}),
        r"leads-out\.zip was refused: the name '\.\./\.\./evil\.png' leads out of the folder\. "
        r"Pack only your images and try again\.",
    ),
    (
        "films",
        lambda: zipped({"a.mov": b"film", "Thumbs.db": b"x", ".DS_Store": b"x"}),
        r"films\.zip.*1 of 1 file was skipped: a\.mov \(no image\)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "said"), REFUSED, ids=[each[0] for each in REFUSED])
def test_what_cannot_be_learned_from_is_refused_in_one_sentence(
    tmp_path: Path, name: str, make: Callable[[], bytes], said: str
) -> None:
    path = lay_out(tmp_path, {f"{name}.zip": make()}) / f"{name}.zip"
    with pytest.raises(UserError, match=said):
        load(path)

    done = vae_core("train", "--dataset", "folder", "--data-dir", str(path))
    *_, last = done.stderr.strip().splitlines()
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert last.startswith("error: ") and path.name in last

    upload = begin_upload([Announced(path.name, path.stat().st_size)], root=tmp_path / "data")
    with upload.receiving(0) as out:
        out.write(path.read_bytes())
    with pytest.raises(UserError, match=said) as told:
        upload.finish()
    assert str(tmp_path) not in str(told.value)  # where it lies is nobody's business
    assert list((tmp_path / "data/uploads").iterdir()) == []


@pytest.mark.parametrize("there", ["nowhere", "empty", "texts", "one.png"])
def test_a_training_that_finds_no_images_leaves_no_run(tmp_path: Path, there: str) -> None:
    """There was a failed one with nothing in it."""
    (tmp_path / "empty").mkdir()
    lay_out(tmp_path, {"texts/a.txt": b"a", "one.png": png(1)})
    store = tmp_path / "runs"
    words = ("--dataset", "folder", "--data-dir", str(tmp_path / there), "--store", str(store))
    for name in ((), ("--run", "mine")):
        done = vae_core("train", *words, *name)
        *_, last = done.stderr.strip().splitlines()
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert last.startswith("error: ") and str(tmp_path / there) in last
        assert list(store.iterdir()) == []


def test_two_images_are_enough_to_train_and_to_measure(tmp_path: Path) -> None:
    path = lay_out(tmp_path / "two", good(2))
    dataset = load(path)
    assert (len(dataset.train), len(dataset.validation)) == (1, 1) and dataset.notes == ()
    run = Store(tmp_path / "runs").create("two", on_folder(path, train={"batch_size": 1}))
    assert work(run).finished and run.status().state == "finished"


@pytest.mark.parametrize("level", [1, 9])
def test_images_that_are_all_the_same_are_refused(tmp_path: Path, level: int) -> None:
    files = {f"{i}.png": encoded(picture(1), compress_level=level) + bytes(i) for i in range(20)}
    with pytest.raises(UserError, match=r"All 20 images are copies of one; .*Add images\."):
        load(lay_out(tmp_path / "same", files))


# --- good ones among others ----------------------------------------------------------------------


def test_150_labels_keep_their_images(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    files: Files = {}
    for label in range(150):
        for i in range(3):
            pixels = random.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
            files[f"class {label:03d}/{i}.png"] = encoded(Image.fromarray(pixels))
    dataset = load(pack(tmp_path / "many.zip", files))
    assert dataset.label_names == tuple(f"class {label:03d}" for label in range(150))
    for part in (dataset.train, dataset.validation):
        named = [dataset.label_names[label] for label in part.labels]
        assert named == [file.split("/")[0] for file in part.files]


@pytest.mark.parametrize("packed", [False, True])
def test_names_in_any_script_come_through_whole(tmp_path: Path, packed: bool) -> None:
    files = {f"🦊 Füchse/фото {i} 😀.png": png(i) for i in range(4)}
    files |= {f"🐱/猫{i}‍👩‍👧.png": png(i + 9) for i in range(4)}
    path = pack(tmp_path / "x.zip", files) if packed else lay_out(tmp_path / "x", files)
    dataset = load(path)
    assert set(images_of(dataset)) == set(files)
    assert set(dataset.label_names) == {"🦊 Füchse", "🐱"} and dataset.notes == ()


def test_what_is_broken_among_good_ones_is_named_and_costs_nothing_else(tmp_path: Path) -> None:
    broken = {
        "cut.png": png(50)[:60],
        "nothing.png": b"",
        "noise.jpg": np.random.default_rng(0).bytes(500),
        "secret.zip": locked({"x.png": png(60)}),
        "torn.zip": zipped(good())[:300],
    }
    dataset = load(lay_out(tmp_path / "x", {**good(), **broken}))
    assert set(images_of(dataset)) == set(good())
    (note,) = dataset.notes
    assert note.startswith("5 of 11 files were skipped: ") and note.count(".png (") == 2
    for name in broken:
        assert name in note
    assert "torn.zip (no zip file that can be read" in note
    assert "secret.zip (refused: it is protected by a password" in note


def test_a_file_that_is_damaged_inside_its_zip_is_named(tmp_path: Path) -> None:
    data = bytearray(zipped(good()))  # stored: the bytes of g3.png lie there as they are
    place = data.index(good()["g3.png"])
    data[place + 40] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(data)
    dataset = load(tmp_path / "x.zip")
    assert set(images_of(dataset)) == set(good()) - {"g3.png"}
    (note,) = dataset.notes
    assert note.startswith("1 of 6 files was skipped: g3.png (damaged in the archive: Bad CRC-32")


def test_zips_in_a_zip_are_opened_and_deeper_ones_are_named(tmp_path: Path) -> None:
    inner = {f"n{i}.png": png(i + 20) for i in range(3)}
    deep = zipped({"deeper.zip": zipped({"deepest.zip": zipped(good())})})
    files = {**good(), "more.zip": zipped(inner), "deep.zip": deep}
    dataset = load(pack(tmp_path / "x.zip", files))
    assert set(images_of(dataset)) == {*good(), *(f"more.zip/{name}" for name in inner)}
    assert any(
        "deep.zip/deeper.zip (an archive in an archive in an archive; unpack the outermost)" in note
        for note in dataset.notes
    )


def test_a_zip_is_a_folder_of_its_name_and_a_shard_is_none(tmp_path: Path) -> None:
    zips = {
        "cats.zip": zipped(good(3)),
        "dogs.ZIP": zipped({f"d{i}.png": png(i + 9) for i in (0, 1)}),
    }
    dataset = load(lay_out(tmp_path / "zips", zips))
    assert dataset.label_names == ("cats", "dogs")
    shards = {f"shard-{i:03}.tar": tarred({f"{i}{k}.png": png(3 * i + k) for k in range(3)})
              for i in range(3)}  # fmt: skip
    dataset = load(lay_out(tmp_path / "shards", shards))
    assert len(images_of(dataset)) == 9 and dataset.label_names == ()


def tarred(files: Files) -> bytes:
    """The bytes of a .tar."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


@pytest.mark.parametrize("packed", [False, True])
def test_an_image_of_30_000_by_30_000_takes_neither_memory_nor_time(
    tmp_path: Path, vast: bytes, packed: bool
) -> None:
    files = {**good(), "vast.png": vast}
    path = pack(tmp_path / "x.zip", files) if packed else lay_out(tmp_path / "x", files)
    began = time.process_time()
    dataset = load(path)
    assert time.process_time() - began < 5  # to decode its 900 million pixels takes longer
    assert set(images_of(dataset)) == set(good())
    (note,) = dataset.notes
    assert note.startswith("1 of 7 files was skipped: vast.png (too many pixels, and at most 89")


def test_grey_colour_and_transparent_images_go_together(tmp_path: Path) -> None:
    files = {
        f"{mode}{i}.png": png(i, mode) for i, mode in enumerate(("RGB", "L", "RGBA", "LA", "P"))
    }
    dataset = load(lay_out(tmp_path / "x", files))
    assert dataset.image_shape == (3, SIDE, SIDE)
    assert set(images_of(dataset)) == set(files)


def test_images_of_other_channels_are_counted_and_told_apart(tmp_path: Path) -> None:
    bands = io.BytesIO()
    np.save(bands, np.random.default_rng(0).integers(0, 256, (3, 20, 20, 5)).astype(np.uint8))
    path = lay_out(tmp_path / "x", {**good(), "bands.npy": bands.getvalue()})
    said = r"x differ in their channels \(6 with 3, 3 with 5\).* Put each kind into a folder of its"
    with pytest.raises(UserError, match=said):
        load(path)
    done = vae_core("train", "--dataset", "folder", "--data-dir", str(path))
    assert done.returncode == 2 and "differ in their channels" in done.stderr


def test_a_table_that_names_images_which_are_not_there(tmp_path: Path) -> None:
    rows = [f"g{i}.png,{'cat' if i % 2 else 'dog 🐕'}" for i in range(6)]
    rows += ["lost.png,cat", "gone.png,dog 🐕", "never.png,unicorn"]
    table = "\n".join(["file,label", *rows]).encode()
    dataset = load(lay_out(tmp_path / "x", {**good(), "labels.csv": table}))
    assert set(images_of(dataset)) == set(good())
    assert set(dataset.label_names) == {"cat", "dog 🐕"}  # nobody shows a unicorn
    for part in (dataset.train, dataset.validation):
        for file, label in zip(part.files, part.labels, strict=True):
            assert dataset.label_names[label] == ("cat" if int(file[1]) % 2 else "dog 🐕")
    assert any("3 rows name no image here (lost.png, gone.png, never.png)" in each
               for each in dataset.notes)  # fmt: skip


def test_a_zip_of_holiday_pictures(tmp_path: Path) -> None:
    import pillow_heif

    heic = io.BytesIO()
    pillow_heif.from_pillow(picture(90, size=(64, 48))).save(heic)
    photographs = {
        f"Urlaub 2026/IMG_{i:04}.JPG": encoded(picture(i, size=(80, 60)), "JPEG") for i in range(8)
    }
    beside = {
        "Urlaub 2026/Thumbs.db": b"x",
        "Urlaub 2026/.DS_Store": b"x",
        "Urlaub 2026/desktop.ini": b"x",
        "__MACOSX/Urlaub 2026/._IMG_0001.JPG": b"x",
        "Urlaub 2026/IMG_0009.MOV": b"film",
    }
    photographs["Urlaub 2026/IMG_0010.HEIC"] = heic.getvalue()
    dataset = load(pack(tmp_path / "Urlaub.zip", {**photographs, **beside}))
    assert set(images_of(dataset)) == set(photographs) and dataset.label_names == ()
    (note,) = dataset.notes  # what systems leave behind is not mentioned
    assert note == "1 of 10 files was skipped: Urlaub 2026/IMG_0009.MOV (no image)."


def test_who_has_no_reader_for_heic_reads_which_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = kinds.is_installed
    monkeypatch.setattr(
        kinds, "is_installed", lambda name: name != "pillow_heif" and installed(name)
    )
    dataset = load(lay_out(tmp_path / "x", {**good(), "IMG_1.HEIC": b"x"}))
    (note,) = dataset.notes
    assert "IMG_1.HEIC" in note and 'pip install "latent-workbench[heic]"' in note


# --- a folder that is being written to -----------------------------------------------------------


@contextmanager
def written_to(folder: Path, anew: bool = True, pause: float = 0.01) -> Iterator[list[str]]:
    """A thread that adds images to a folder and, where `anew`, writes others with other content;
    gives the names of what it has added."""
    added: list[str] = []
    ended = threading.Event()

    def write() -> None:
        for i in count():
            if ended.wait(pause):
                return
            name = f"new{i:05}.png"
            (folder / name).write_bytes(png(i + 300))
            added.append(name)
            if anew:
                old = folder / f"g{i % 40}.png"
                old.write_bytes(encoded(picture(i, size=(20 + i % 3, 16))))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield added
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("anew", [False, True])
def test_a_folder_that_is_written_to_while_it_is_prepared(tmp_path: Path, anew: bool) -> None:
    folder = lay_out(tmp_path / "x", good(40))
    with written_to(folder, anew) as added:
        outcomes = [told_or_loaded(folder) for _ in range(6)]
    assert added and set(outcomes) <= {"", "changes"}
    # Whatever was kept meanwhile, no image is another one than its file.
    found = images_of(load(folder))
    assert set(found) == {*good(40), *added}
    for name, pixels in found.items():
        with (folder / name).open("rb") as file:
            expected = decode(file, Target(SIDE, SIDE, "stretch", 3))
        assert pixels == expected.tobytes(), name


def told_or_loaded(folder: Path) -> str:
    """Load a folder; why it could not be, in one word, "" where it could."""
    try:
        load(folder)
    except UserError as error:
        said = str(error)
        assert said.endswith("Wait until nothing is written there, then try again."), said
        return "changes"
    return ""


def test_a_folder_that_is_written_to_while_it_is_learned_from(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "x", good(40))
    run = Store(tmp_path / "runs").create("x", on_folder(folder, train={"epochs": 4}))
    with ExitStack() as writing:
        added: list[str] = []

        def begin(total: int, first: int) -> tuple[()]:
            nonlocal added
            added = writing.enter_context(written_to(folder))
            return ()

        assert work(run, begin).finished
    assert added and run.data_card().n_train + run.data_card().n_validation == 40
    # It has learned what was there at the start, and says what has come since.
    _, part = load_part(run, "train")
    assert set(part.files) <= set(good(40))
    changed = load_part(run, "train")[0].difference
    assert changed is not None and changed.new >= len(added)
    assert changed.sentence.startswith("The images are not those that this run was trained on: ")


# --- very many -----------------------------------------------------------------------------------


MANY, OPEN_AT_ONCE = 8_000, 512
"""Far more files than a process of this test may have open; 50 000 are measured by
`benchmarks.own_images_times`."""


@pytest.mark.training
@pytest.mark.parametrize("packed", [False, True])
def test_very_many_files_are_prepared(tmp_path: Path, packed: bool) -> None:
    files = {f"{i % 100:02d}/{i:06d}.png": tiny_png(i) for i in range(MANY)}
    path = pack(tmp_path / "x.zip", files) if packed else lay_out(tmp_path / "x", files)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_AT_ONCE, before[1]))
    try:
        dataset = load(path, image_size=8)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(dataset.train) + len(dataset.validation) == MANY and dataset.notes == ()
    assert len(dataset.label_names) == 100


def tiny_png(i: int) -> bytes:
    """A grey PNG of 8×8 pixels, another one for each of 2^24 numbers."""
    line = b"\0" + bytes([i & 255, i >> 8 & 255, i >> 16 & 255]) + bytes(5)
    return png_of(8, zlib.compress(line * 8, 1))


# --- new images ----------------------------------------------------------------------------------


def deep_png(low: int, high: int, seed: int = 0) -> bytes:
    """A PNG of 16 bits whose values reach from `low` to `high`."""
    grey = np.asarray(picture(seed, mode="L"), np.float64)
    grey = (grey - grey.min()) / (grey.max() - grey.min())
    return encoded(Image.fromarray(np.rint(low + grey * (high - low)).astype(np.uint16)))


def new_ones(path: Path, shape: tuple[int, int, int], **wishes: Any) -> tuple[np.ndarray, str]:
    """The pixels of new images as a run takes them, and the last thing that is said of them."""
    config = DataConfig(dataset="folder", data_dir="/nowhere", image_size=shape[1], **wishes)
    found, _, notes = load_new_images([path], config, shape)
    return found.images.gather(np.arange(len(found))), notes[-1] if notes else ""


def test_deep_images_have_one_scale_before_a_model_of_8_bits(tmp_path: Path) -> None:
    """Each was scaled by itself, by what its type can hold: 1000 to 1100 became a constant 4."""
    path = lay_out(tmp_path / "new", {
        "a.png": deep_png(1000, 1050), "b.png": deep_png(1000, 1100, 1),
    })  # fmt: skip
    pixels, said = new_ones(path, (1, 16, 16), resize="stretch")
    assert pixels[1].max() > 240 and 100 < pixels[0].max() < 140
    assert said == (
        "Unlike those of the run: values 1 000 to 1 100 of 0 to 65 535 are shown as black to white."
    )


def test_shallow_and_brighter_images_before_a_deep_model_are_told(tmp_path: Path) -> None:
    window = Window(1000, 1100)
    wishes = {"resize": "stretch", "window": window, "windowed": "deep"}
    shallow = lay_out(tmp_path / "shallow", {"a.png": png(1, "L")})
    assert "these have 8 bits and stay as they are." in new_ones(shallow, (1, 16, 16), **wishes)[1]
    within = lay_out(tmp_path / "within", {"a.png": deep_png(1000, 1080)})
    assert new_ones(within, (1, 16, 16), **wishes)[1] == ""
    both = lay_out(tmp_path / "both", {"a.png": deep_png(1000, 1080), "b.png": png(1, "L")})
    said = new_ones(both, (1, 16, 16), **wishes)[1]
    assert said.endswith("are shown as black to white; 1 of 2 images have 8 bits and stay.")
    beyond = lay_out(tmp_path / "beyond", {"a.png": deep_png(1050, 5000)})
    said = new_ones(beyond, (1, 16, 16), **wishes)[1]
    assert said.endswith("the images reach from 1 050 to 5 000, and what lies beyond is cut.")


def test_what_is_cut_off_new_images_is_told(tmp_path: Path) -> None:
    strip = encoded(picture(3, size=(100, 25)))
    pixels, said = new_ones(lay_out(tmp_path / "new", {"a.png": strip}), (3, 16, 16))
    assert pixels.shape == (1, 3, 16, 16) and said == "100×25 → 16×16: 75% of the width is cut."


def test_new_images_that_give_none_are_one_sentence(tmp_path: Path, finished: Run) -> None:
    lay_out(tmp_path, {"empty.zip": zipped({}), "x.mov": b"film", "secret.zip": locked(good()),
                       "a.png": png(1), "cut.png": png(2)[:60]})  # fmt: skip
    (tmp_path / "folder").mkdir()

    def score(*names: str) -> tuple[int, str, str]:
        places = [name if name.startswith(("-", "/")) else str(tmp_path / name) for name in names]
        done = vae_core("score-images", "tiny", *places, "--store", str(finished.path.parent))
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr.strip().splitlines()[-1]

    for name, said in (
        ("empty.zip", "There are no images in"),
        ("folder", "There are no images in"),
        ("cut.png", "cut.png (damaged: "),
        ("x.mov", "x.mov is of no kind that can be read; what can be is JPEG, PNG"),
        ("secret.zip", "Pack your images again without a password."),
        ("missing.png", "missing.png; check the path."),
    ):
        status, _, last = score(name)
        assert status == 2 and last.startswith("error: ") and said in last, last
    out = tmp_path / "nowhere" / "scores.csv"
    status, _, last = score("a.png", "--out", str(out))
    assert status == 2 and last.startswith(f"error: {out} cannot be written: No such file"), last
    status, table, last = score("a.png", "empty.zip")
    assert status == 0 and "a.png" in table
    assert last == "20×16 → 16×16: 20% of the width is cut."
