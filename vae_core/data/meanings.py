"""What the columns of a table mean: the label, the part, numbers, dates, attributes, texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from vae_core.data.columns import attribute_names
from vae_core.data.matching import plain
from vae_core.data.tables import LIST_MARK, MOST_TEXT
from vae_core.errors import UserError

LABEL_COLUMNS = (
    "label", "class", "category", "target", "label_name", "class_name", "category_name", "labels",
    "classes", "categories",
)  # fmt: skip
"""What the column of the label is called, the first that there is."""

PART_COLUMNS = ("split", "subset", "partition", "set")

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PART_NAMES = {
    "train": TRAIN, "training": TRAIN,
    "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "dev": VALIDATION,
    "test": TEST, "testing": TEST,
}  # fmt: skip
"""What a folder or a value of this name stands for, in any case."""

FOLDER = "folder"
"""The column of the folders that images lie in."""

MOST_COLUMNS, MOST_ATTRIBUTES = 100, 200
"""What is kept of the columns of strangers; CelebA has 40 attributes."""

MISSING = frozenset({"", "nan", "na", "n/a", "#n/a", "<na>", "null"})
UNKNOWN_NUMBERS = MISSING | {"none", "-", "?", "inf", "-inf"}
"""What stands for no number among numbers."""

YES_NO: Mapping[str, int] = {"true": 1, "false": 0, "yes": 1, "no": 0}
LIST_MARKS = (LIST_MARK, "|")
LONGEST_ATTRIBUTE = 60

DATES = (
    "%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y:%m:%d %H:%M:%S", "%d.%m.%Y",
    "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d-%m-%Y", "%m-%d-%Y",
)  # fmt: skip
"""Beside those of ISO 8601. Where days and months could be either, it stays a text."""

Texts = np.ndarray
"""[N] of str or None in an object array: what a table says of each image."""


@dataclass(frozen=True)
class Meanings:
    """What is said of N images.

    labels: the name of each image's label, None where there is none; None as a whole without.
    label_column: what the labels were read from.
    parts: train, validation or test of each, or None; None as a whole where nobody says.
    columns: the rest, as `vae_core.data.columns` has it.
    """

    labels: Texts | None = None
    label_column: str = ""
    parts: Texts | None = None
    part_column: str = ""
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def meanings_of(
    texts: Mapping[str, Texts],
    folders: Texts | None = None,
    label_column: str | None = None,
    lone: str | None = None,
) -> Meanings:
    """What columns of texts about N images mean.

    The label is the column `label_column` where one is named, else one that is called so, else
    `lone`, else attributes of which each image has exactly one, else the folder.

    A `label_column` of "folder" asks no table for the label.

    Args:
        folders: what the folder of each image is called, where folders differ.
        lone: the one column of a table beside its names, whatever it is called.

    Raises:
        UserError: when there is no column `label_column`.
    """
    texts = {name: _cleaned(column) for name, column in texts.items()}
    texts = {name: column for name, column in texts.items() if any(each for each in column)}
    by_folder = label_column is not None and label_column.lower() == FOLDER
    by_folder &= FOLDER not in texts
    chosen = "" if by_folder else _label_column(texts, folders, label_column, lone)
    part = next(
        (name for called in PART_COLUMNS for name in texts
         if plain(name) == plain(called) and _names_parts(texts[name])), ""
    )  # fmt: skip
    columns: dict[str, np.ndarray] = {}
    notes: list[str] = []
    others = [name for name in texts if name not in (chosen, part)]
    for name in others[:MOST_COLUMNS]:
        _add(columns, name, texts[name], notes)
    if len(others) > MOST_COLUMNS:
        notes.append(f"{len(others) - MOST_COLUMNS} columns beyond {MOST_COLUMNS} were left out")
    passed = [] if chosen or by_folder else _called_label(texts)
    if passed and _parts_of_lists(texts[passed[0]]) is None:
        notes.append(
            f"“{passed[0]}” was not taken for the label, as it is a measure or another one for "
            "nearly every image; “Label column” makes it one all the same"
        )
    labels = _label_texts(texts[chosen]) if chosen else None
    if labels is None and not by_folder:
        labels, chosen = _one_hot(columns)
    if labels is None:
        labels, chosen = folders, FOLDER
    elif folders is not None:
        columns[_free(columns, FOLDER, "images")] = np.array(folders, "O")
    parts = None if not part else np.array([_part(text) for text in texts[part]], "O")
    return Meanings(labels, chosen, parts, part, columns, tuple(notes))


def _cleaned(column: Texts) -> Texts:
    """Without spaces around and without what no page can show; None where nothing is said."""
    found = {text: _clean(text) for text in set(column) if text is not None}
    return np.array([found.get(text) for text in column], "O")


def _clean(text: str) -> str | None:
    text = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return None if text.lower() in MISSING else text[:MOST_TEXT]


def _different(column: Texts) -> set[str]:
    return {text for text in column if text is not None}


# --- the label and the part -----------------------------------------------------------------------


def _label_column(
    texts: Mapping[str, Texts], folders: Texts | None, wanted: str | None, lone: str | None
) -> str:
    """The name of the column that holds the labels, "" where none does."""
    if wanted is not None:
        found = next((name for name in texts if name.lower() == wanted.lower()), None)
        if found is None:
            there = [*texts, *([] if folders is None else [FOLDER])]
            raise UserError(
                f"data.label_column: there is no column {wanted!r} in a table beside the images. "
                + (f"Choose one of {_listed(there)}." if there else "There are no columns at all.")
            )
        return found
    candidates = _called_label(texts)
    candidates += [lone] if lone is not None and lone in texts else []
    return next((name for name in candidates if _is_label(texts[name])), "")


def _called_label(texts: Mapping[str, Texts]) -> list[str]:
    """The columns that are called as labels are, the likeliest first."""
    called = {plain(name): name for name in reversed(list(texts))}
    return [called[plain(name)] for name in LABEL_COLUMNS if plain(name) in called]


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - 20} more" if len(listed) > 20 else ""
    return ", ".join(map(repr, listed[:20])) + more


def _is_label(column: Texts) -> bool:
    """Whether values could be classes: no measure, no list, and not another one for each image."""
    values = _different(column)
    numbers = _numbers(values)
    if numbers is not None and any(value % 1 for value in numbers.values() if value == value):
        return False
    repeats = len(values) < sum(text is not None for text in column)
    few = len(column) <= 3 or 2 * len(values) <= len(column)  # a table may name some images alone
    return (repeats or few) and _parts_of_lists(column) is None


def _label_texts(column: Texts) -> Texts:
    """Names of labels; whole numbers without the point that pandas puts behind them."""
    values = _different(column)
    numbers = _numbers(values)
    if numbers is None:
        return column
    names = {text: _number_name(text, numbers[text]) for text in values}
    return np.array([names.get(text) for text in column], "O")


def _number_name(text: str, value: float) -> str | None:
    if value != value:
        return None
    return str(int(value)) if value % 1 == 0 and "." in text and abs(value) < 2**53 else text


def _one_hot(columns: dict[str, np.ndarray]) -> tuple[Texts | None, str]:
    """Attributes of which every image has exactly one are the names of a label."""
    names = attribute_names(columns)
    if len(names) < 2:
        return None, ""
    has = np.stack([columns[name] for name in names], axis=1)
    told = (has >= 0).all(axis=1)
    if not told.any() or not ((has[told] == 1).sum(axis=1) == 1).all():
        return None, ""
    if not (has[told] == 1).any(axis=0).sum() > 1:
        return None, ""
    which = np.array(names, "O")[has.argmax(axis=1)]
    for name in names:
        del columns[name]
    which[~told] = None
    return which, f"{names[0]} … {names[-1]}"


def _names_parts(column: Texts) -> bool:
    values = {text.lower() for text in _different(column)}
    return values <= PART_NAMES.keys() and TRAIN in {PART_NAMES[text] for text in values}


def _part(text: str | None) -> str | None:
    return None if text is None else PART_NAMES[text.lower()]


# --- what else is known ---------------------------------------------------------------------------


def _add(columns: dict[str, np.ndarray], name: str, column: Texts, notes: list[str]) -> None:
    """Add what a column of texts is: one column, or one for each value of its lists."""
    lists = _parts_of_lists(column)
    if lists is not None:
        kept = [value for value, _ in lists.most_common(MOST_ATTRIBUTES)]
        if len(kept) < len(lists):
            notes.append(
                f"of the {len(lists)} different values in the lists of {name!r} the "
                f"{len(kept)} most frequent are attributes"
            )
        marks = _MARKS
        has = [None if text is None else set(map(str.strip, marks.split(text))) for text in column]
        for value in sorted(kept):
            values = [-1 if each is None else int(value in each) for each in has]
            columns[_free(columns, value, name)] = np.array(values, np.int8)
        return
    columns[_free(columns, name, name)] = typed(column)


def _free(columns: Mapping[str, np.ndarray], name: str, of: str) -> str:
    return name if name not in columns else f"{of}: {name}"


def typed(column: Texts) -> np.ndarray:
    """A column of texts as what they all are: attributes, numbers, dates, or texts."""
    values = _different(column)
    for read, dtype, unknown in (
        (_attributes, "i1", -1), (_numbers, "f8", np.nan), (_dates, "M8[s]", None)
    ):  # fmt: skip
        found = read(values)
        if found is not None:
            return np.array([found.get(text, unknown) for text in column], dtype)
    return np.array([text or "" for text in column], "O")


def _attributes(values: set[str]) -> Mapping[str, int] | None:
    """0 and 1, −1 and 1, yes and no, true and false."""
    if {text.lower() for text in values} <= YES_NO.keys():
        return {text: YES_NO[text.lower()] for text in values}
    numbers = _numbers(values)
    if numbers is None:
        return None
    told = {value for value in numbers.values() if value == value}
    if not (told <= {0, 1} or told <= {-1, 1}):
        return None
    return {text: -1 if value != value else int(value > 0) for text, value in numbers.items()}


def _numbers(values: set[str]) -> dict[str, float] | None:
    """Finite numbers by how they are written, NaN for what stands for none; None where one is
    something else."""
    found = {}
    for text in values:
        try:
            # Python reads 1_000 as a number, which no table means so.
            value = np.nan if text.lower() in UNKNOWN_NUMBERS else float(text)
        except ValueError:
            return None
        if "_" in text:
            return None
        found[text] = value if np.isfinite(value) else np.nan
    return found if any(value == value for value in found.values()) else None


def _dates(values: set[str]) -> dict[str, np.datetime64] | None:
    """Moments in UTC, as one way of writing dates has all of them; None where no way has, or two
    have different ones."""
    ways: list[Callable[[str], datetime]] = [datetime.fromisoformat]
    ways += [lambda text, form=form: datetime.strptime(text, form) for form in DATES]  # type: ignore[misc]
    found: list[dict[str, np.datetime64]] = []
    for way in ways:
        try:
            found.append({text: _moment(way(text)) for text in values})
        except (ValueError, OverflowError):
            continue
    return found[0] if found and all(each == found[0] for each in found) else None


def _moment(when: datetime) -> np.datetime64:
    if when.tzinfo is not None:
        when = when.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(when, "s")


_MARKS = re.compile("[" + re.escape("".join(LIST_MARKS)) + "]")


def _parts_of_lists(column: Texts) -> Counter[str] | None:
    """How frequent each value is in a column of lists such as "red;round"; None for another one.

    Sentences have such marks too: values of lists are short, and come again.
    """
    texts = Counter(text for text in column if text is not None)
    if not any(_MARKS.search(text) for text in texts):
        return None
    counts: Counter[str] = Counter()
    for text, n in texts.items():
        for value in {each.strip() for each in _MARKS.split(text)} - {""}:
            counts[value] += n
    total = sum(counts.values())
    short = all(len(value) <= LONGEST_ATTRIBUTE for value in counts)
    return counts if short and 2 * len(counts) <= total else None


def natural_order(names: Iterable[str]) -> list[str]:
    """Names sorted, numbers among them by their size: 2 before 10."""

    def key(name: str) -> tuple[bool, float, str]:
        number = name if re.fullmatch(r"[+-]?\d+(\.\d+)?", name) else ""
        return not number, float(number or 0), name

    return sorted(names, key=key)
