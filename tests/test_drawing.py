"""Pictures from outside, drawn or not, brought to what a model was trained on."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from vae_core.config import DataConfig
from vae_core.data.inputs import fit_drawing, measure_ink, read_drawing, read_picture
from vae_core.errors import UserError
from vae_core.latent.encodings import load_encodings
from vae_core.locations import DEFAULT_STORE
from vae_core.runs import Store

from .pictures import encoded, picture


def squares(ground: tuple[int, ...], colour: tuple[int, ...], side: int = 12) -> np.ndarray:
    """Forty images of one filled square of `side` px each, a little off the middle of 32 px."""
    images = np.empty((40, len(ground), 32, 32), np.uint8)
    images[:] = np.array(ground)[:, None, None]
    for i, image in enumerate(images):
        y, x = 10 + i % 2, 9 + i % 3
        image[:, y : y + side, x : x + side] = np.array(colour)[:, None, None]
    return images


def test_mnist_comes_out_as_it_was_made():
    """LeCun et al.: 20 × 20 px, then the centre of mass put into the middle of 28 × 28."""
    thumbnails = load_encodings(Store(DEFAULT_STORE).get("mnist-vae")).thumbnails
    ink = measure_ink(thumbnails)
    assert ink.box * 28 == pytest.approx(20, abs=0.1)
    assert ink.by_mass
    assert np.array(ink.center) * 28 == pytest.approx([14.5, 14.5], abs=0.1)
    assert ink.ground.tolist() == [0] and ink.colour[0] > 250
    assert ink.paper > 0.95


@pytest.mark.parametrize(
    "ground, colour", [((0,), (255,)), ((240,), (10,)), ((250, 250, 200), (20, 30, 90))]
)
def test_a_drawing_takes_place_size_and_colours_of_the_ink(ground, colour):
    ink = measure_ink(squares(ground, colour))
    strokes = np.zeros((200, 300), np.uint8)
    strokes[20:80, 150:210] = 255  # a filled square: 60 px become 12
    found = fit_drawing(strokes, ink, (len(ground), 32, 32))
    assert found.shape == (len(ground), 32, 32) and found.dtype == np.uint8
    assert found[:, 16, 16].tolist() == list(colour) and found[:, 0, 0].tolist() == list(ground)
    again = measure_ink(found[None])
    assert again.box * 32 == pytest.approx(12, abs=1)
    # 10.5 and 10 at the upper left of the squares, on average, plus half their side
    assert np.array(again.center) * 32 == pytest.approx([16.5, 16.0], abs=0.05)


def test_thin_and_faint_lines_are_as_bright_as_the_ink():
    ink = measure_ink(squares((0,), (255,)))
    strokes = np.zeros((400, 400), np.uint8)
    strokes[50:350, 200:202] = 90
    assert fit_drawing(strokes, ink, (1, 32, 32)).max() == 255


def test_an_empty_drawing_gets_a_sentence():
    ink = measure_ink(squares((0,), (255,)))
    with pytest.raises(UserError, match="draw something first"):
        fit_drawing(np.full((100, 100), 3, np.uint8), ink, (1, 28, 28))


def test_images_without_ink_get_a_sentence():
    with pytest.raises(UserError, match="no ink"):
        measure_ink(np.full((5, 1, 8, 8), 7, np.uint8))


def test_photographs_are_no_paper():
    photographs = np.random.default_rng(0).integers(0, 255, (30, 3, 16, 16)).astype(np.uint8)
    assert measure_ink(photographs).paper < 0.2


def test_a_picture_is_cropped_or_fitted_as_the_model_learned():
    file = encoded(picture(size=(40, 20)))
    cropped = read_picture(io.BytesIO(file), DataConfig(), (3, 16, 16))
    fitted = read_picture(io.BytesIO(file), DataConfig(resize="fit"), (3, 16, 16))
    assert cropped.shape == fitted.shape == (3, 16, 16)
    assert (fitted[:, 0] == fitted[:, 0, :1]).all()  # padded above, where crop has the picture
    assert not (cropped[:, 0] == cropped[:, 0, :1]).all()
    assert read_picture(io.BytesIO(file), DataConfig(), (1, 16, 16)).shape == (1, 16, 16)
    assert read_picture(io.BytesIO(file), DataConfig(), (3, 16, 10)).shape == (3, 16, 10)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    "read", [read_drawing, lambda file: read_picture(file, DataConfig(), (1, 28, 28))]
)
def test_what_is_no_picture_or_too_large_gets_a_sentence(read):
    with pytest.raises(UserError, match="cannot be read as a picture: no image"):
        read(io.BytesIO(b"%PDF-1.7 and so on"))
    bomb = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(bomb, "PNG")
    bomb.seek(0)
    with pytest.raises(UserError, match="too many pixels"):
        read(bomb)
    cut = encoded(picture(size=(300, 300)))[:-400]
    with pytest.raises(UserError, match="damaged"):
        read(io.BytesIO(cut))
