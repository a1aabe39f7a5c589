"""Images of other than 1 or 3 channels, all the way: trained, shown, encoded, exported."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latent_workbench.encodings.encoded_images import PartImages
from latent_workbench.live.images import sprite
from latent_workbench.live.models import decode_pixels
from tests.engine import trained
from tests.pages import open_page
from vae_core.analysis import survey_of
from vae_core.config import DataConfig, parse_config
from vae_core.data import ArrayImages, Dataset, ImageSet, Progress, datasets
from vae_core.data.shaping import require_shown
from vae_core.data.splits import split_dataset
from vae_core.errors import UserError
from vae_core.export import Source, export, formats
from vae_core.imaging.animation import animation
from vae_core.imaging.png import to_png
from vae_core.imaging.resize import shown
from vae_core.latent.encodings import load_encodings
from vae_core.latent.grids import decode_vectors
from vae_core.loading import load_part, load_run
from vae_core.runs import Run
from vae_core.runs.layout import PREVIEWS, THUMBNAIL, THUMBNAILS

SIZE = (14, 18)


def bands(config: DataConfig, progress: Progress) -> Dataset:
    """Smooth pictures of as many bands as the configuration asks for, in two kinds."""
    count, channels = 60, config.channels or 5
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    i, c = np.arange(count)[:, None, None, None], np.arange(channels)[None, :, None, None]
    pixels = (x * (3 + c) + y * (2 + i % 5) + 40 * c + 7 * i) % 256
    pool = ImageSet(ArrayImages(pixels.astype(np.uint8)), np.arange(count) % 2)
    return split_dataset("bands", pool, None, config, fixed=True, label_names=("a", "b"))


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    datasets.register(
        "bands", label="Bands", blurb="Made here.", origin="built in", image_shape=(0, *SIZE)
    )(bands)
    yield
    del datasets._entries["bands"]


def run_of(tmp_path: Path, channels: int, **wishes) -> Run:
    data = {
        "dataset": "bands", "channels": channels, "limit": None, "image_size": None,
        "validation_fraction": 0.2, **wishes,
    }  # fmt: skip
    return trained(tmp_path, f"bands-{channels}", data=data, train={"epochs": 1, "batch_size": 16})


def test_three_are_shown_or_one_or_those_that_are_named() -> None:
    images = np.arange(5)[None, :, None, None] * np.ones((2, 1, 3, 4), int)
    assert shown(images)[0, :, 0, 0].tolist() == [0, 1, 2]
    assert shown(images, (5, 1, 3))[0, :, 0, 0].tolist() == [4, 0, 2]
    assert shown(images[:, :2])[0, :, 0, 0].tolist() == [0]
    assert shown(images[:, :2], (2, 2, 1))[0, :, 0, 0].tolist() == [1, 1, 0]
    for channels in (1, 3):
        assert shown(images[:, :channels]) is not None
        assert (shown(images[:, :channels]) == images[:, :channels]).all()
    assert (shown(torch.from_numpy(images), (5, 1, 3)).numpy() == shown(images, (5, 1, 3))).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 16])
def test_files_that_are_pictures_are_made_of_any(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, channels, 9, 11), np.uint8)
    with Image.open(io.BytesIO(to_png(images[0]))) as png:
        assert png.size == (11, 9) and png.mode == ("L" if channels < 3 else "RGB")
    for kind in ("gif", "webp"):
        assert animation(images, kind)


@pytest.mark.parametrize("channels", [2, 5])
def test_a_run_is_trained_shown_and_encoded(
    tmp_path: Path, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    run = run_of(tmp_path, channels)
    assert run.status().state == "finished" and run.data_card().image_shape == (channels, *SIZE)
    pictures = sorted(run.file(PREVIEWS).glob("*.png"))
    assert pictures
    for path in (*pictures, run.file(THUMBNAIL), run.file(THUMBNAILS)):
        with Image.open(path) as png:
            assert png.mode == ("L" if channels == 2 else "RGB"), path
    seen = 1 if channels == 2 else 3
    encodings, model = load_encodings(run), load_run(run).model
    assert encodings.thumbnails.shape[1:] == (seen, *SIZE)
    assert decode_vectors(model, encodings.mu[:3]).shape == (3, seen, *SIZE)
    assert decode_pixels(model, encodings.mu[:3]).shape == (3, *SIZE, seen)
    survey = survey_of(run, "validation")
    part = PartImages(run, "validation", len(survey))
    assert part.gather(np.arange(2)).shape == (2, *part.shape[1:]) == (2, seen, *SIZE)
    _, images = load_part(run, "validation")
    with Image.open(io.BytesIO(sprite(images.images, np.arange(3)))) as png:
        assert png.mode == ("L" if channels == 2 else "RGB")
    for page in ("train", "gallery", "explore", "grids", "encodings"):
        assert not open_page(page, run=run.id).error, page


def test_the_channels_that_are_shown_are_those_of_the_configuration(tmp_path: Path) -> None:
    run = run_of(tmp_path, 5, shown_channels=[5, 4, 2])
    model, (_, part) = load_run(run).model, load_part(run, "train")
    encodings = load_encodings(run)
    originals = part.images.gather(encodings.indices)
    assert (encodings.thumbnails == originals[:, [4, 3, 1]]).all()
    x = model.picture(model.decode(torch.from_numpy(encodings.mu[:2]))).detach().numpy()
    assert abs(decode_vectors(model, encodings.mu[:2]) - 255 * x[:, [4, 3, 1]]).max() <= 0.5001
    asked = parse_config({"data": {"shown_channels": [6, 1, 2]}}).data
    with pytest.raises(
        UserError, match=r"^data\.shown_channels: the images have 5 channels, and 6"
    ):
        require_shown(asked, 5)


@pytest.mark.parametrize("kind", [entry.name for entry in formats])
def test_every_export_takes_any_number_of_channels(tmp_path: Path, kind: str) -> None:
    run = run_of(tmp_path, 5)
    assert export(Source(run, "validation"), kind).files
