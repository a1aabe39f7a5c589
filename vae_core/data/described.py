"""What is said of the pictures of a folder or an archive, by the files that they came out of and by
tables that lie beside; and what it means, together with the folders that they lie in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np

from vae_core.data.matching import Matched, Names, match
from vae_core.data.meanings import Meanings, Texts, meanings_of
from vae_core.data.tables import READERS, NoTable, Table, read_table
from vae_core.errors import UserError
from vae_core.imaging.kinds import NotAnImage
from vae_core.imaging.listing import Listing
from vae_core.imaging.reading import Refused, Skip, reason_of
from vae_core.names import unused
from vae_core.progress import Progress
from vae_core.units import grouped

CALLED = frozenset({"labels", "label", "metadata", "annotations", "classes", "attributes"})
"""Tables of these names are about the pictures; of another one, where it names many of them."""

LABEL = "label"
"""The column of what files say that their pictures show."""

MOST_TABLES = 64


@dataclass(frozen=True)
class Said:
    """What tables say of N pictures.

    texts: by column, str or None for each picture. lone: of tables with one column beside the
    names, that one. used: the files that are tables of the pictures. notes: a sentence for each.
    """

    texts: dict[str, Texts] = field(default_factory=dict)
    lone: str | None = None
    used: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def take(self, kept: np.ndarray) -> Said:
        """What is said of the pictures at `kept`, int64 [M]."""
        return replace(self, texts={name: column[kept] for name, column in self.texts.items()})


def said_of(listing: Listing, progress: Progress) -> Said:
    """What the files that pictures came out of, and the tables that lie beside them, say of them.

    Raises:
        UserError: when a table cannot be read now, which says nothing of what it holds.
    """
    texts = _in_files(listing)
    files = [skip.name for skip in listing.skipped if _may_be_table(skip)]
    if not files or not len(listing):
        return Said(texts)
    progress("Reading the names", None)
    names = Names(listing.names)
    lones: set[str | None] = set()
    used, notes = set(), []
    for name in sorted(files, key=lambda each: (not _is_called(each), each))[:MOST_TABLES]:
        progress(f"Reading {name}", None)
        called = _is_called(name)
        try:
            table = read_table(name, _read(listing, name), names.is_file)
        except (NoTable, Refused, NotAnImage) as error:
            if called:
                used.add(name)
                notes.append(f"{name} was left aside: {error}.")
            continue
        found = match(table.rows, names, len(listing), _below(name, listing))
        if (
            found is None
            or not found.count
            or not (called or _is_about(found, table, len(listing)))
        ):
            if called:
                used.add(name)
                notes.append(_names_nothing(name, table, listing, found))
            continue
        used.add(name)
        notes.append(_told(name, found, table, len(listing)))
        others = [each for each in table.rows.column_names if each != found.column]
        others = [each for each in others if each not in table.unnamed or len(others) == 1]
        lones.add(others[0] if len(others) == 1 else None)
        for column in others:
            _merge(texts, column, found.values(table.rows, column))
    lone = lones.pop() if len(lones) == 1 else None
    return Said(texts, lone, frozenset(used), tuple(notes))


def describe(said: Said, folders: Texts | None, label_column: str | None) -> Meanings:
    """What all that is said of the pictures means.

    Raises:
        UserError: as `meanings_of`.
    """
    return meanings_of(said.texts, folders, label_column, said.lone)


def without(listing: Listing, used: frozenset[str]) -> Listing:
    """The listing without the tables that were read, which were not skipped."""
    return replace(listing, skipped=tuple(s for s in listing.skipped if s.name not in used))


def _may_be_table(skip: Skip) -> bool:
    """Links in what strangers sent are not followed."""
    is_table = PurePosixPath(skip.name).suffix.lower() in READERS
    return is_table and not skip.reason.startswith("a link")


def _in_files(listing: Listing) -> dict[str, Texts]:
    """What the files themselves say, as a table would."""
    texts: dict[str, Texts] = {}
    if listing.labels is not None:
        texts[LABEL] = np.array([label or None for label in listing.labels], "O")
    for name, cells in listing.columns.items():
        texts[unused(name, texts)] = np.array(
            [None if cell is None else str(cell) for cell in cells], "O"
        )
    return texts


def _is_called(name: str) -> bool:
    return PurePosixPath(name).stem.lower() in CALLED


def _is_about(found: Matched, table: Table, pictures: int) -> bool:
    """Whether a table of any name is about the pictures: it names half of them, or they fill half
    of it. A text that mentions one is not."""
    return found.count > 1 and 2 * found.count >= min(pictures, table.rows.num_rows)


def _read(listing: Listing, name: str) -> bytes:
    try:
        return listing.read_other(name)
    except OSError as error:
        raise UserError(
            f"{name} in {listing.root} could not be read: {reason_of(error)}. Make sure that it is "
            "there and may be read, then try again."
        ) from None


def _below(table: str, listing: Listing) -> Names | None:
    """The pictures in the folder of a table that lies in one; None at the top, where that is all
    of them."""
    folder = "/".join(PurePosixPath(table).parts[:-1])
    names = Names(listing.names, folder) if folder else None
    return names if names is not None and 0 < len(names) < len(listing) else None


def _merge(texts: dict[str, Texts], column: str, values: Texts) -> None:
    """What an earlier table says of a picture stays."""
    before = texts.get(column)
    texts[column] = values if before is None else np.where(before == None, values, before)  # noqa: E711


# --- sentences ------------------------------------------------------------------------------------


def _told(name: str, found: Matched, table: Table, pictures: int) -> str:
    of = "all" if found.count == pictures else f"{grouped(found.count)} of"
    return (
        "; ".join(
            [
                f"{name} describes {of} {grouped(pictures)} images, by its column “{found.column}”",
                *_oddities(found),
                *table.notes,
            ]
        )
        + "."
    )


def _oddities(found: Matched) -> Iterator[str]:
    if found.unclear.count:
        yield found.unclear.told("name fits several images", "names fit several images")
    if found.unknown.count:
        yield found.unknown.told("row names no image here", "rows name no image here")
    if found.repeated.count:
        yield found.repeated.told(
            "row is about an image that has one already, and the first counts",
            "rows are about images that have one already, and the first counts",
        )


def _names_nothing(name: str, table: Table, listing: Listing, found: Matched | None) -> str:
    if found is not None:
        return f"{name} was left aside: {next(_oddities(found))}; write them with their folders."
    first = table.rows.slice(0, 1).to_pylist()[0]
    shown = next((text for text in first.values() if text), "nothing")
    return (
        f"{name} was left aside: none of its {grouped(table.rows.num_rows)} rows names an image "
        f"(it begins with “{shown[:80]}”, the images with “{listing.names[0]}”)."
    )
