"""Which image a row of a table is about: names as people write them, with or without folders and
extensions, found among the names that the images have."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_core.units import grouped

if TYPE_CHECKING:
    import pyarrow as pa

NAME_COLUMNS = (
    "file_name", "filename", "file", "image", "path", "file_path", "filepath", "image_path",
    "image_name", "image_id", "img", "name", "id",
)  # fmt: skip
"""Among columns that name as many images, one of these, the first of them first."""

Places = np.ndarray | int
"""The images that a text names: the place of one, int64 [M] where it is a file of several, or:"""
NOT_FOUND, SEVERAL = -1, -2
_PAGE = re.compile(r"#\d+$")
_EXTENSION = re.compile(r"\.(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,5}$")


class Names:
    """The names of images, by every way in which a table may write them.

    A name is looked for as it stands, then by its last folders and itself, as long a piece of it
    as is found; with its extension and without; in any case of its letters. Pictures of one file,
    such as the pages of a TIFF (`stack.tif#12`), are found by the name of the file too.
    """

    def __init__(self, names: Sequence[str], folder: str = "") -> None:
        """`folder`: only those that lie in it count, and by their paths from there on."""
        self._paths: list[str] = []
        self._images: list[Places] = []
        pages: dict[str, list[int]] = {}
        inside = folder + "/" if folder else ""
        for row, name in enumerate(names):
            if name.startswith(inside):
                self._add(name[len(inside) :], row)
                if mark := _PAGE.search(name):
                    pages.setdefault(name[len(inside) : mark.start()], []).append(row)
        for name, rows in pages.items():
            self._add(name, np.array(rows, np.int64))
        self._exact = self._by(self._paths)
        self._tails: dict[int, dict[str, int]] = {}
        self._numbers: dict[str, int] = {}

    def _add(self, name: str, images: Places) -> None:
        self._paths.append(_tidy(name))
        self._images.append(images)

    @staticmethod
    def _by(paths: Sequence[str]) -> dict[str, int]:
        """The place of each path, and without its extension where nothing else is so called."""
        whole: dict[str, int] = {}
        stems: dict[str, int] = {}
        for place, path in enumerate(paths):
            whole[path] = SEVERAL if path in whole else place
            stem = _EXTENSION.sub("", path)
            stems[stem] = SEVERAL if stem in stems else place
        return stems | whole

    def last(self, depth: int) -> dict[str, int]:
        """By their last `depth` parts, and these without extension: places, or `SEVERAL`."""
        if depth not in self._tails:
            self._tails[depth] = self._by([_tail(path, depth) for path in self._paths])
        return self._tails[depth]

    def find(self, text: str) -> Places:
        """The images that a text names, `NOT_FOUND`, or `SEVERAL` where it fits more of them."""
        path = _tidy(text)
        place = self._look(self._exact, path)
        depth = path.count("/") + 1
        while place == NOT_FOUND and depth:
            place = self._look(self.last(depth), _tail(path, depth))
            depth -= 1
        return self._images[place] if place >= 0 else place

    @staticmethod
    def _look(places: Mapping[str, int], path: str) -> int:
        place = places.get(path, NOT_FOUND)
        return place if place != NOT_FOUND else places.get(_EXTENSION.sub("", path), NOT_FOUND)

    def find_number(self, text: str) -> Places:
        """The images whose name is this number, whatever zeros stand before either: spreadsheets
        make 7 of 0007."""
        if not self._numbers:
            for tail, place in self.last(1).items():
                number = _number(_EXTENSION.sub("", tail))
                if number:
                    same = self._numbers.get(number, place) == place
                    self._numbers[number] = place if same else SEVERAL
        place = self._numbers.get(_number(text.strip()), NOT_FOUND)
        return self._images[place] if place >= 0 else place

    def is_file(self, text: str) -> bool:
        """Whether a text, extension and all, is what a file is called."""
        last = _tail(_tidy(text), 1)
        return last in self.last(1) and _EXTENSION.search(last) is not None

    def __len__(self) -> int:
        return len(self._paths)


def _tidy(text: str) -> str:
    """A path with slashes, in small letters, composed as most systems have them (not macOS)."""
    text = unicodedata.normalize("NFC", text.strip().replace("\\", "/").lower())
    return "/".join(part for part in text.split("/") if part not in ("", "."))


def _number(text: str) -> str:
    """A whole number without the zeros before it, "" for another text."""
    return (text.lstrip("0") or "0") if text.isdecimal() else ""


def _tail(path: str, depth: int) -> str:
    return "/".join(path.rsplit("/", depth)[-depth:])


EXAMPLES = 3
"""Of what is counted, so many are quoted."""


@dataclass
class Tally:
    """How many there were, and the first of them."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(text[:80])

    def told(self, of_one: str, of_many: str) -> str:
        """A piece of a sentence, such as "2 rows name no image (such as a.png, b.png)"."""
        said = of_one if self.count == 1 else of_many
        such = "" if self.count == len(self.examples) else "such as "
        return f"{grouped(self.count)} {said} ({such}{', '.join(self.examples)})"


@dataclass(frozen=True)
class Matched:
    """How the rows of a table and the images belong together.

    column: of the table, which holds the names.
    row_of: int64 [N], the row of each image, −1 where there is none.
    unknown: names of no image. unclear: of several. repeated: of images that an earlier row is
        about, which counts.
    """

    column: str
    row_of: np.ndarray
    unknown: Tally = field(default_factory=Tally)
    unclear: Tally = field(default_factory=Tally)
    repeated: Tally = field(default_factory=Tally)

    @property
    def count(self) -> int:
        """Images with a row."""
        return int((self.row_of >= 0).sum())

    def values(self, rows: pa.Table, column: str) -> np.ndarray:
        """The values of a column in the order of the images: str or None, [N]."""
        there = self.row_of >= 0
        values = np.full(len(there), None, "O")
        values[there] = rows.column(column).take(self.row_of[there]).to_pylist()
        return values


def match(rows: pa.Table, names: Names, count: int, below: Names | None = None) -> Matched | None:
    """Find the column that names the images, and the row of each; None where no column does. Where
    every name fits several images, no image has a row.

    Args:
        count: how many images there are. below: those in the table's own folder, which its names
            mean first.
    """
    hits = {name: _hits(rows.column(name), names) for name in rows.column_names}
    score = {name: different for name, (_, different) in hits.items()}
    # Any number is that of some image: only a column that is called so means it.
    numbers = [name for name in rows.column_names if plain(name) in _PLAIN_NAMES]
    score |= {name: max(score[name], _numbered(rows.column(name), names)) for name in numbers}
    column = _best(score)
    if column is None:
        return None
    finders = [names.find] if below is None else [below.find, names.find]
    finders += [names.find_number] if column in numbers else []
    found = Matched(column, np.full(count, -1, np.int64))
    maybe, texts = _candidates(
        rows.column(column), hits[column][0], column in numbers, found.unknown
    )
    for row, text in zip(maybe, texts, strict=True):
        tries = (find(text) for find in finders)
        images = next((each for each in tries if not _is_none(each)), NOT_FOUND)
        if isinstance(images, int) and images < 0:
            (found.unknown if images == NOT_FOUND else found.unclear).add(text)
        elif np.any(found.row_of[images] >= 0):
            found.repeated.add(text)
        else:
            found.row_of[images] = row
    return found if found.count or found.unclear.count else None


def _candidates(
    column: Any, hit: Any, numbers: bool, unknown: Tally
) -> tuple[list[int], list[str]]:
    """The rows that may name an image, and what they say; the other ones are counted as unknown.

    A table may have millions of rows and a folder a few images of them.
    """
    import pyarrow.compute as pc

    if numbers:
        hit = pc.or_(hit, pc.match_substring_regex(column, r"^\s*\d+\s*$"))
    hit = pc.fill_null(hit, False)
    others = column.filter(pc.invert(hit))
    others = others.filter(pc.match_substring_regex(others, r"\S"))  # null and blank name nothing
    for text in others.slice(0, EXAMPLES).to_pylist():
        unknown.add(text)
    unknown.count += max(0, len(others) - EXAMPLES)
    places = np.flatnonzero(hit.to_numpy(zero_copy_only=False)).tolist()
    return places, column.filter(hit).to_pylist()


def _is_none(images: Places) -> bool:
    return isinstance(images, int) and images == NOT_FOUND


def _hits(column: Any, names: Names) -> tuple[Any, int]:
    """Which texts of a column end as a name does, a mask of pyarrow's for all rows; and how many
    different ones do."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ends = pa.array([each for each in names.last(1) if _is_text(each)], pa.string())
    values = column.combine_chunks().dictionary_encode()
    texts = values.dictionary  # each different one is looked at once
    last = pc.utf8_normalize(pc.utf8_lower(texts), "NFC")
    last = pc.utf8_trim_whitespace(pc.replace_substring_regex(last, r"^.*[/\\]", ""))
    stem = pc.replace_substring_regex(last, r"\.[a-z0-9]{1,5}$", "")
    hit = pc.or_(pc.is_in(last, value_set=ends), pc.is_in(stem, value_set=ends))
    return hit.take(values.indices), int(pc.sum(hit).as_py() or 0)


def _is_text(name: str) -> bool:
    """False for bytes of a file's name that are no UTF-8, which no table can hold."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _numbered(column: Any, names: Names) -> int:
    """How many different values are the number of an image."""
    values = [value for value in column.unique().to_pylist() if value is not None]
    return sum(not _is_none(names.find_number(value)) for value in values)


def _best(images: Mapping[str, int]) -> str | None:
    """The column that names the most images; of several, the one that is called so."""

    def rank(name: str) -> tuple[int, int]:
        return images[name], -_PLAIN_NAMES.get(plain(name), len(_PLAIN_NAMES))

    best = max(images, key=rank, default=None)
    return best if best is not None and images[best] else None


def plain(name: str) -> str:
    """The name of a column in small letters, without what parts words."""
    return re.sub(r"[\s_.-]+", "", name.lower())


_PLAIN_NAMES = {plain(name): i for i, name in enumerate(NAME_COLUMNS)}
