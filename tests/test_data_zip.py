"""A zip from anywhere: read without unpacking, refused whole when it is unsafe."""

from __future__ import annotations

import io
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pictures import lay_out, pack, png
from vae_core.config import DataConfig
from vae_core.data import load_dataset
from vae_core.errors import UserError
from vae_core.imaging.archive import Limits
from vae_core.imaging.formats.zip import read_entry
from vae_core.imaging.walk import list_folder, open_pictures

PICTURES = [png(seed) for seed in range(4)]


def load(path: Path):
    return load_dataset(
        DataConfig(dataset="folder", data_dir=str(path), image_size=8, resize="stretch")
    )


def refusal(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(UserError) as refused, open_pictures(path, limits=limits or Limits()):
        pass
    return str(refused.value)


# --- names -----------------------------------------------------------------------------------

plain_part = st.text("abcXYZ019 _-éß漢", min_size=1, max_size=6).map(lambda text: text + "x")
picture_name = st.builds(
    lambda folders, stem, ending: "/".join([*folders, stem + ending]),
    st.lists(plain_part, max_size=3),
    plain_part,
    st.sampled_from([".png", ".JPG", ".webp", ".txt", ".md", ".zip", ".tiff"]),
)
names = st.lists(picture_name, min_size=1, max_size=8, unique_by=str.lower)


@settings(max_examples=25)
@given(names)
def test_a_zip_lists_what_the_unpacked_folder_lists(listed: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = {name: PICTURES[i % 4] + bytes([i]) for i, name in enumerate(listed)}
        packed = pack(Path(folder, "images.zip"), files)
        unpacked = lay_out(Path(folder, "unpacked"), files)
        plain = list_folder(unpacked)
        with open_pictures(packed) as listing:
            assert listing.names == plain.names
            assert [s.name for s in listing.skipped] == [s.name for s in plain.skipped]
            for either in (listing, plain):
                for index, name in enumerate(either.names):
                    assert either.read(index).file == files[name]


def test_the_digest_of_a_zip_follows_its_content(tmp_path: Path) -> None:
    digests = []
    for number, content in enumerate([b"one", b"one", b"two"]):
        with open_pictures(pack(tmp_path / f"{number}.zip", {"a.png": content})) as listing:
            digests.append(listing.digest())
    assert digests[0] == digests[1] != digests[2]


leading_out = st.one_of(
    st.builds(lambda a, b: f"{a}/../../{b}", plain_part, picture_name),
    picture_name.map(lambda name: f"../{name}"),
    picture_name.map(lambda name: f"..\\{name}"),
    picture_name.map(lambda name: f"/{name}"),
    picture_name.map(lambda name: f"\\\\server\\{name}"),
    picture_name.map(lambda name: f"C:\\{name}"),
    picture_name.map(lambda name: f"c:{name}"),
    plain_part.map(lambda name: f"{name}/.."),
)


@settings(max_examples=25)
@given(names, leading_out)
def test_one_name_that_leads_out_refuses_the_whole_zip(listed: list[str], evil: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = {**{name: PICTURES[0] for name in listed}, evil: PICTURES[1]}
        packed = pack(Path(folder, "images.zip"), files)
        assert "was refused" in refusal(packed)
        assert [path.name for path in Path(folder).iterdir()] == ["images.zip"]


def test_the_refusal_says_which_name_and_why(tmp_path: Path) -> None:
    message = refusal(pack(tmp_path / "a.zip", {"a.png": png(), "../b.png": png()}))
    assert message == (
        "a.zip was refused: the name '../b.png' leads out of the folder. "
        "Pack only your images and try again."
    )


# --- kinds of entries ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "word"),
    [(stat.S_IFLNK, "is a link"), (stat.S_IFIFO, "no ordinary file"), (stat.S_IFCHR, "ordinary")],
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: int, word: str) -> None:
    path = pack(tmp_path / "a.zip", {"good.png": png()})
    info = zipfile.ZipInfo("link.png")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    assert word in refusal(path)


def test_encrypted_entries_are_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": png()})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    assert "'a.png' is encrypted" in refusal(path)


def test_archives_inside_are_opened_and_what_is_wrong_with_one_is_said(tmp_path: Path) -> None:
    inner = pack(tmp_path / "inner.zip", {"c.png": png()}).read_bytes()
    files = {"a.png": png(0), "b.png": png(1), "more/inner.zip": inner, "bad.zip": inner[:40]}
    dataset = load(pack(tmp_path / "a.zip", files))
    assert "more/inner.zip/c.png" in {*dataset.train.files, *dataset.validation.files}
    assert dataset.notes[0].startswith("1 of 4 files was skipped: bad.zip (no zip file that can")


def test_what_systems_leave_behind_is_not_mentioned(tmp_path: Path) -> None:
    files = {
        "set/a.png": png(0), "set/b.png": png(1), "__MACOSX/set/._a.png": b"x",
        "set/.DS_Store": b"x", "set/Thumbs.db": b"x", ".hidden/c.png": png(2),
    }  # fmt: skip
    dataset = load(pack(tmp_path / "a.zip", files))
    assert dataset.notes == ()
    assert len(dataset.train) + len(dataset.validation) == 2


def test_names_as_various_packers_write_them(tmp_path: Path) -> None:
    files = {"./cats/a.png": png(0), "cats\\b.png": png(1), "dogs//c.png": png(2)}
    dataset = load(pack(tmp_path / "a.zip", files))
    assert sorted([*dataset.train.files, *dataset.validation.files]) == [
        "cats/a.png", "cats/b.png", "dogs/c.png",
    ]  # fmt: skip
    assert dataset.label_names == ("cats", "dogs") and dataset.notes == ()


# --- bombs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (Limits(entries=2), "it has more than 2 entries"),
        (Limits(total_bytes=250_000), "unpacks to 0.3 MB, more than 0.25 MB"),
        (Limits(file_bytes=99_999), "'0.png' unpacks to more than 0.1 MB"),
        (Limits(ratio=50, ratio_from=200_000), "times its size"),
    ],
)
def test_each_bound_refuses_a_bomb(tmp_path: Path, limits: Limits, word: str) -> None:
    path = pack(tmp_path / "a.zip", {f"{i}.png": bytes(100_000) for i in range(3)})
    assert word in refusal(path, limits)
    with open_pictures(path) as listing:  # as small as this, the usual bounds let it pass
        assert len(listing) == 3


def test_the_usual_bounds_stop_a_real_bomb(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("zeros.png", "w") as file,
    ):
        file.write(bytes(51_000_000))
    with pytest.raises(UserError, match=r"bomb\.zip was refused: it unpacks to \d+ times its size"):
        load(path)


def test_a_header_that_lies_about_the_size_gains_nothing(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": png(0), "b.png": png(1), "lie.png": bytes(5_000_000)})
    data = path.read_bytes().replace(struct.pack("<L", 5_000_000), struct.pack("<L", 1000))
    path.write_bytes(data)
    dataset = load(path)
    assert len(dataset.train) + len(dataset.validation) == 2
    assert "lie.png (damaged in the archive: " in dataset.notes[0]


def test_what_comes_out_is_counted_whatever_the_header_says(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": bytes(5000)})
    with open_pictures(path, limits=Limits(file_bytes=5000)) as listing:
        assert listing.read(0).size == 5000
    refused = pytest.raises(UserError, match=r"'a\.png' unpacks to more than")
    with zipfile.ZipFile(path) as archive, refused:
        read_entry(archive, archive.infolist()[0], Limits(file_bytes=4999))


# --- damage ----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip at all" * 100, png()])
def test_a_file_that_is_no_zip(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with pytest.raises(UserError, match="no zip file that can be read"):
        load(path)


def _whole() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, data in enumerate(PICTURES):
            archive.writestr(f"f{i % 2}/{i}.png", data)
    return buffer.getvalue()


WHOLE = _whole()


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, len(WHOLE)) | st.just(len(WHOLE)),
)
def test_a_damaged_zip_gives_images_or_a_sentence(
    edits: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(WHOLE)
    for place, value in edits:
        data[place] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.zip")
        path.write_bytes(data[:length])
        try:
            dataset = load(path)
        except UserError as error:
            assert "\n" not in str(error) and str(error).endswith(".")
        else:
            images = dataset.train.images.gather(np.arange(len(dataset.train)))
            assert images.dtype == np.uint8 and images.shape[1:] == (3, 8, 8)
