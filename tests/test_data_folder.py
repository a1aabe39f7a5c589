"""The person's own images: layouts, labels, what is skipped, what is refused."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures import encoded, lay_out, pack, picture, png
from vae_core.config import DataConfig
from vae_core.data import Dataset, load_dataset
from vae_core.data.labels import NO_FOLDER, folder_texts
from vae_core.errors import UserError
from vae_core.imaging.decode import decode
from vae_core.imaging.fit import Target
from vae_core.imaging.listing import skipped_note
from vae_core.imaging.reading import Skip


def load(path: Path | str, **wishes) -> Dataset:
    return load_dataset(DataConfig(dataset="folder", data_dir=str(path), **wishes))


def in_file_order(dataset: Dataset) -> dict[str, np.ndarray]:
    """Every image by the name of its file."""
    found = {}
    for part in (dataset.train, dataset.validation):
        images = part.images.gather(np.arange(len(part)))
        found.update(zip(part.files, images, strict=True))
    return found


MIXED = {
    "cats/a.png": png(1),
    "cats/b.jpg": encoded(picture(2, size=(50, 30)), "JPEG"),
    "dogs/c.webp": encoded(picture(3, mode="RGBA"), "WEBP"),
    "dogs/d.gif": encoded(picture(4, mode="P"), "GIF"),
    "dogs/e.tiff": encoded(picture(5, mode="CMYK"), "TIFF"),
    "dogs/f.pgm": encoded(picture(6, mode="L"), "PPM"),
    "dogs/g.bmp": encoded(picture(7, size=(9, 70)), "BMP"),
}


@pytest.mark.parametrize("packed", [False, True])
def test_mixed_images_with_labels_from_folders(tmp_path: Path, packed: bool) -> None:
    path = pack(tmp_path / "x.zip", MIXED) if packed else lay_out(tmp_path / "x", MIXED)
    dataset = load(path, image_size=16, validation_fraction=0.3)
    assert dataset.image_shape == (3, 16, 16)
    assert len(dataset.train) + len(dataset.validation) == 7 and dataset.test is None
    for part in (dataset.train, dataset.validation):
        assert part.labels is not None and set(part.labels) == {0, 1}
    assert dataset.label_names == ("cats", "dogs")
    (cut,) = dataset.notes
    assert cut.startswith("9×70 → 16×16: up to 87% of the height is cut.")
    found = in_file_order(dataset)
    assert sorted(found) == sorted(MIXED)
    for name, image in found.items():
        assert (image == decode(io.BytesIO(MIXED[name]), Target(16, 16, channels=3))).all(), name
    for part in (dataset.train, dataset.validation):
        assert part.labels is not None
        for label, name in zip(part.labels, part.files, strict=True):
            assert name.startswith(dataset.label_names[label])


def test_gather_is_indexing_in_any_order(tmp_path: Path) -> None:
    dataset = load(lay_out(tmp_path, {f"{i}.png": png(i) for i in range(20)}), image_size=8)
    every = dataset.train.images.gather(np.arange(len(dataset.train)))
    for indices in ([3, 3, 0, 18, 7], [], list(range(18, -1, -1))):
        batch = dataset.train.images.gather(np.array(indices, np.int64))
        assert batch.shape == (len(indices), 3, 8, 8)
        assert batch.flags.writeable and (batch == every[indices]).all()
    with pytest.raises(IndexError):
        dataset.train.images.gather(np.array([19]))


def test_channels_follow_the_images_unless_asked_otherwise(tmp_path: Path) -> None:
    grey = {f"{i}.png": png(i, "L") for i in range(30)}
    assert load(lay_out(tmp_path / "g", grey)).image_shape == (1, 16, 20)
    assert load(tmp_path / "g", channels=3).image_shape == (3, 16, 20)
    # One in colour at the very end turns all that came before.
    mixed = load(lay_out(tmp_path / "m", {**grey, "z.png": png(9)}), image_size=16)
    assert mixed.image_shape == (3, 16, 16)
    for name, image in in_file_order(mixed).items():
        content = grey.get(name, png(9))
        assert (image == decode(io.BytesIO(content), Target(16, 16, channels=3))).all()
    assert load(tmp_path / "m", channels=1).image_shape == (1, 16, 20)


def test_fit_and_crop_differ_and_each_is_kept(tmp_path: Path) -> None:
    lay_out(tmp_path, {f"{i}.png": encoded(picture(i, size=(60, 20))) for i in range(3)})
    crop, fit, again = (load(tmp_path, resize=r, image_size=64) for r in ("crop", "fit", "crop"))
    images = [in_file_order(dataset)["0.png"] for dataset in (crop, fit, again)]
    assert (images[0] != images[1]).any() and (images[0] == images[2]).all()


def test_a_changed_file_is_prepared_again(tmp_path: Path) -> None:
    lay_out(tmp_path, {f"{i}.png": png(i) for i in range(3)})
    before = in_file_order(load(tmp_path))
    lay_out(tmp_path, {"1.png": png(50)})
    os.utime(tmp_path / "1.png", (1, 1))
    after = in_file_order(load(tmp_path))
    assert (before["0.png"] == after["0.png"]).all()
    assert (before["1.png"] != after["1.png"]).any()


def test_what_is_no_image_is_skipped_counted_and_listed(tmp_path: Path) -> None:
    files = {f"{i:02}.png": png(i) for i in range(10)}
    files |= {"read me.txt": b"hi", "cut.png": png()[:60], "fake.jpg": b"nothing"}
    path = lay_out(tmp_path / "x", {**files, ".DS_Store": b"x", "Thumbs.db": b"x"})
    os.symlink(tmp_path / "nowhere", path / "dangling.png")
    dataset = load(path)
    assert len(dataset.train) + len(dataset.validation) == 10
    (note,) = dataset.notes
    assert note.startswith("4 of 14 files were skipped: cut.png (damaged: ")
    listed = "dangling.png (a link to nowhere), fake.jpg (no image), read me.txt (no image)."
    assert note.endswith(listed)
    assert load(path).notes == dataset.notes  # from the cache too


def test_a_long_list_is_cut() -> None:
    skips = [Skip(f"{i}.txt", "no image") for i in range(9)]
    assert skipped_note(skips, 120).endswith("4.txt (no image) and 4 more.")
    assert skipped_note(skips[:1], 2) == "1 of 2 files was skipped: 0.txt (no image)."


# --- labels ----------------------------------------------------------------------------------

folders = st.lists(st.sampled_from(["a", "b", "c d", "é"]), max_size=3).map("/".join)


@given(folders, st.lists(folders, min_size=1, max_size=12))
def test_labels_name_the_folder_below_what_all_share(root: str, below: list[str]) -> None:
    names = ["/".join(filter(None, [root, folder, f"{i}.png"])) for i, folder in enumerate(below)]
    found = folder_texts(names)
    parents = [name.rpartition("/")[0] for name in names]
    if len(set(parents)) == 1:
        assert found is None
        return
    assert found is not None
    label_names = set(found)
    assert len(label_names) == len(set(parents))
    for parent, shown in zip(parents, found, strict=True):
        assert parent.endswith(shown) if shown != NO_FOLDER else True
    # Not one leading folder is shared by all labels.
    heads = {name.split("/")[0] if name != NO_FOLDER else NO_FOLDER for name in label_names}
    assert len(heads) > 1


def test_images_beside_folders_get_a_label_of_their_own() -> None:
    found = folder_texts(["set/1.png", "set/cats/2.png", "set/cats/old/3.png"])
    assert found is not None and found.tolist() == [NO_FOLDER, "cats", "cats/old"]


# --- refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "There are no images in .*; at least 2 are needed, .* Add some images"),
        ({"a.png": png()}, "There is only one image in .*; at least 2"),
        ({"a.txt": b"x", "b.png": b"y"},
         r"There are no images in .* 2 of 2 files were skipped: a.txt \(no image\), b.png"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_too_few_images(tmp_path: Path, files: dict, message: str, packed: bool) -> None:
    path = tmp_path / ("x.zip" if packed else "x")
    path.mkdir() if not packed else None
    with pytest.raises(UserError, match=message):
        load(pack(path, files) if packed else lay_out(path, files))


def test_no_path_a_missing_path_and_an_unreadable_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"Name the folder or file"):
        load_dataset(DataConfig(dataset="folder"))
    with pytest.raises(
        UserError, match=r"There is no folder or file of images at .*/gone; check the path"
    ):
        load(tmp_path / "gone")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    # Not by permissions: root, which runs tests in containers, may read everything.
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"cannot be reached: Permission denied\. Check its"):
        load(tmp_path)


def test_a_folder_inside_that_cannot_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, {"a.png": png(0), "b.png": png(1), "shut/c.png": png(2)})
    scandir = os.scandir

    def refuse_one(path):
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_one)
    with pytest.raises(UserError, match=r"/shut cannot be reached: Permission denied"):
        load(tmp_path)
