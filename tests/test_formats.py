"""Every format that is read: how many pictures a file holds, their values, labels and names."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pillow_heif
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet
import pydicom
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from pydicom.dataset import Dataset as DicomDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.pictures import encoded, lay_out, pack, picture, png
from vae_core.config import DataConfig
from vae_core.data import load_dataset
from vae_core.errors import UserError
from vae_core.imaging import kinds
from vae_core.imaging.decode import Reader, read_values
from vae_core.imaging.decoder import Decoder
from vae_core.imaging.fit import Target
from vae_core.imaging.formats import archives, formats
from vae_core.imaging.formats.gif import has_frames as gif_has_frames
from vae_core.imaging.formats.png import has_frames as png_has_frames
from vae_core.imaging.formats.tiff import has_pages
from vae_core.imaging.kinds import NotAnImage, kind_of
from vae_core.imaging.listing import Listing
from vae_core.imaging.numbers import as_values, layout_of, turned
from vae_core.imaging.sniffed import format_of
from vae_core.imaging.walk import list_folder, open_pictures

CASES = Path(__file__).resolve().parents[1] / "shared" / "cases"
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (10, 24, 20), np.uint8)
FRAMES = [Image.fromarray(RNG.integers(0, 256, (24, 20, 3), np.uint8)) for _ in range(6)]


def values(listing: Listing, index: int) -> np.ndarray:
    reader = Reader()
    try:
        return reader.values(listing.read(index))
    finally:
        reader.close()


def listed(path: Path, **wishes) -> tuple[Listing, list[np.ndarray]]:
    """What a place holds, every picture read as the decoders do: in order, by one reader."""
    with open_pictures(path, **wishes) as listing:
        reader = Reader()
        found = [reader.values(listing.read(i)) for i in range(len(listing))]
        reader.close()
    return listing, found


def reasons(path: Path) -> dict[str, str]:
    with open_pictures(path) as listing:
        return {skip.name: skip.reason for skip in listing.skipped}


# --- pages and frames --------------------------------------------------------------------------


def stack(path: Path, pages: int = 40, first: int = 0) -> Path:
    shades = range(first, first + 6 * pages, 6)
    frames = [Image.fromarray(np.full((32, 32), shade, np.uint8)) for shade in shades]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


@pytest.mark.parametrize("place", ["alone", "folder", "zip"])
def test_every_page_of_a_tiff_is_a_picture_of_its_own(tmp_path: Path, place: str) -> None:
    path = stack(tmp_path / "stack.tif")
    if place == "zip":
        path = pack(tmp_path / "a.zip", {"in/stack.tif": path.read_bytes()})
    elif place == "folder":
        path = lay_out(tmp_path / "x", {"in/stack.tif": path.read_bytes()})
    listing, found = listed(path)
    inside = "" if place == "alone" else "in/"
    assert listing.names == tuple(f"{inside}stack.tif#{i:02d}" for i in range(1, 41))
    assert [int(each[0, 0, 0]) for each in found] == [6 * i for i in range(40)]
    (note,) = listing.notes
    assert note == f"{inside}stack.tif holds 40 pages; each is a picture of its own."


def test_the_first_page_alone_where_that_is_asked_for(tmp_path: Path) -> None:
    stack(tmp_path / "x.tif", 9)
    stack(tmp_path / "y.tif", 4, 101)
    listing, _ = listed(tmp_path, pages="first")
    assert listing.names == ("x.tif#1", "y.tif#1")
    (note,) = listing.notes
    assert note == (
        "2 files hold 13 pictures (x.tif has 9 pages); the first of each was taken and 11 were "
        "left out, as data.pages says: all takes every one."
    )
    for pages, count in (("all", 13), ("first", 2)):
        config = DataConfig(dataset="folder", data_dir=str(tmp_path), pages=pages, image_size=16)
        dataset = load_dataset(config)
        assert len(dataset.train) + len(dataset.validation) == count
        assert any(each.startswith("2 files hold 13 pictures") for each in dataset.notes)


def test_the_stack_of_forty_trains_with_defaults_as_forty_images(tmp_path: Path) -> None:
    stack(tmp_path / "stack.tif")
    dataset = load_dataset(DataConfig(dataset="folder", data_dir=str(tmp_path / "stack.tif")))
    files = sorted([*dataset.train.files, *dataset.validation.files])
    assert files == [f"stack.tif#{i:02d}" for i in range(1, 41)]


@pytest.mark.parametrize(
    ("ending", "kind", "options"),
    [("gif", "GIF", {}), ("webp", "WEBP", {"lossless": True}), ("png", "PNG", {}),
     ("avif", "AVIF", {"quality": 100})],
)  # fmt: skip
def test_every_frame_of_an_animation(tmp_path: Path, ending: str, kind: str, options) -> None:
    path = tmp_path / f"moving.{ending}"
    FRAMES[0].save(path, kind, save_all=True, append_images=FRAMES[1:], duration=50, **options)
    listing, found = listed(path)
    assert listing.names == tuple(f"moving.{ending}#{i}" for i in range(1, 7))
    for frame, each in zip(FRAMES, found, strict=True):
        gap = abs(each.astype(int) - np.asarray(frame)).mean()
        assert gap < (60 if kind in ("GIF", "AVIF") else 0.1)
    with open_pictures(path) as again:  # in any order
        reader = Reader()
        for i in (4, 1, 5, 0, 3, 2, 2):
            assert (reader.values(again.read(i)) == found[i]).all()
        reader.close()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF", "HEIF"])
def test_a_still_picture_of_a_kind_that_may_move_keeps_its_name(tmp_path: Path, kind: str) -> None:
    pillow_heif.register_heif_opener()
    path = tmp_path / f"still.{'heic' if kind == 'HEIF' else kind.lower()}"
    FRAMES[0].save(path, kind)
    listing, found = listed(path)
    assert listing.names == (path.name,) and listing.notes == ()
    assert found[0].shape == (24, 20, 3)


def test_thumbnails_and_masks_are_no_pages(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "p.tif") as out:
        out.write(GREY[0])
        out.write(GREY[0][::2, ::2], subfiletype=1)
        out.write(GREY[1])
    listing, found = listed(tmp_path / "p.tif")
    assert len(listing) == 2 and (found[1][:, :, 0] == GREY[1]).all()


# --- what TIFFs and PNGs hold ------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "int16", "int32", "float32", "uint32", "float16", "float64"]
)
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_measured_tiffs_keep_their_values(tmp_path: Path, dtype: str, compression) -> None:
    array = (RNG.random((24, 20)) * 250 - (0 if dtype[0] == "u" else 100)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", array, compression=compression)
    (found,) = listed(tmp_path / "a.tif")[1]
    assert found.dtype.name in ("uint8", "uint16", "int16", "int32", "float32")
    assert np.array_equal(found[:, :, 0].astype(np.float64), array.astype(np.float32))


@pytest.mark.parametrize(
    ("dtype", "low"),
    [("uint32", 3e9), ("uint64", 2**40), ("int64", -(2**40)), ("float64", 1e9), ("float64", -1e12)],
)
def test_a_narrow_range_far_from_zero_is_kept(tmp_path: Path, dtype: str, low: float) -> None:
    """As single floats all of these pictures were copies of one."""
    pictures = (np.linspace(0, 100, 480).reshape(24, 20) + low + i for i in range(4))
    for i, each in enumerate(pictures):
        tifffile.imwrite(tmp_path / f"{i}.tif", each.astype(dtype))
    dataset = load_dataset(DataConfig(dataset="folder", data_dir=str(tmp_path)))
    shown = dataset.train.images.gather(np.arange(len(dataset.train)))
    assert shown.std() > 60 and len(np.unique(shown[0])) > 90


@pytest.mark.parametrize("channels", [2, 5, 7, 16])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiffs_of_many_channels(tmp_path: Path, channels: int, planar: str) -> None:
    array = RNG.integers(0, 4096, (24, 20, channels)).astype(np.uint16)
    stored = array if planar == "contig" else array.transpose(2, 0, 1)
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=planar,
        compression="zlib",
    )  # fmt: skip
    (found,) = listed(tmp_path / "a.tif")[1]
    assert found.dtype == np.uint16 and np.array_equal(found, array)


def test_twelve_bits_packed(tmp_path: Path) -> None:
    array = RNG.integers(0, 4096, (24, 20)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", array, bitspersample=12)
    (found,) = listed(tmp_path / "a.tif")[1]
    assert np.array_equal(found[:, :, 0], array)


@pytest.mark.parametrize("how", [{"imagej": True}, {"truncate": True}, {"bigtiff": True},
                                 {"ome": True}])  # fmt: skip
def test_stacks_of_other_writers(tmp_path: Path, how) -> None:
    array = GREY.astype(np.uint16)
    path = tmp_path / ("a.ome.tif" if "ome" in how else "a.tif")
    tifffile.imwrite(path, array, photometric="minisblack", **how)
    listing, found = listed(path)
    assert len(listing) == 10 and np.array_equal(np.stack(found)[..., 0], array)


def test_deep_colour_keeps_sixteen_bits(tmp_path: Path) -> None:
    import imagecodecs

    array = RNG.integers(0, 65536, (24, 20, 3)).astype(np.uint16)
    ppm = b"P6 20 24 65535\n" + array.astype(">u2").tobytes()
    lay_out(tmp_path, {"a.png": imagecodecs.png_encode(array), "b.ppm": ppm})
    tifffile.imwrite(tmp_path / "c.tif", array)
    for found in listed(tmp_path)[1]:
        assert found.dtype == np.uint16 and np.array_equal(found, array)


def test_a_deep_tiff_is_turned_upright(tmp_path: Path) -> None:
    for number in range(1, 9):
        tifffile.imwrite(tmp_path / f"{number}.tif", GREY[0].astype(np.int16),
                         extratags=[(274, 3, 1, number, True)])  # fmt: skip
        Image.fromarray(GREY[0]).save(tmp_path / f"{number}.png")
        exif = Image.Exif()
        exif[0x0112] = number
        Image.fromarray(GREY[0]).save(tmp_path / f"{number}.png", exif=exif)
    _, found = listed(tmp_path)
    for of_png, of_tiff in zip(found[::2], found[1::2], strict=True):
        assert np.array_equal(of_png, of_tiff)
    with pytest.raises(AssertionError):
        assert np.array_equal(found[0], found[2])


@given(st.integers(1, 8))
def test_turning_is_undone_by_its_inverse(number: int) -> None:
    inverse = {6: 8, 8: 6}.get(number, number)
    array = GREY[0][:, :, None]
    assert np.array_equal(turned(turned(array, number), inverse), array)


def test_a_page_that_is_cut_short_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RNG.integers(0, 255, (5, 64, 64), np.uint8), photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        last = file.pages[4].dataoffsets[0]
    data = bytearray(path.read_bytes())
    offset = data.index(last.to_bytes(4, "little"), 200)
    data[offset : offset + 4] = (len(data) - 10).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    with open_pictures(path) as listing:
        assert len(listing) == 5
        reader = Reader()
        good = 0
        for i in range(5):
            try:
                good += reader.values(listing.read(i)).shape == (64, 64, 1)
            except NotAnImage as reason:
                assert str(reason).startswith("damaged")
        assert good == 4


# --- profiles ----------------------------------------------------------------------------------


def _swapped_profile() -> bytes:
    """A profile of a screen whose green is brighter: sRGB's own is left alone."""
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    name = b"s\0R\0G\0B\0"
    for old in (b"sRGB", name, b"\0s\0R\0G\0B"):
        while old in srgb:
            at = srgb.index(old)
            srgb[at : at + len(old)] = old.replace(b"R", b"X")
    red, green = srgb.index(b"rXYZ"), srgb.index(b"gXYZ")
    srgb[red : red + 4], srgb[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(srgb)


def test_an_embedded_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    flat = Image.new("RGB", (20, 20), (200, 40, 90))
    for kind in ("PNG", "JPEG", "TIFF", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {"quality": 100}
        data = encoded(flat, kind, icc_profile=_swapped_profile(), **options)
        found = read_values(io.BytesIO(data))[10, 10]
        assert abs(found.astype(int) - (40, 200, 90)).max() <= 3, kind


def test_a_profile_that_is_broken_or_of_another_kind_stops_no_picture() -> None:
    flat = Image.new("RGB", (20, 20), (200, 40, 90))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey = encoded(Image.new("L", (20, 20), 77), icc_profile=srgb)
    assert (read_values(io.BytesIO(grey)) == 77).all()
    for profile in (b"nothing", srgb[:200], b"\0" * 500, srgb):
        data = encoded(flat, icc_profile=profile)
        assert (read_values(io.BytesIO(data)) == (200, 40, 90)).all()


# --- arrays ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "count", "one"),
    [((5, 24, 20), 5, (24, 20, 1)), ((5, 24, 20, 3), 5, (24, 20, 3)), ((24, 20), 1, (24, 20, 1)),
     ((24, 20, 3), 1, (24, 20, 3)), ((5, 3, 24, 20), 5, (24, 20, 3)),
     ((1797, 8, 8), 1797, (8, 8, 1)), ((64, 64, 12), 1, (64, 64, 12)),
     ((2, 3, 24, 20, 3), 6, (24, 20, 3))],
)  # fmt: skip
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_shape(tmp_path: Path, shape, count: int, one, order: str) -> None:
    array = RNG.random(shape).astype(np.float32)
    np.save(tmp_path / "a.npy", np.asarray(array, order=order))
    np.savez_compressed(tmp_path / "b.npz", np.asarray(array, order=order))
    for name in ("a.npy", "b.npz"):
        if name == "b.npz" and min(one[:2]) < 8:
            continue
        listing, found = listed(tmp_path / name)
        assert len(listing) == count and found[0].shape == one
        flat = np.concatenate([each.ravel() for each in found])
        if shape != (5, 3, 24, 20):
            assert np.array_equal(flat, array.ravel())
        else:
            assert np.array_equal(found[4], array[4].transpose(1, 2, 0))


def test_objects_are_never_loaded(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path(tmp_path / "was-here").touch, ())

    np.save(tmp_path / "a.npy", np.array([Evil(), 1], object), allow_pickle=True)
    np.savez(tmp_path / "b.npz", x=np.array([Evil(), 1], object))
    found = reasons(tmp_path)
    assert "Python objects" in found["a.npy"] and "no array of pictures" in found["b.npz"]
    assert not (tmp_path / "was-here").exists()


def test_parts_and_labels_of_an_npz(tmp_path: Path) -> None:
    labels = np.arange(10)[:, None] % 3
    np.savez(tmp_path / "m.npz", train_images=GREY, train_labels=labels, test_images=255 - GREY,
             test_labels=labels[::-1])  # fmt: skip
    listing, _ = listed(tmp_path / "m.npz")
    assert listing.names[0] == "train/m.npz#01" and listing.names[-1] == "test/m.npz#10"
    assert listing.labels == [str(i % 3) for i in [*range(10), *range(9, -1, -1)]]
    dataset = load_dataset(
        DataConfig(dataset="folder", data_dir=str(tmp_path / "m.npz"), image_size=16)
    )
    assert dataset.test is not None and len(dataset.test) == 10


def test_a_large_array_is_read_by_parts(tmp_path: Path) -> None:
    array = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (400, 512, 512))
    array[399] = 7
    array.flush()
    del array
    with open_pictures(tmp_path / "a.npy") as listing:
        tracemalloc.start()
        assert (values(listing, 399) == 7).all()
        assert tracemalloc.get_traced_memory()[1] < 3e6
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [(0, 24, 20), (5, 0, 20), (7,), (), (3, 24, 20, 40, 40, 17)])
def test_arrays_that_hold_no_pictures_are_told_in_a_sentence(tmp_path: Path, shape) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    if len(shape) == 6:
        assert len(listed(tmp_path / "a.npy")[0]) == 3 * 24 * 20 * 40
        return
    assert "array of shape" in reasons(tmp_path)["a.npy"]


def test_what_is_no_number_stays_for_the_scale_of_the_collection() -> None:
    found = as_values(np.array([[2.0, 5.0], [np.nan, np.inf]]))[:, :, 0]
    assert np.array_equal(found, [[2, 5], [np.nan, np.inf]], equal_nan=True)
    with pytest.raises(NotAnImage, match="not one number in it is finite"):
        as_values(np.full((4, 4), np.nan))


@given(st.lists(st.integers(1, 70), min_size=2, max_size=5))
def test_a_layout_counts_every_number_of_an_array(shape: list[int]) -> None:
    layout = layout_of(tuple(shape))
    assert layout.count * np.prod(layout.shape) == np.prod(shape)
    assert 1 <= layout.shape[2] <= 16


# --- tables ------------------------------------------------------------------------------------


def hub_table() -> pa.Table:
    cells = [{"bytes": encoded(f), "path": f"holiday/img{i}.png"} for i, f in enumerate(FRAMES)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": ["cat", "dog"]},
        "age": {"_type": "Value", "dtype": "int64"},
    }
    about = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    columns = {
        "image": pa.array(cells, kind),
        "label": pa.array([0, 1, 0, 1, 0, None]),
        "age": pa.array([1, 2, None, 4, 5, 6]),
    }
    return pa.table(columns).replace_schema_metadata(about)


def _write_stream(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table, max_chunksize=4)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.parquet", lambda table, path: parquet.write_table(table, path, row_group_size=4)),
        ("t.feather", lambda table, path: feather.write_feather(table, path, compression="lz4")),
        ("t.arrow", _write_stream),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_tables_of_the_hub(tmp_path: Path, name: str, write: Callable, packed: bool) -> None:
    path = tmp_path / name
    write(hub_table(), path)
    if packed:
        path = pack(tmp_path / "a.zip", {name: path.read_bytes()})
    listing, found = listed(path)
    assert listing.names == tuple(f"{name}#img{i}.png" for i in range(6))
    assert listing.labels == ["cat", "dog", "cat", "dog", "cat", ""]
    assert listing.columns == {"age": [1, 2, None, 4, 5, 6]}
    for frame, each in zip(FRAMES, found, strict=True):
        assert np.array_equal(each, np.asarray(frame))
    with open_pictures(path) as again:
        reader = Reader()
        for i in (5, 0, 3, 4, 1):
            assert np.array_equal(reader.values(again.read(i)), found[i])


def test_tables_of_bytes_and_of_lists(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"x": [encoded(f) for f in FRAMES]}), tmp_path / "a.parquet")
    lists = {"img": [g.tolist() for g in GREY], "y": [str(i % 2) for i in range(10)]}
    parquet.write_table(pa.table(lists), tmp_path / "b.parquet")
    listing, found = listed(tmp_path)
    assert len(listing) == 16 and np.array_equal(found[0], np.asarray(FRAMES[0]))
    assert np.array_equal(np.stack(found[6:])[..., 0], GREY) and found[6].dtype == np.uint8
    assert listing.labels == [""] * 6 + [str(i % 2) for i in range(10)]


def test_a_table_without_pictures_and_cells_without_bytes(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"a": [1, 2]}), tmp_path / "none.parquet")
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = pa.array([{"bytes": None, "path": "/etc/passwd"}, None], kind)
    parquet.write_table(pa.table({"image": cells}), tmp_path / "elsewhere.parquet")
    assert reasons(tmp_path)["none.parquet"] == "no column of pictures in it (a (int64))"
    with open_pictures(tmp_path / "elsewhere.parquet") as listing:
        for i, word in enumerate(["only names another file", "an empty cell"]):
            with pytest.raises(NotAnImage, match=word):
                values(listing, i)


# --- HDF5 --------------------------------------------------------------------------------------


def test_hdf5_takes_pictures_with_their_labels_and_nothing_else(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", data=GREY, compression="gzip", chunks=(4, 24, 20))
        file["labels"] = np.arange(10) % 2
        file["features"] = RNG.random((10, 500))
        file["text"] = "hello"
    listing, found = listed(tmp_path / "a.h5")
    assert listing.names[0] == "a.h5#01" and listing.labels == [str(i % 2) for i in range(10)]
    assert np.array_equal(np.stack(found)[..., 0], GREY)


def test_hdf5_opens_no_other_file(tmp_path: Path) -> None:
    np.ascontiguousarray(GREY).tofile(tmp_path / "secret.raw")
    with h5py.File(tmp_path / "other.hdf", "w") as other:
        other["images"] = GREY
    layout = h5py.VirtualLayout((10, 24, 20), np.uint8)
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.hdf"), "images", (10, 24, 20))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["link"] = h5py.ExternalLink(str(tmp_path / "other.hdf"), "images")
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (10, 24, 20), np.uint8,
                            external=[(str(tmp_path / "secret.raw"), 0, GREY.nbytes)])  # fmt: skip
    with open_pictures(tmp_path / "a.h5") as listing:
        assert len(listing) == 0
        assert "no array of pictures in it" in listing.skipped[0].reason


# --- medical -----------------------------------------------------------------------------------


def dicom(array: np.ndarray, **tags) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = DicomDataset()
    file.file_meta = meta
    file.Rows, file.Columns = array.shape[-2:]
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    file.PatientName, file.PatientID, file.Modality = "Somebody", "42", "CT"
    for name, value in tags.items():
        setattr(file, name, value)
    file.PixelData = array.astype("<u2").tobytes()
    out = io.BytesIO()
    pydicom.dcmwrite(out, file, enforce_file_format=True)
    return out.getvalue()


def test_dicom_series_in_hounsfield_units(tmp_path: Path) -> None:
    array = GREY.astype(np.uint16) * 16
    lay_out(tmp_path, {
        "ct/1.dcm": dicom(array[0], RescaleSlope=2, RescaleIntercept=-1024),
        "ct/IM000002": dicom(array[1], RescaleSlope=2, RescaleIntercept=-1024),
        "multi.dcm": dicom(array, NumberOfFrames=10),
        "xray.dcm": dicom(array[2], PhotometricInterpretation="MONOCHROME1"),
    })  # fmt: skip
    listing, found = listed(tmp_path)
    assert listing.names == ("ct/1.dcm", "ct/IM000002",
                             *(f"multi.dcm#{i:02d}" for i in range(1, 11)), "xray.dcm")  # fmt: skip
    assert found[0].dtype == np.float32
    assert np.array_equal(found[1][:, :, 0], array[1] * 2.0 - 1024)
    assert np.array_equal(found[6][:, :, 0], array[4])
    assert np.array_equal(found[-1][:, :, 0], 4095 - array[2])
    assert listing.columns["modality"] == ["CT"] * 13
    assert not any("Somebody" in map(str, column) or "42" in map(str, column)
                   for column in listing.columns.values())  # fmt: skip


def fits(values: np.ndarray, bits: int, **cards: float | str) -> bytes:
    """The bytes of a FITS, whose first row is the lowest."""
    sides = values.shape[::-1]
    said = {"SIMPLE": "T", "BITPIX": bits, "NAXIS": len(sides),
            **{f"NAXIS{i}": side for i, side in enumerate(sides, 1)}, **cards}  # fmt: skip
    head = "".join(f"{name:<8}= {value:>20}".ljust(80) for name, value in said.items())
    packed = (head + "END".ljust(80)).encode()
    body = values[..., ::-1, :].tobytes()
    return packed + b" " * (-len(packed) % 2880) + body + bytes(-len(body) % 2880)


@pytest.mark.parametrize(
    ("bits", "stored", "cards"),
    [
        (8, "u1", {}), (16, ">i2", {}), (32, ">i4", {}), (-32, ">f4", {}), (-64, ">f8", {}),
        (16, ">i2", {"BZERO": 32768}), (16, ">i2", {"BSCALE": 0.5, "BZERO": -100.25}),
        (8, "u1", {"BZERO": -128}), (16, ">i2", {"BSCALE": "2.5D+0"}),
    ],
)  # fmt: skip
def test_fits_has_the_values_that_are_meant(tmp_path: Path, bits: int, stored, cards) -> None:
    """16 bits were taken for unsigned ones, and neither scale nor zero was asked for."""
    grey = GREY[0].astype(np.float64) - (0 if bits == 8 else 130)
    path = tmp_path / "sky.fits"
    path.write_bytes(fits(grey.astype(stored), bits, **cards))
    listing, (found,) = listed(path)
    scale = float(str(cards.get("BSCALE", 1)).replace("D", "E"))
    assert listing.names == ("sky.fits",)
    np.testing.assert_allclose(found[:, :, 0], grey * scale + cards.get("BZERO", 0))
    if cards == {"BZERO": 32768}:
        assert found.dtype == np.uint16


def test_a_fits_of_several_planes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cube.fits").write_bytes(fits(GREY[:3], 8))
    with pytest.raises(NotAnImage, match="a FITS of 3 planes, and those of one are read"):
        listed(tmp_path / "cube.fits")


def nameless() -> dict[str, bytes]:
    """What is known by its first bytes, under names that tell nothing; 3 pictures but of NIfTI."""
    grey = GREY.astype(np.uint16) * 16
    volume = nibabel.Nifti1Image(RNG.integers(0, 100, (20, 24, 3)).astype(np.int16), np.eye(4))
    second = nibabel.Nifti2Image(RNG.integers(0, 100, (20, 24, 3)).astype(np.int16), np.eye(4))
    stack = io.BytesIO()
    tifffile.imwrite(stack, grey[:3], photometric="minisblack")
    return {
        "IM000001": dicom(grey[:3], NumberOfFrames=3),
        "1.2.840.113619.2.55": dicom(grey[3:6], NumberOfFrames=3),
        "scan.dat": volume.to_bytes(),
        "brain": second.to_bytes(),
        "packed.gz": gzip.compress(volume.to_bytes()),
        "stack.bin": stack.getvalue(),
    }


NAMELESS = ("IM000001", "1.2.840.113619.2.55", "scan.dat", "brain", "packed.gz", "stack.bin")


@pytest.mark.parametrize("name", NAMELESS)
@pytest.mark.parametrize("place", ["alone", "folder", "zip", "tar.gz", "zip in zip"])
def test_what_a_name_does_not_tell_its_first_bytes_do(
    tmp_path: Path, name: str, place: str
) -> None:
    """Of DICOM it was so in folders alone, and where the name had no dot."""
    data = nameless()[name]
    match place:
        case "alone" | "folder":
            path = lay_out(tmp_path, {f"d/{name}": data}) / "d"
            path = path / name if place == "alone" else path
        case "zip":
            path = pack(tmp_path / "a.zip", {name: data})
        case "zip in zip":
            inner = pack(tmp_path / "b.zip", {name: data}).read_bytes()
            path = pack(tmp_path / "a.zip", {"b.zip": inner})
        case _:
            path = tmp_path / "a.tar.gz"
            with tarfile.open(path, "w:gz") as tar:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    listing, found = listed(path)
    before = "b.zip/" if place == "zip in zip" else ""
    assert listing.names == tuple(f"{before}{name}#{i}" for i in (1, 2, 3))
    assert listing.skipped == () and all(each.std() > 0 for each in found)


def test_texts_are_not_looked_into_and_what_is_none_is_skipped(tmp_path: Path) -> None:
    lay_out(tmp_path, {
        "a.png": png(1), "notes.txt": b"GIF89a", "film.mp4": b"GIF89a", "raw.dat": b"\0" * 600,
        "cut": b"\x1f\x8b\x08", "empty": b"", "photo": png(2),
    })  # fmt: skip
    listing, _ = listed(tmp_path)
    assert listing.names == ("a.png", "photo")
    assert {skip.name for skip in listing.skipped} == {
        "notes.txt", "film.mp4", "raw.dat", "cut", "empty",
    }  # fmt: skip


@given(noise=st.binary(max_size=600), mark=st.sampled_from([b"", b"\x1f\x8b\x08", b"RIFF"]))
def test_first_bytes_of_anything_are_a_format_or_none(noise: bytes, mark: bytes) -> None:
    found = format_of(mark + noise)
    assert found is None or any(
        (mark + noise).startswith(each, place) for place, each in found.marks
    ) or mark == b"\x1f\x8b\x08"  # fmt: skip


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti_slices_are_upright(tmp_path: Path, ending: str) -> None:
    volume = np.zeros((20, 24, 7), np.int16)
    volume[:, -4:] = 100  # in front
    volume[-3:] += 50  # on the patient's right
    image = nibabel.Nifti1Image(volume, np.diag([1.0, 1, 2, 1]))
    nibabel.save(image, tmp_path / f"v{ending}")
    listing, found = listed(tmp_path / f"v{ending}")
    assert listing.names == tuple(f"v{ending}#{i}" for i in range(1, 8))
    one = found[3][:, :, 0]
    assert one.shape == (24, 20) and (one[:4] >= 100).all() and (one[4:, 3:] == 0).all()
    assert (one[4:, :3] == 50).all()


def test_nifti_of_many_volumes_with_a_scale(tmp_path: Path) -> None:
    volume = RNG.integers(0, 100, (20, 24, 3, 4)).astype(np.int16)
    image = nibabel.Nifti1Image(volume, np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / "v.nii.gz")
    _, found = listed(tmp_path / "v.nii.gz")
    assert len(found) == 12 and found[0].dtype == np.float32
    plane = nibabel.load(tmp_path / "v.nii.gz").get_fdata()[:, :, 1, 2]
    assert np.allclose(found[7][:, :, 0], plane.T[::-1, ::-1])


# --- tars --------------------------------------------------------------------------------------


def tarred(files: dict[str, bytes], mode: str = "w", more=()) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in more:
            archive.addfile(info)
    return out.getvalue()


def shard(first: int, count: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for i in range(first, first + count):
        found[f"{i:04d}.png"] = png(i)
        found[f"{i:04d}.cls"] = str(i % 2).encode()
        found[f"{i:04d}.json"] = json.dumps({"age": i, "who": "me", "box": [1, 2]}).encode()
        found[f"{i:04d}.txt"] = b"a picture\nof it"
    return found


@pytest.mark.parametrize(
    ("name", "mode"), [("s.tar", "w"), ("s.tar.gz", "w:gz"), ("s.tgz", "w:gz")]
)
def test_a_shard_of_webdataset(tmp_path: Path, name: str, mode: str) -> None:
    lay_out(tmp_path, {name: tarred(shard(0, 5), mode)})
    listing, found = listed(tmp_path / name)
    assert listing.names == tuple(f"{i:04d}.png" for i in range(5)) and listing.skipped == ()
    assert listing.labels == ["0", "1", "0", "1", "0"]
    assert listing.columns == {"age": [0, 1, 2, 3, 4], "who": ["me"] * 5,
                               "txt": ["a picture of it"] * 5}  # fmt: skip
    assert np.array_equal(found[3], np.asarray(picture(3)))


def test_shards_in_a_folder(tmp_path: Path) -> None:
    for i in range(3):
        lay_out(tmp_path, {f"shard-{i:03d}.tar": tarred(shard(4 * i, 4))})
    listing, _ = listed(tmp_path)
    assert len(listing) == 12 and listing.names[5] == "shard-001.tar/0005.png"
    assert listing.labels == ["0", "1"] * 6 and listing.columns["age"] == list(range(12))


def test_more_archives_than_stay_open(tmp_path: Path, monkeypatch) -> None:
    from vae_core.imaging import walk as module

    monkeypatch.setattr(module, "KEPT_OPEN", 2)
    lay_out(tmp_path, {f"{i}.tar": tarred({"a.png": png(i)}) for i in range(6)})
    lay_out(tmp_path, {"x.zip": pack(tmp_path / "x.zip", {"a.png": png(9)}).read_bytes()})
    listing, found = listed(tmp_path)
    assert len(listing) == 7 and np.array_equal(found[5], np.asarray(picture(5)))


def test_links_and_devices_in_a_tar_are_left_out(tmp_path: Path) -> None:
    more = []
    for name, kind in (("l.png", tarfile.SYMTYPE), ("h.png", tarfile.LNKTYPE),
                       ("d.png", tarfile.CHRTYPE), ("p.png", tarfile.FIFOTYPE)):  # fmt: skip
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        more.append(info)
    lay_out(tmp_path, {"a.tar": tarred({"x.png": png(1)}, more=more)})
    listing, _ = listed(tmp_path / "a.tar")
    assert listing.names == ("x.png",)
    assert {skip.name: skip.reason for skip in listing.skipped} == {
        "l.png": "a link", "h.png": "a link", "d.png": "no ordinary file",
        "p.png": "no ordinary file",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a/../../x.png"])
def test_a_name_that_leads_out_refuses_the_tar(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path, {"a.tar": tarred({"ok.png": png(), name: png(1)})})
    with pytest.raises(UserError, match=r"a\.tar was refused: the name .*\. Pack only"):
        listed(tmp_path / "a.tar")
    listing, _ = listed(lay_out(tmp_path, {"good.png": png()}))  # among others it is left out
    assert listing.names == ("good.png",) and "refused: the name" in listing.skipped[0].reason


def test_a_bomb_of_a_tar_gz_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(tarred({"zeros.png": bytes(60_000_000)}), 1)
    lay_out(tmp_path, {"a.tar.gz": packed})
    with pytest.raises(UserError, match=r"a\.tar\.gz was refused: it unpacks to \d+ times its"):
        listed(tmp_path / "a.tar.gz")


def test_a_tar_gz_is_read_in_any_order(tmp_path: Path, monkeypatch) -> None:
    from vae_core.imaging import gzipped

    monkeypatch.setattr(gzipped, "BETWEEN", 10_000)
    files = {
        f"{i:03d}.png": encoded(picture(i, size=(90, 70)), compress_level=0) for i in range(40)
    }
    half = len(tarred(files)) // 2
    whole = tarred(files)
    two = gzip.compress(whole[:half]) + gzip.compress(whole[half:])  # one gzip after another
    lay_out(tmp_path, {"a.tar.gz": two})
    with open_pictures(tmp_path / "a.tar.gz") as listing:
        for i in np.random.default_rng(1).permutation(40).tolist():
            assert listing.read(i).file == files[f"{i:03d}.png"]


# --- archives in archives ----------------------------------------------------------------------


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_archives_in_archives_are_opened_once(tmp_path: Path) -> None:
    inner = zipped({"c.png": png(2), "deeper.zip": zipped({"d.png": png(3)})})
    files = {"a.png": png(0), "in/inner.zip": inner, "in/s.tar": tarred(shard(0, 2)),
             "s.tar.gz": tarred({"e.png": png(4)}, "w:gz")}  # fmt: skip
    listing, found = listed(pack(tmp_path / "a.zip", files))
    assert listing.names == ("a.png", "in/inner.zip/c.png", "in/s.tar/0000.png",
                             "in/s.tar/0001.png", "s.tar.gz/e.png")  # fmt: skip
    assert np.array_equal(found[1], np.asarray(picture(2)))
    (skip,) = listing.skipped
    assert skip.name == "in/inner.zip/deeper.zip"
    assert skip.reason == "an archive in an archive in an archive; unpack the outermost"
    assert listing.labels == ["", "", "0", "1", ""]


def test_bounds_hold_for_all_archives_in_one(tmp_path: Path) -> None:
    from vae_core.imaging.archive import Limits

    path = pack(tmp_path / "a.zip", {f"{i}.zip": zipped({"x.png": png(i)}) for i in range(9)})
    with open_pictures(path, limits=Limits(entries=12)) as listing:
        assert len(listing) == 3
        assert all("more than 12 files in one archive" in each.reason for each in listing.skipped)


def test_a_password_says_so(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": png()})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.zip was refused: it is protected by a password"):
        listed(path)
    lay_out(tmp_path, {"b.png": png(1)})
    assert reasons(tmp_path)["a.zip"].startswith("refused: it is protected by a password")


def test_other_archives_say_what_to_do(tmp_path: Path) -> None:
    lay_out(tmp_path, {"a.7z": b"7z", "b.tar.xz": b"x", "c.rar": b"r"})
    assert set(reasons(tmp_path).values()) == {
        "an archive of a kind that is not read; pack it as .zip or .tar.gz"
    }
    with pytest.raises(UserError, match=r"is of no kind that can be read; what can be is JPEG, PN"):
        listed(tmp_path / "a.7z")


def test_what_lies_beside_the_pictures_can_be_read_too(tmp_path: Path) -> None:
    files = {"a.png": png(), "in/labels.csv": b"file,label\n"}
    for path in (lay_out(tmp_path / "x", files), pack(tmp_path / "a.zip", files),
                 lay_out(tmp_path / "y", {"a.tar": tarred(files)}) / "a.tar"):  # fmt: skip
        with open_pictures(path) as listing:
            assert [skip.name for skip in listing.skipped] == ["in/labels.csv"]
            assert listing.read_other("in/labels.csv") == b"file,label\n"
    with open_pictures(tmp_path / "y") as listing:
        assert listing.read_other("a.tar/in/labels.csv") == b"file,label\n"


@pytest.mark.parametrize("name", ["a.npy", "a.tar", "a.tif", "a.parquet"])
def test_a_file_that_is_being_written_is_an_error_and_no_damage(tmp_path: Path, name: str) -> None:
    path = lay_out(tmp_path / "x", {name: WHOLE[name], "b.png": png(1)}) / name
    listing = list_folder(tmp_path / "x")
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(OSError, match="it changes while it is being read"):
        values(listing, 0)
    config = DataConfig(dataset="folder", data_dir=str(tmp_path / "x"), image_size=8)
    path.write_bytes(WHOLE[name])  # written to its end
    dataset = load_dataset(config)
    assert len(dataset.train) + len(dataset.validation) == len(listing)


# --- the registry ------------------------------------------------------------------------------


def test_no_two_formats_claim_one_ending() -> None:
    every = [ending for each in (*formats, *archives) for ending in each.endings]
    assert len(every) == len({*every})
    for each in (*formats, *archives):
        assert all(kind_of(f"Some.File{ending.upper()}") is each for ending in each.endings)
    assert kind_of(".png") is None and kind_of("folder.png/readme") is None


def test_a_missing_extra_is_one_sentence(tmp_path: Path, monkeypatch) -> None:
    real = kinds.is_installed
    monkeypatch.setattr(kinds, "is_installed", lambda name: name != "pydicom" and real(name))
    lay_out(tmp_path, {"a.dcm": b"x", "b.png": png()})
    assert reasons(tmp_path)["a.dcm"] == (
        'reading it needs pip install "latent-workbench[medical]"'
    )
    with pytest.raises(UserError, match=r'is DICOM: reading it needs pip install "latent-wo'):
        listed(tmp_path / "a.dcm")
    assert ".dcm" not in kinds.endings() and ".png" in kinds.endings()


def test_extras_are_those_of_the_project() -> None:
    import tomllib

    from vae_core.extras import PACKAGES

    project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    assert {each.extra for each in (*formats, *archives)} - {""} <= {*extras}
    assert {*extras} == {*PACKAGES}


def test_the_documentation_names_every_format() -> None:
    text = (Path(__file__).resolve().parents[1] / "docs" / "formats.md").read_text()
    for each in (*formats, *archives):
        for fact in (each.label, each.library, each.pictures, each.labels, *each.endings):
            assert fact in text, (each.name, fact)


# --- damage ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def decoder():
    process = Decoder(Target(8, 8))
    yield process
    process.kill()


def _whole_files() -> dict[str, bytes]:
    found: dict[str, bytes] = {}

    def written(name: str, write: Callable[[io.BytesIO], object]) -> None:
        out = io.BytesIO()
        write(out)
        found[name] = out.getvalue()

    small = GREY[:2]
    written("a.npy", lambda out: np.save(out, small))
    written("a.npz", lambda out: np.savez_compressed(out, x=small))
    written("a.tif", lambda out: tifffile.imwrite(out, small.astype(np.float32)))
    written("a.gif", lambda out: FRAMES[0].save(out, "GIF", save_all=True,
                                                append_images=FRAMES[1:3]))  # fmt: skip
    written("a.webp", lambda out: FRAMES[0].save(out, "WEBP", save_all=True,
                                                 append_images=FRAMES[1:3]))  # fmt: skip
    written("a.png", lambda out: FRAMES[0].save(out, "PNG", save_all=True,
                                                append_images=FRAMES[1:3]))  # fmt: skip
    written("a.parquet", lambda out: parquet.write_table(hub_table(), out))
    written("a.feather", lambda out: feather.write_feather(hub_table(), out))
    found["a.dcm"] = dicom(small.astype(np.uint16), NumberOfFrames=2)
    volume = nibabel.Nifti1Image(RNG.random((12, 10, 2)).astype(np.float32), np.eye(4))
    found["a.nii"] = volume.to_bytes()
    found["a.nii.gz"] = gzip.compress(volume.to_bytes())
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["x"] = small
    found["a.h5"] = out.getvalue()
    found["a.tar"] = tarred(shard(0, 2))
    found["a.tar.gz"] = tarred(shard(0, 2), "w:gz")
    return found


WHOLE = _whole_files()


@settings(max_examples=30)
@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=5),
    st.floats(0, 1) | st.just(1.0),
)
def test_damage_gives_pictures_or_a_sentence(
    tmp_path_factory, decoder: Decoder, name: str, edits: list[tuple[float, int]], share: float
) -> None:
    data = bytearray(WHOLE[name])
    for place, value in edits:
        data[int(place * (len(data) - 1))] = value
    folder = tmp_path_factory.mktemp("damaged")
    (folder / name).write_bytes(data[: int(share * len(data))])
    listing = list_folder(folder)
    for skip in listing.skipped:
        assert skip.reason and "\n" not in skip.reason and len(skip.reason) < 400
    read = []
    for i in range(min(len(listing), 4)):
        try:
            read.append(listing.read(i))
        except NotAnImage as reason:
            assert "\n" not in str(reason)
    for answer in decoder(read):
        assert isinstance(answer, tuple | str)  # an image and where in it the picture lies
        assert not isinstance(answer, str) or "\n" not in answer


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0"]))
def test_heads_of_anything_are_told_in_no_time(noise: bytes, head: bytes) -> None:
    for several in (png_has_frames, gif_has_frames, has_pages):
        assert several(io.BytesIO(head + noise)) in (True, False)


def test_a_corrupt_file_among_good_ones_costs_no_other(tmp_path: Path) -> None:
    for name, data in WHOLE.items():
        lay_out(
            tmp_path, {f"good/{name}": data, f"bad/{name}": data[: len(data) // 3] + b"\0" * 50}
        )
    config = DataConfig(dataset="folder", data_dir=str(tmp_path), image_size=8)
    dataset = load_dataset(config)
    files = {*dataset.train.files, *dataset.validation.files}
    kept = {each.partition("good/")[2].partition("#")[0].split("/")[0] for each in files}
    assert {*WHOLE} <= kept
    assert any("skipped" in note for note in dataset.notes)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_of_thirty_thousand_squared_is_one_sentence(tmp_path: Path) -> None:
    Image.new("1", (30_000, 30_000)).save(tmp_path / "big.png")
    Image.new("1", (30_000, 30_000)).save(tmp_path / "big.tif", compression="group4")
    lay_out(tmp_path, {f"{i}.png": png(i) for i in range(3)})
    dataset = load_dataset(DataConfig(dataset="folder", data_dir=str(tmp_path), image_size=8))
    assert len(dataset.train) + len(dataset.validation) == 3
    (note, *_) = dataset.notes
    assert note.startswith("2 of 5 files were skipped: big.png (too many pixels")


def test_names_in_any_script(tmp_path: Path) -> None:
    names = ["😀/🐈.png", "Кошки/ü.png", "ラテ/日本.tif#1.png"]
    lay_out(tmp_path / "x", {name: png(i) for i, name in enumerate(names)})
    (tmp_path / "x" / "bad\udcff.png").write_bytes(png(9))
    lay_out(tmp_path / "x", {"s.tar": tarred({names[0]: png(4)})})
    stack(tmp_path / "x" / "stapel 📚.tif", 3)
    listing, found = listed(tmp_path / "x")
    assert len(listing) == len(found) == 8
    assert {"bad\udcff.png", "stapel 📚.tif#3", f"s.tar/{names[0]}"} < {*listing.names}
