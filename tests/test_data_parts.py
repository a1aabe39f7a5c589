"""Folders named train, test and validation are parts, and labels go by name across them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.folders import pixels
from tests.pictures import lay_out, pack, png
from tests.test_data_folder import load
from vae_core.data import Dataset, ImageSet
from vae_core.data.sets.folder import part_named
from vae_core.errors import UserError

SEEDS = iter(range(10_000))


def files(*folders: str, each: int = 4) -> dict[str, bytes]:
    """So many different pictures in each folder."""
    return {
        f"{folder}/{i}.png".lstrip("/"): png(next(SEEDS)) for folder in folders for i in range(each)
    }


def make(tmp_path: Path, packed: bool, content: dict[str, bytes], **wishes: float) -> Dataset:
    path = pack(tmp_path / "x.zip", content) if packed else lay_out(tmp_path / "x", content)
    return load(path, image_size=20, resize="stretch", **wishes)


def named(dataset: Dataset, part: ImageSet | None) -> list[tuple[str, str]]:
    """The file and the label's name of each image."""
    assert part is not None and part.labels is not None
    return [(f, dataset.label_names[i]) for f, i in zip(part.files, part.labels, strict=True)]


def below(part: ImageSet | None, *folders: str) -> bool:
    assert part is not None
    return all(name.startswith(tuple(f"{folder}/" for folder in folders)) for name in part.files)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("wrap", ["", "archive/", "a/b/"])
@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "", "test"), ("Train", "", "TEST"), ("training", "", "testing"),
        ("train", "val", ""), ("train", "valid", ""), ("TRAIN", "Validation", ""),
        ("train", "val", "test"),
    ],
)  # fmt: skip
def test_parts_are_recognised(
    tmp_path: Path, packed: bool, wrap: str, train: str, validation: str, test: str
) -> None:
    """Ten labels in two folders of them are ten labels, not twenty."""
    labels = [str(i) for i in range(10)]
    there = [wrap + part for part in (train, validation, test) if part]
    content = files(*(f"{part}/{label}" for part in there for label in labels), each=2)
    dataset = make(tmp_path, packed, content, validation_fraction=0.25)
    assert dataset.label_names == tuple(labels)
    assert below(dataset.train, wrap + train)
    assert below(dataset.validation, wrap + (validation or train))
    assert (dataset.test is None) == (not test)
    if test:
        assert below(dataset.test, wrap + test) and len(dataset.test or ()) == 20
    if validation:
        assert len(dataset.validation) == 20 and len(dataset.train) == 20
    for part in (dataset.train, dataset.validation, dataset.test):
        if part is not None:
            assert all(f.split("/")[-2] == label for f, label in named(dataset, part))
    folders = " and ".join(sorted(p for p in (train, validation, test) if p)[-2:])
    assert (
        folders in dataset.notes[0] and "name parts of the images, not labels" in dataset.notes[0]
    )
    assert not pixels(dataset.train) & (pixels(dataset.validation) | pixels(dataset.test))


def test_labels_of_nested_folders(tmp_path: Path) -> None:
    content = files(
        "train/pets/cats", "train/pets/dogs", "train/cars", "test/pets/cats", "test/cars"
    )
    dataset = make(tmp_path, False, content)
    assert dataset.label_names == ("cars", "pets/cats", "pets/dogs")
    assert {label for _, label in named(dataset, dataset.test)} == {"cars", "pets/cats"}


def test_a_label_is_what_it_is_called_though_a_part_lacks_some(tmp_path: Path) -> None:
    content = files("train/0", "train/1", "train/7", "test/1", "test/7")
    dataset = make(tmp_path, False, content)
    assert all(f.split("/")[1] == label for f, label in named(dataset, dataset.test))


def test_labels_that_no_training_image_has_are_named(tmp_path: Path) -> None:
    content = files("train/cats", "train/dogs", "test/apes", "test/cats")
    dataset = make(tmp_path, False, content)
    assert dataset.label_names == ("cats", "dogs", "apes"), "those of the model come first"
    assert dataset.notes[-1] == ("The test images have labels that no training image has: apes.")


@pytest.mark.parametrize("packed", [False, True])
def test_images_directly_in_the_parts_have_no_labels(tmp_path: Path, packed: bool) -> None:
    dataset = make(tmp_path, packed, files("train", "test", "val", each=5))
    assert dataset.label_names == ()
    assert [len(p or ()) for p in (dataset.train, dataset.validation, dataset.test)] == [5, 5, 5]
    assert all(p and p.labels is None for p in (dataset.train, dataset.validation, dataset.test))
    assert dataset.notes == (
        "The folders test, train and val name parts of the images, not labels: "
        "5 train, 5 validation, 5 test.",
    )


def test_unlabelled_test_images_beside_labelled_ones(tmp_path: Path) -> None:
    """As competitions hand them out."""
    dataset = make(tmp_path, False, files("train/cats", "train/dogs", "test"))
    assert dataset.label_names == ("cats", "dogs")
    assert dataset.test is not None and dataset.test.labels is None
    assert dataset.notes[-1] == "The images of test lie in no folder and have no labels."


@pytest.mark.parametrize(
    ("folders", "labels", "note"),
    [
        (("train/a", "train/b"), ("a", "b"), None),
        (
            ("train", "cats", "test"),
            ("cats", "test", "train"),
            "The folders test and train lie bes",
        ),
        (("train", "test", ""), ("(no folder)", "test", "train"), "(images in no folder)"),
        (("test", "val"), ("test", "val"), None),
        (("train", "planes"), ("planes", "train"), None),
    ],
)
def test_anything_else_is_labels(
    tmp_path: Path, folders: tuple[str, ...], labels: tuple[str, ...], note: str | None
) -> None:
    dataset = make(tmp_path, False, files(*folders), validation_fraction=0.25)
    assert dataset.label_names == labels and dataset.test is None
    assert (note is None) == (dataset.notes == ())
    assert note is None or note in dataset.notes[-1]


def packed_as(ending: str, content: dict[str, bytes]) -> bytes:
    """The bytes of an archive."""
    packed = io.BytesIO()
    if ending == ".zip":
        with zipfile.ZipFile(packed, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        return packed.getvalue()
    with tarfile.open(fileobj=packed, mode="w:gz" if ending == ".tar.gz" else "w") as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


@pytest.mark.parametrize("wrap", ["", "data/"])
@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz"])
def test_archives_are_parts_by_their_names(tmp_path: Path, ending: str, wrap: str) -> None:
    """They were labels."""
    dataset = make(tmp_path, False, {
        f"{wrap}train{ending}": packed_as(ending, files("cats", "dogs")),
        f"{wrap}Val{ending}": packed_as(ending, files("cats", "dogs")),
    })  # fmt: skip
    assert dataset.label_names == ("cats", "dogs") and dataset.test is None
    assert below(dataset.train, f"{wrap}train{ending}")
    assert below(dataset.validation, f"{wrap}Val{ending}")
    said = f"The files Val{ending} and train{ending} name parts of the images, not labels: "
    assert dataset.notes[-1] == said + "8 train, 8 validation."


def test_shards_of_parts(tmp_path: Path) -> None:
    """As WebDataset and the hub number them; a name is not cut where it is no number."""
    content = {
        f"{part}-{i:05}-of-00002.tar": packed_as(".tar", files("")) for i in (0, 1)
        for part in ("train", "test")
    }  # fmt: skip
    dataset = make(tmp_path, False, content)
    assert below(dataset.test, "test-00000-of-00002.tar", "test-00001-of-00002.tar")
    assert dataset.test is not None and len(dataset.test) == 8
    assert len(dataset.train) + len(dataset.validation) == 8
    assert [part_named(name) for name in ("train_07.zip", "test-1.npz", "val.tar.gz")] == [
        "train", "test", "validation",
    ]  # fmt: skip
    for name in ("trainer.zip", "train-2024-x.zip", "train-1", "x-train.zip"):
        assert part_named(name) is None, name


def test_files_of_several_pictures_are_parts(tmp_path: Path) -> None:
    def rows(start: int) -> bytes:
        held = io.BytesIO()
        y, x = np.mgrid[:16, :20]
        np.save(held, np.stack([(x * i + y * 3) % 256 for i in range(start, start + 6)]))
        return held.getvalue()

    dataset = make(tmp_path, False, {"train.npy": rows(1), "test.npy": rows(20)})
    assert dataset.test is not None and len(dataset.test) == 6
    assert all(name.startswith("test.npy#") for name in dataset.test.files)
    assert dataset.label_names == ()


def test_copies_across_the_parts_are_not_learned(tmp_path: Path) -> None:
    content = files("train/a", "train/b", "test/a")
    content["train/a/copy.png"] = content["test/a/0.png"]
    dataset = make(tmp_path, False, content)
    assert not pixels(dataset.train) & pixels(dataset.test)
    assert any("1 image is an exact copy of a held-out image" in note for note in dataset.notes)


def test_a_training_part_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    content = files("test/a", "train/a") | {f"train/a/{i}.png": b"cut" for i in range(4)}
    with pytest.raises(UserError, match=r"None of the images .* learned from can be read"):
        make(tmp_path, False, content)


def test_unreadable_images_are_left_out_of_their_part(tmp_path: Path) -> None:
    content = files("train/a", "train/b", "test/a") | {"train/a/0.png": b"cut"}
    dataset = make(tmp_path, False, content, validation_fraction=0.3)
    assert len(dataset.train) + len(dataset.validation) == 7
    assert dataset.test is not None and np.all(dataset.test.labels == 0)


def test_unlabelled_test_images_stay_so_when_a_run_takes_them_up(tmp_path: Path) -> None:
    """A run goes by the images that it recorded, labelled as they were."""
    from vae_core.data.split_record import record_splits, restore_splits

    content = files("train/cats", "train/dogs", "test")
    recorded = record_splits(make(tmp_path, False, content))
    (tmp_path / "x/train/cats/0.png").unlink()
    again = restore_splits(load(tmp_path / "x", image_size=20, resize="stretch"), recorded)
    assert again.difference and again.train.labels is not None
    assert again.test is not None and again.test.labels is None
