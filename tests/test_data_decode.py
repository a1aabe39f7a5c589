"""Any picture file becomes one uint8 array of the size asked for."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.pictures import encoded, picture
from vae_core.imaging.decode import decode
from vae_core.imaging.fit import Target
from vae_core.imaging.formats import formats
from vae_core.imaging.kinds import NotAnImage
from vae_core.imaging.pillow import ALLOWED


def read(data: bytes, size: int = 16, **wishes) -> np.ndarray:
    return decode(io.BytesIO(data), Target(size, size, **wishes))


FLAT = [(255, 0, 0), (0, 128, 0), (10, 20, 200)]


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        (kind, mode)
        for kind, modes in {
            "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
            "JPEG": ("L", "RGB", "CMYK"),
            "WEBP": ("L", "RGB", "RGBA"),
            "BMP": ("1", "L", "P", "RGB"),
            "GIF": ("L", "P", "RGB"),
            "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "YCbCr"),
            "PPM": ("1", "L", "RGB"),
        }.items()
        for mode in modes
    ],
)
def test_every_kind_and_mode_shows_the_same_picture(kind: str, mode: str) -> None:
    source = picture(size=(40, 40))
    if mode == "LAB":  # made by its own library, so made here from flat values
        data, expected = encoded(Image.new("LAB", (40, 40), (128, 128, 128)), kind), None
    else:
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(source.convert(mode), kind, **options)
        grey = mode in ("1", "L", "LA")
        seen = source.convert(mode).convert("L" if grey else "RGB")
        expected = np.atleast_3d(np.asarray(seen.resize((16, 16), Image.Resampling.BICUBIC)))
    found = read(data)
    assert found.dtype == np.uint8
    if expected is None:
        assert found.shape[1:] == (16, 16)
    else:
        assert found.shape == (expected.shape[2], 16, 16)
        gap = abs(found.astype(int) - expected.transpose(2, 0, 1))
        assert gap.mean() < 8, gap.mean()


@pytest.mark.parametrize("colour", FLAT)
def test_colours_keep_their_places(colour: tuple[int, int, int]) -> None:
    found = read(encoded(Image.new("RGB", (30, 20), colour)))
    assert (found == np.array(colour)[:, None, None]).all()


def test_transparency_lies_over_white() -> None:
    image = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 10, 20))
    found = read(encoded(image))
    assert (found[:, :, 0] == np.array([[0], [0], [255]])).all()
    assert (found[:, :, -1] == 255).all()


def test_a_transparent_palette_lies_over_white() -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    found = read(encoded(image, transparency=1))
    assert found.shape == (1, 16, 16) and (found == 255).all()


def test_sixteen_bits_become_eight() -> None:
    ramp = np.linspace(0, 65535, 16).astype(np.uint16)[None].repeat(16, 0)
    expected = np.rint(ramp / 257).astype(np.uint8)
    for kind in ("PNG", "TIFF"):
        found = read(encoded(Image.fromarray(ramp), kind))
        assert found.shape == (1, 16, 16) and (found[0] == expected).all()
    pgm = b"P5 16 16 65535\n" + ramp.astype(">u2").tobytes()
    assert abs(read(pgm)[0].astype(int) - expected).max() <= 1


def test_floats_are_shares_of_white() -> None:
    ramp = np.linspace(0, 1, 16, dtype=np.float32)[None].repeat(16, 0)
    found = read(encoded(Image.fromarray(ramp), "TIFF"))
    assert (found[0] == np.rint(ramp * 255)).all()


def test_a_grey_picture_saved_as_colour_is_grey() -> None:
    assert read(encoded(picture(mode="L").convert("RGB"))).shape == (1, 16, 16)
    assert read(encoded(picture(mode="L").convert("RGB")), channels=3).shape == (3, 16, 16)
    assert read(encoded(picture()), channels=1).shape == (1, 16, 16)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(1, lambda a: a), (2, np.fliplr), (3, lambda a: np.rot90(a, 2)), (4, np.flipud),
     (5, np.transpose), (6, lambda a: np.rot90(a, -1)),
     (7, lambda a: np.rot90(np.transpose(a), 2)), (8, np.rot90)],
)  # fmt: skip
def test_exif_orientation_is_undone(orientation: int, turned) -> None:
    image = picture(mode="L", size=(16, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read(encoded(image, "PNG", exif=exif))
    assert (found[0] == turned(np.asarray(image))).all()


@pytest.mark.parametrize("size", [(60, 20), (20, 60), (17, 16), (1, 50), (50, 1), (1, 1)])
def test_crop_and_fit_give_squares_of_any_shape(size: tuple[int, int]) -> None:
    for resize in ("crop", "fit"):
        assert read(encoded(picture(size=size)), resize=resize, channels=3).shape == (3, 16, 16)


def test_crop_takes_the_centre_and_fit_keeps_everything() -> None:
    image = Image.new("RGB", (48, 16), (255, 0, 0))
    image.paste((0, 255, 0), (16, 0, 32, 16))
    data = encoded(image)
    assert (read(data) == np.array([0, 255, 0])[:, None, None]).all()
    fitted = read(data, resize="fit", size=48)
    assert (fitted[:, 16:32] == np.asarray(image).transpose(2, 0, 1)).all()
    padding = np.concatenate([fitted[:, :16], fitted[:, 32:]], axis=1)
    mean = padding[:, 0, 0]
    assert (padding == mean[:, None, None]).all() and mean[2] == 0 and mean[0] > mean[1] > 0


def test_a_share_of_the_centre() -> None:
    image = Image.new("L", (40, 60), 0)
    image.paste(255, (10, 20, 30, 40))
    assert (read(encoded(image), centre=0.5) > 230).all()
    assert (read(encoded(image), centre=1.0)[0, 0] == 0).all()


def test_a_large_jpeg_decoded_at_a_fraction_stays_the_same_picture() -> None:
    image = Image.fromarray(np.linspace(0, 255, 800).astype(np.uint8)[None].repeat(600, 0))
    found = read(encoded(image, "JPEG", quality=95))[0].astype(int)
    square = image.crop((100, 0, 700, 600)).resize((16, 16), Image.Resampling.BICUBIC)
    assert abs(found - np.asarray(square)).max() <= 3


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in FLAT]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (read(data)[:, 8, 8] == FLAT[0]).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_a_truncated_file_is_told(kind: str) -> None:
    data = encoded(picture(size=(64, 64)), kind)
    for share in (0.1, 0.5, 0.8):
        with pytest.raises(NotAnImage, match=r"^(damaged: .+|no image)$"):
            read(data[: int(len(data) * share)])


def test_other_content_is_no_image() -> None:
    for data in (b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
        with pytest.raises(NotAnImage, match=r"^no image$"):
            read(data)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit", [40 * 40 - 1, 500])  # beyond it, and beyond twice of it
def test_more_pixels_than_pillow_allows(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    data = encoded(picture(size=(40, 40)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(NotAnImage, match=r"^too many pixels"):
        read(data)


def test_every_named_extension_is_one_that_pillow_reads_here() -> None:
    known = Image.registered_extensions()
    harmless = [each for each in formats if each.harmless]
    for each in harmless:  # further endings of a kind, such as .fts, are recognised by content
        kinds = {known[ending] for ending in each.endings if ending in known}
        assert kinds and kinds <= {*ALLOWED, "FITS"}, each.name  # of which a reader knows more
    assert not {"EPS", "WMF", "HDF5", "GRIB", "BUFR", "MPEG"} & {*ALLOWED}
