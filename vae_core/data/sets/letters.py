"""Letters in every font of this machine: one shape in many hands.

None come with the product. Fonts are parsed by FreeType in this process, so only those are read
that lie where the system keeps its own: who can write there needs no font to do harm.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vae_core.config import DataConfig
from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.images import ArrayImages
from vae_core.data.source import datasets
from vae_core.data.splits import split_dataset
from vae_core.errors import UserError
from vae_core.imaging.resize import with_channels
from vae_core.progress import Progress

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

FOLDERS: tuple[Path, ...] = {
    "darwin": (Path("/System/Library/Fonts"), Path("/Library/Fonts")),
    "win32": (Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts",),
}.get(sys.platform, (Path("/usr/share/fonts"), Path("/usr/local/share/fonts")))
"""Where the system keeps its fonts; those of a person's own folder are left alone."""

SUFFIXES = frozenset({".ttf", ".otf", ".ttc", ".otc"})
LEAST_FONTS, MOST_FONTS = 4, 500
LARGEST_FILE = 64 * 2**20
_MOST_FILES = 10_000

_CAPITAL, _BASELINE, _ROOM = 0.56, 0.77, 0.92
"""As shares of the height: a capital letter, the line it stands on, and the most that any takes."""
_FINER = 4
"""Drawn so many times as large and averaged: what FreeType does to fit small letters to whole
pixels then falls below one."""
_PROBE = 200
_NO_LETTER = "\U0010ffff"


@dataclass(frozen=True)
class Font:
    """A font that has every letter asked for. capital: height of its H in em."""

    name: str
    path: Path
    capital: float

    def at(self, height: float) -> ImageFont.FreeTypeFont:
        """The font with capitals of this height in pixels."""
        return _opened(self.path, height / self.capital)


def _opened(path: Path, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    """Font files, links left out: they may lead to where anybody can write."""
    for root in folders:
        for folder, inner, names in os.walk(root):
            inner.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if path.suffix.lower() in SUFFIXES:
                    found = path.lstat()
                    if stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST_FILE:
                        yield path


def _font(path: Path, letters: str) -> Font | None:
    """What is in a file; None where it is damaged, of pictures, or lacks one of the letters."""
    try:
        font = _opened(path, _PROBE)
        missing = bytes(font.getmask(_NO_LETTER))
        drawn = [bytes(font.getmask(letter)) for letter in {*letters, "H"}]
        _, top, _, bottom = _ink(font, "H")
    except (OSError, ValueError):
        return None
    if any(each == missing or not any(each) for each in drawn):
        return None
    name = " ".join(part for part in font.getname() if part)
    return Font(name or path.stem, path, (bottom - top) / _PROBE)


def fonts_with(letters: str, progress: Progress) -> tuple[list[Font], int]:
    """The fonts that have all of `letters`, by name and each once, at most `MOST_FONTS`, and how
    many files were looked at."""
    files = [path for path, _ in zip(_files(FOLDERS), range(_MOST_FILES), strict=False)]
    found: dict[str, Font] = {}
    for i, path in enumerate(files):
        progress("Looking through the fonts", i / len(files))
        font = _font(path, letters)
        if font is not None:
            found.setdefault(font.name, font)
    return [found[name] for name in sorted(found)][:MOST_FONTS], len(files)


def drawn(font: Font, letter: str, height: int, width: int) -> np.ndarray:
    """A letter, white on black: uint8 [height, width].

    Capitals of all fonts are as high and stand on one line; the ink lies in the middle across.
    """
    h, w = height * _FINER, width * _FINER
    capital = _CAPITAL * min(h, w)
    left, top, right, bottom = _ink(font.at(capital), letter)
    fits = min(1.0, _ROOM * w / (right - left), _ROOM * h / (bottom - top))
    if fits < 1:
        capital *= fits
        left, top, right, bottom = _ink(font.at(capital), letter)
    line = h / 2 + (_BASELINE - 0.5) * min(h, w)
    margin = (1 - _ROOM) / 2 * h
    line = min(max(line, margin - top), h - margin - bottom)
    page = Image.new("L", (w, h))
    place = ((w - left - right) / 2, line)
    ImageDraw.Draw(page).text(place, letter, fill=255, font=font.at(capital), anchor="ls")
    return np.asarray(page.reduce(_FINER))


def _ink(font: ImageFont.FreeTypeFont, letter: str) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is drawn, from where the letter begins on its line: what
    `getbbox` tells is as wide as the step to the next letter."""
    mask, (x, y) = font.getmask2(letter, mode="L", anchor="ls")
    left, top, right, bottom = mask.getbbox() or (0, 0, 1, 1)
    return x + left, y + top, x + right, y + bottom


def _asked(letters: str | None) -> str:
    """Each letter once, in the order given.

    Raises:
        UserError: for what is neither a letter nor a digit.
    """
    chosen = "".join(dict.fromkeys((letters or ALPHABET).replace(" ", "")))
    wrong = [each for each in chosen if not each.isalnum()]
    if wrong or not chosen:
        raise UserError(
            f"data.letters: {wrong[0]!r} is neither a letter nor a digit; give some, such as ABC."
            if wrong
            else "data.letters names no letter; give some, such as ABC."
        )
    return chosen


@datasets.register(
    "letters",
    label="Letters",
    blurb="The alphabet, or one letter, in every font of this machine, labelled by letter. Built "
    "in as far as fonts are; learn it conditionally, and a style becomes a direction.",
    origin="built in",
    image_shape=(1, 64, 64),
    order=37,
    subject="letters of this machine's fonts",
)
def load_letters(config: DataConfig, progress: Progress) -> Dataset:
    """A picture for each font and letter: labels are the letters, `font` is a column.

    Raises:
        UserError: when the machine has fewer than `LEAST_FONTS` fonts with these letters, or what
            is asked for are none.
    """
    letters = _asked(config.letters)
    channels, height, width = datasets["letters"].shape_for(config)
    fonts, files = fonts_with(letters, progress)
    if len(fonts) < LEAST_FONTS:
        folders = " and ".join(map(str, FOLDERS))
        raise UserError(
            f"Letters are drawn in the fonts of this machine, at least {LEAST_FONTS}, and "
            f"{len(fonts) or 'none'} of the {files} font files in {folders} "
            f"{'has' if len(fonts) == 1 else 'have'} all of {letters}. Install some, such as "
            "DejaVu and Liberation, which are free."
        )
    pixels = np.empty((len(fonts), len(letters), height, width), np.uint8)
    for i, font in enumerate(fonts):
        progress("Drawing the letters", i / len(fonts))
        for j, letter in enumerate(letters):
            pixels[i, j] = drawn(font, letter, height, width)
    labels = np.tile(np.arange(len(letters)), len(fonts))
    names = np.repeat(np.array([font.name for font in fonts], object), len(letters))
    images = ArrayImages(with_channels(pixels.reshape(-1, 1, height, width), channels))
    pool = ImageSet(images, labels, columns={"font": names})
    return split_dataset("letters", pool, None, config, label_names=tuple(letters))
