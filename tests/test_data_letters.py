"""Letters: drawn from the fonts that the system keeps, and from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ImageFont

from vae_core.config import DataConfig, RunConfig
from vae_core.data import load_dataset
from vae_core.data.sets import letters
from vae_core.errors import UserError
from vae_core.families import build, complete
from vae_core.run_data import data_card

FAMILY = "Aileron"


@pytest.fixture(scope="module")
def embedded() -> bytes:
    """The outline font that Pillow carries in itself, a subset of ASCII."""
    font = ImageFont.load_default(20)
    assert isinstance(font, ImageFont.FreeTypeFont) and FAMILY in (font.getname()[0] or "")
    return bytes(font.font_bytes)


def renamed(font: bytes, family: str) -> bytes:
    """The font under another name of the same length."""
    assert len(family) == len(FAMILY)
    for encoding in ("ascii", "utf-16-be"):
        font = font.replace(FAMILY.encode(encoding), family.encode(encoding))
    return font


@pytest.fixture
def folder(tmp_path: Path, embedded: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder of fonts, with five of them and what is none."""
    place = tmp_path / "fonts"
    (place / "deep").mkdir(parents=True)
    for i in range(5):
        name = f"Ailero{i}"
        (place / ("deep" if i % 2 else ".") / f"{name}.ttf").write_bytes(renamed(embedded, name))
    (place / "again.otf").write_bytes(renamed(embedded, "Ailero0"))
    (place / "damaged.ttf").write_bytes(embedded[:500])
    (place / "empty.ttf").touch()
    (place / "readme.txt").write_bytes(embedded)
    outside = tmp_path / "outside.ttf"
    outside.write_bytes(renamed(embedded, "Outside"))
    (place / "link.ttf").symlink_to(outside)
    monkeypatch.setattr(letters, "FOLDERS", (place, tmp_path / "not-there"))
    return place


def load(**settings: object):
    return load_dataset(DataConfig(dataset="letters", image_size=32, **settings))  # type: ignore[arg-type]


def test_each_font_gives_each_letter_once_and_links_are_not_followed(folder: Path) -> None:
    fonts, files = letters.fonts_with("AB", lambda message, share: None)
    assert [font.name.split()[0] for font in fonts] == [f"Ailero{i}" for i in range(5)]
    assert files == 8


def test_letters_are_labelled_and_fonts_are_a_column(folder: Path) -> None:
    dataset = load()
    assert dataset.label_names == tuple(letters.ALPHABET) and dataset.image_shape == (1, 32, 32)
    parts = dataset.train, dataset.validation
    labels = np.concatenate([part.labels for part in parts if part.labels is not None])
    assert np.bincount(labels).tolist() == [5] * 26
    fonts = np.concatenate([part.columns["font"] for part in parts])
    assert sorted(set(fonts)) == sorted({*fonts}) and len(set(fonts)) == 5
    assert load(letters="Q7").label_names == ("Q", "7")
    assert load(channels=3).image_shape == (3, 32, 32)


def test_one_letter_across_fonts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = letters.drawn

    def fainter(font: letters.Font, *rest: Any) -> np.ndarray:
        return real(font, *rest) // (1 + int(font.name[6]))  # else all five would be copies

    monkeypatch.setattr(letters, "drawn", fainter)
    dataset = load(letters="q")
    assert dataset.label_names == ("q",) and len(dataset.train) + len(dataset.validation) == 5


def test_a_letter_is_white_centred_and_as_high_as_all_capitals(folder: Path) -> None:
    font = letters.fonts_with("H", lambda message, share: None)[0][0]
    for height, width in ((64, 64), (48, 80)):
        for letter in "HIMWOLQgy7":
            image = letters.drawn(font, letter, height, width)
            assert image.shape == (height, width) and image.dtype == np.uint8
            ink = np.argwhere(image > 20)
            top, left = ink.min(0)
            bottom, right = ink.max(0) + 1
            assert abs(left + right - width) <= 2 and 0 < top < bottom < height
            assert image.max() == 255 and ((image > 0) & (image < 255)).any()
            if letter in "HIMWL":
                assert bottom - top == pytest.approx(0.56 * min(height, width), abs=1.5)
                assert bottom == pytest.approx(height / 2 + 0.27 * min(height, width), abs=1.5)


def test_the_machine_without_fonts_is_told_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "LEAST_FONTS", 6)
    with pytest.raises(UserError, match=r"at least 6, and 5 of the 8 font files in .*Install some"):
        load()
    with pytest.raises(UserError, match=r"none of the 8 font files .* have all of ЯA"):
        load(letters="ЯA")
    monkeypatch.setattr(letters, "FOLDERS", (folder / "nowhere",))
    with pytest.raises(UserError, match="none of the 0 font files"):
        load()


@pytest.mark.parametrize("wrong", ["A-Z", " ", "A\n"])
def test_what_is_no_letter(wrong: str, folder: Path) -> None:
    with pytest.raises(UserError, match=r"data\.letters"):
        load(letters=wrong)


def test_a_conditional_model_is_told_the_letter(folder: Path) -> None:
    config = complete(RunConfig(family="conditional-vae"))
    model, _ = build(config, data_card(load(letters="ABC")))
    z = model.sample_prior(1)
    with torch.no_grad():
        drawn = [model.conditioned(torch.tensor([label])).decode(z) for label in range(3)]
    assert not torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[1], drawn[2])
