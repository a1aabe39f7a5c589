"""The named data sets: found in place, downloaded, split the same way every time."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.pictures import encoded, lay_out, picture
from vae_core.config import DataConfig
from vae_core.data import (
    ArrayImages,
    Dataset,
    ImageSet,
    datasets,
    hold_outs,
    label_counts,
    load_dataset,
    sample_images,
)
from vae_core.errors import UserError
from vae_core.locations import DEFAULT_DATA, cache_folder, data_folder

READERS = "torchvision.datasets"
"""By name: who only collects these tests need not import it, which takes three seconds."""

CLASSES = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}


def load(name: str, folder: Path | None = None, progress=None, **wishes) -> Dataset:
    config = DataConfig(dataset=name, data_dir=folder and str(folder), **wishes)
    return load_dataset(config, progress) if progress else load_dataset(config)


def numbers(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), np.arange(count) % 10


def idx_files(train: int = 40, test: int = 20) -> dict[str, bytes]:
    """Small files in MNIST's own format."""
    files = {}
    for part, count in (("train", train), ("t10k", test)):
        images, labels = numbers(count, count)
        head = struct.pack(">4L", 0x0803, count, 28, 28)
        files[f"{part}-images-idx3-ubyte"] = head + images.tobytes()
        files[f"{part}-labels-idx1-ubyte"] = (
            struct.pack(">2L", 0x0801, count) + labels.astype(np.uint8).tobytes()
        )
    return files


def everything(part: ImageSet) -> np.ndarray:
    return part.images.gather(np.arange(len(part)))


# --- found in place --------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("named", [".", "{0}", "{0}/raw"])
def test_idx_files_in_place(tmp_path: Path, name: str, named: str) -> None:
    lay_out(tmp_path / CLASSES[name] / "raw", idx_files())
    dataset = load(name, tmp_path / named.format(CLASSES[name]), validation_fraction=0.25)
    assert dataset.image_shape == (1, 28, 28)
    assert (len(dataset.train), len(dataset.validation)) == (30, 10)
    assert dataset.test is not None and len(dataset.test) == 20
    assert len(dataset.label_names) == 10
    images, labels = numbers(20, 20)
    assert (everything(dataset.test)[:, 0] == images).all()
    assert (dataset.test.labels == labels).all()
    images, labels = numbers(40, 40)
    kept = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for part in (dataset.train, dataset.validation):
        assert part.labels is not None and part.labels.dtype == np.int64
        for image, label in zip(everything(part), part.labels, strict=True):
            assert kept.pop(image.tobytes()) == label
    assert not kept


def test_a_folder_that_cannot_be_written_serves_all_the_same(tmp_path: Path) -> None:
    raw = lay_out(tmp_path / "MNIST" / "raw", idx_files())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path, raw.parent, raw)}
    for path in (*raw.iterdir(), raw, raw.parent, tmp_path):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        load("mnist", tmp_path)
        # root may write anywhere, so look whether anything was.
        assert {path: path.stat().st_mtime_ns for path in before} == before
    finally:
        for path in (tmp_path, raw.parent, raw):
            path.chmod(0o755)


def test_sizes_channels_and_limit_and_the_test_part_is_no_validation(tmp_path: Path) -> None:
    lay_out(tmp_path / "MNIST" / "raw", idx_files())
    dataset = load("mnist", tmp_path, image_size=32, channels=3, limit=10, validation_fraction=0)
    assert dataset.image_shape == (3, 32, 32)
    assert len(dataset.train) == 10
    assert dataset.train.labels is not None and sorted(dataset.train.labels) == list(range(10))
    whole = load("mnist", tmp_path)
    for mine, same in ((dataset.validation, whole.validation), (dataset.test, whole.test)):
        assert mine is not None and same is not None and mine.hashes is not None
        assert mine.hashes.tolist() == np.asarray(same.hashes).tolist(), "at every size"
    assert whole.test is not None and len(whole.test) == 20
    assert not set(np.asarray(whole.test.hashes)) & set(np.asarray(whole.validation.hashes))


def test_damaged_files_are_told(tmp_path: Path) -> None:
    files = idx_files()
    for broken in (b"", b"not idx at all", files["train-images-idx3-ubyte"][:5000]):
        lay_out(tmp_path / "MNIST" / "raw", {**files, "train-images-idx3-ubyte": broken})
        with pytest.raises(UserError, match=r"The files of MNIST in .*MNIST cannot be read: .*Rem"):
            load("mnist", tmp_path)


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Small files in CIFAR-10's own format, and torchvision's checksums set to theirs."""
    rng = np.random.default_rng(0)
    batches = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    files = {
        name: pickle.dumps({
            "data": rng.integers(0, 256, (10, 3072), dtype=np.uint8),
            "labels": list(range(10)),
        })
        for name in batches
    } | {"batches.meta": pickle.dumps({"label_names": list("abcdefghij")})}  # fmt: skip
    sums = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    monkeypatch.setattr(f"{READERS}.CIFAR10.train_list", [(n, sums[n]) for n in batches[:5]])
    monkeypatch.setattr(f"{READERS}.CIFAR10.test_list", [("test_batch", sums["test_batch"])])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}
    monkeypatch.setattr(f"{READERS}.CIFAR10.meta", meta)
    return files


def test_cifar_in_place_split_80_20(tmp_path: Path, cifar: dict[str, bytes]) -> None:
    lay_out(tmp_path / "cifar-10-batches-py", cifar)
    dataset = load("cifar10", tmp_path, validation_fraction=0.2)
    assert (len(dataset.train), len(dataset.validation)) == (40, 10)
    assert dataset.test is not None and dataset.image_shape == (3, 32, 32)
    stored = pickle.loads(cifar["test_batch"])["data"].reshape(10, 3, 32, 32)
    assert (everything(dataset.test) == stored).all()
    assert dataset.label_names[3] == "cat"


# --- downloads -------------------------------------------------------------------------------


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A web server of our own: (the folder that it serves, its address)."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def serve_mnist(folder: Path, monkeypatch: pytest.MonkeyPatch, mirrors: list[str]) -> None:
    files = {f"{name}.gz": gzip.compress(data) for name, data in idx_files().items()}
    lay_out(folder, files)
    sums = [(name, hashlib.md5(data).hexdigest()) for name, data in files.items()]
    monkeypatch.setattr(f"{READERS}.MNIST.resources", sums)
    monkeypatch.setattr(f"{READERS}.MNIST.mirrors", mirrors)


def test_mnist_is_downloaded_once_with_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: tuple[Path, str]
) -> None:
    # The first mirror is dead; torchvision names several for that.
    serve_mnist(mirror[0], monkeypatch, ["http://127.0.0.1:1/", mirror[1]])
    monkeypatch.setenv("VAE_DATA", str(tmp_path / "new"))
    said: list[tuple[str, float | None]] = []
    dataset = load("mnist", progress=lambda *message: said.append(message))
    assert len(dataset.train) == 30  # one of each class of four is held out
    shares = [share for text, share in said if text == "Downloading MNIST"]
    assert shares.count(0.0) == 4 and shares.count(1.0) == 4
    raw = tmp_path / "new" / "MNIST" / "raw"
    assert sorted(path.name for path in raw.iterdir()) == sorted(idx_files())
    for path in mirror[0].iterdir():
        path.unlink()
    assert len(load("mnist").train) == 30


def test_cifar_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: tuple[Path, str],
    cifar: dict[str, bytes],
) -> None:  # fmt: skip
    lay_out(tmp_path / "cifar-10-batches-py", cifar)
    archive = mirror[0] / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(f"{READERS}.CIFAR10.url", mirror[1] + "cifar.tar.gz")
    monkeypatch.setattr(f"{READERS}.CIFAR10.tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    damaged = lay_out(tmp_path / "new" / "cifar-10-batches-py", {"data_batch_1": b"cut"})
    dataset = load("cifar10", damaged.parent)
    assert dataset.test is not None and len(dataset.test) == 10
    assert [path.name for path in damaged.parent.iterdir()] == ["cifar-10-batches-py"]


@pytest.mark.parametrize("name", [*CLASSES, "cifar10"])
def test_without_a_network_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for kind in ("MNIST", "FashionMNIST", "KMNIST"):
        monkeypatch.setattr(f"{READERS}.{kind}.mirrors", ["http://127.0.0.1:1/"])
    monkeypatch.setattr(f"{READERS}.CIFAR10.url", "http://127.0.0.1:1/x.tar.gz")
    with pytest.raises(UserError) as told:
        load(name, tmp_path)
    message = str(told.value)
    assert message.startswith(f"{datasets[name].label} is not in {tmp_path}")
    assert "could not be downloaded" in message and "refused" in message
    assert message.endswith("or set the data folder to where the files lie.")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_a_mirror_sends_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: tuple[Path, str]
) -> None:
    serve_mnist(mirror[0], monkeypatch, [mirror[1], mirror[1] + "gone/"])
    (mirror[0] / "train-images-idx3-ubyte.gz").write_bytes(b"<html>Please log in</html>")
    with pytest.raises(UserError, match=r"it sent another file than expected; File not found"):
        load("mnist", tmp_path / "new")
    assert [path for path in (tmp_path / "new").rglob("*") if path.is_file()] == []


def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"MNIST is not in .* cannot be stored there: Not a dir"):
        load("mnist", tmp_path / "file")


# --- CelebA ----------------------------------------------------------------------------------

FACES = {
    f"{i:06}.jpg": encoded(picture(i, size=(178, 218)), "JPEG", quality=95) for i in range(1, 13)
}
PARTS = {name: 0 if i < 8 else 1 if i < 10 else 2 for i, name in enumerate(FACES)}
TXT = "".join(f"{name} {code}\n" for name, code in PARTS.items()).encode()
CSV = b"image_id,partition\n" + b"".join(
    f"{name},{code}\r\n".encode() for name, code in PARTS.items()
)


@pytest.mark.parametrize(
    ("pictures", "partition", "data"),
    [
        ("celeba/img_align_celeba", "celeba/list_eval_partition.txt", TXT),
        ("img_align_celeba", "list_eval_partition.txt", TXT),
        ("img_align_celeba/img_align_celeba", "list_eval_partition.csv", CSV),
        ("img_align_celeba", "list_eval_partition.csv", CSV),
        ("celeba/img_align_celeba/img_align_celeba", "celeba/list_eval_partition.csv", CSV),
    ],
)
def test_celeba_in_every_layout(tmp_path: Path, pictures: str, partition: str, data: bytes) -> None:
    lay_out(tmp_path / pictures, FACES)
    lay_out(tmp_path, {partition: data})
    dataset = load("celeba", tmp_path)
    assert dataset.image_shape == (3, 64, 64)
    names = list(FACES)
    assert dataset.train.files == tuple(names[:8])
    assert dataset.validation.files == tuple(names[8:10])
    assert dataset.test is not None and dataset.test.files == tuple(names[10:])
    # The usual crop: 148 pixels around the centre.
    face = Image.open(io.BytesIO(FACES[names[0]])).crop((15, 35, 163, 183))
    expected = np.asarray(face.resize((64, 64), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    inner = (slice(None), slice(2, -2), slice(2, -2))
    assert (everything(dataset.train)[0][inner] == expected[inner]).all()
    few = load("celeba", tmp_path, limit=4)
    assert dataset.train.hashes is not None and few.train.hashes is not None
    assert sorted(few.train.hashes) == sorted(dataset.train.hashes)[:4]
    assert set(few.train.files) < set(names[:8]) and len(few.left_out) == 4
    tests = load("celeba", tmp_path, validation_fraction=0)
    assert tests.validation.files == dataset.validation.files and len(tests.train) == 8


ATTRIBUTES = {
    "list_attr_celeba.txt": f"{len(FACES)}\nSmiling Young \n"
    + "".join(f"{n}  {2 * (i % 2) - 1} {-1 if i else 1:>2}\n" for i, n in enumerate(FACES)),
    "list_attr_celeba.csv": "image_id,Smiling,Young\n"
    + "".join(f"{n},{2 * (i % 2) - 1},{-1 if i else 1}\n" for i, n in enumerate(FACES)),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_celeba_brings_its_attributes(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path / "img_align_celeba", FACES)
    lay_out(tmp_path, {name: ATTRIBUTES[name].encode(), "list_eval_partition.txt": TXT})
    dataset = load("celeba", tmp_path)
    assert dataset.attribute_names == ("Smiling", "Young")
    for part in dataset.parts.values():
        places = [list(FACES).index(file) for file in part.files]
        assert part.columns["Smiling"].tolist() == [i % 2 for i in places]
        assert part.columns["Young"].tolist() == [int(i == 0) for i in places]
    smiling = load("celeba", tmp_path, label_column="Smiling")
    assert smiling.label_names == ("not Smiling", "Smiling")
    assert (smiling.train.labels == smiling.train.columns["Smiling"]).all()
    with pytest.raises(UserError, match="Smilin"):
        load("celeba", tmp_path, label_column="Smilin")
    lay_out(tmp_path, {name: b"1\n"})
    with pytest.raises(UserError, match=r"list_attr_celeba\.... cannot be read: .*Fetch the file"):
        load("celeba", tmp_path)


def test_celeba_without_a_partition_and_with_a_damaged_file(tmp_path: Path) -> None:
    lay_out(tmp_path / "img_align_celeba", {**FACES, "000002.jpg": b"x"})
    dataset = load("celeba", tmp_path)
    assert dataset.test is None and len(dataset.train) + len(dataset.validation) == 11
    assert dataset.notes[0] == "1 of 12 files was skipped: 000002.jpg (no image)."
    assert "no list_eval_partition file" in dataset.notes[1]
    lay_out(tmp_path, {"list_eval_partition.txt": b"000001.jpg\n"})
    with pytest.raises(UserError, match=r"list_eval_partition\.txt cannot be read"):
        load("celeba", tmp_path)


def test_celeba_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "img_align_celeba").mkdir()
    with pytest.raises(UserError, match=r"CelebA is not in .*Put the aligned images there"):
        load("celeba", tmp_path)


# --- built in --------------------------------------------------------------------------------


def test_digits_are_scikit_learns_enlarged() -> None:
    dataset = load("digits")
    assert dataset.image_shape == (1, 32, 32)
    assert len(dataset.train) + len(dataset.validation) == 1797 and dataset.test is None
    counts = label_counts(dataset.train, dataset.label_names)
    held = label_counts(dataset.validation, dataset.label_names)
    total = [counts[name] + held[name] for name in "0123456789"]
    assert total == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    own = everything(load("digits", image_size=8).train)
    assert own.shape[1:] == (1, 8, 8) and own.min() == 0 and own.max() == 255
    assert len(np.unique(own)) == 17  # the 17 grey levels, stretched
    enlarged = everything(dataset.train)[:, 0].reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4))
    assert np.corrcoef(enlarged.ravel(), own.ravel())[0, 1] > 0.97


# --- splits ----------------------------------------------------------------------------------


def test_without_test_images_some_are_held_out_all_the_same() -> None:
    dataset = load("digits", image_size=8, validation_fraction=0)
    assert len(dataset.validation) == 90
    assert "5 % of the training images are held out" in dataset.notes[0]


def test_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert data_folder(tmp_path) == tmp_path
    assert data_folder() == Path(os.environ["VAE_DATA"]).resolve()
    for variable in ("VAE_DATA", "VAE_CACHE"):
        monkeypatch.delenv(variable)
    assert data_folder() == DEFAULT_DATA and DEFAULT_DATA.name == "data"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "latent-workbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "latent-workbench"


def test_a_name_that_is_no_data_set() -> None:
    with pytest.raises(UserError, match=r"There is no data set 'mnits'.*Did you mean 'mnist'"):
        load("mnits")
    own = [entry.name for entry in datasets if entry.origin == "own"]
    assert own == ["folder"]
    assert all(entry.label and entry.blurb.endswith(".") for entry in datasets)


# --- what is shown ---------------------------------------------------------------------------


def labelled(labels: list[int] | None, count: int = 0) -> ImageSet:
    count = count or len(labels or [])
    images = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return ImageSet(ArrayImages(images), None if labels is None else np.array(labels))


@given(st.lists(st.integers(0, 14), min_size=1, max_size=120), st.integers(0, 60))
def test_samples_are_spread_evenly_over_the_classes(labels: list[int], n: int) -> None:
    part = labelled(labels)
    images, shown = sample_images(part, n)
    assert shown is not None and len(images) == len(shown) == min(n, len(labels))
    chosen = images[:, 0, 0, 0]
    assert len(set(chosen)) == len(chosen)
    assert (np.array(labels)[chosen] == shown).all()
    assert (sample_images(part, n)[0] == images).all()
    given, all_of = np.bincount(shown, minlength=15), np.bincount(labels, minlength=15)
    unfinished = given[given < all_of]
    if len(unfinished):  # a class that could give more gives as much as any
        assert given.max() - unfinished.min() <= 1


def test_hold_outs_are_one_of_each_class() -> None:
    def held(part: ImageSet) -> np.ndarray:
        return hold_outs(Dataset("x", part, part))

    ten = [i % 10 for i in range(100)]
    assert [ten[i] for i in held(labelled(ten))] == list(range(10))
    assert [ten[i] for i in held(labelled(ten[::-1]))][::-1] == list(range(10))
    twelve = labelled([i % 12 for i in range(60)])
    assert len({i % 12 for i in held(twelve)}) == 10
    three = labelled([0, 0, 0, 0, 0, 1, 1, 1, 1, 2])
    assert sorted(held(three)) == list(range(10))
    assert held(labelled(None, 100)).tolist() == list(range(5, 100, 10))
    assert held(labelled(None, 3)).tolist() == [0, 1, 2]
    assert held(labelled([4])).tolist() == [0]


def test_label_counts() -> None:
    assert label_counts(labelled([2, 0, 2]), ("a", "b", "c")) == {"a": 1, "b": 0, "c": 2}
    assert label_counts(labelled(None, 3), ()) == {}
