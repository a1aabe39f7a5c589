"""Images on their way in: named and bounded before a byte is taken, written to disk as they come.

An upload lies under `<data folder>/uploads` in a folder that nobody can guess. While it is on its
way that folder has a hidden name; it gets its own with one rename, when all has come and can be
read. Whatever is refused is deleted at once.
"""

from __future__ import annotations

import re
import secrets
import shutil
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from vae_core.data.tables import READERS
from vae_core.errors import UserError
from vae_core.imaging.fit import Target
from vae_core.imaging.kinds import has_image_name, kind_of, readable
from vae_core.imaging.listing import Listing, skipped_note
from vae_core.imaging.pool import decode_all
from vae_core.imaging.reading import reason_of
from vae_core.imaging.walk import open_pictures
from vae_core.locations import data_folder

MB = 10**6
LONGEST_NAME = 200
"""Bytes of a file's name without its ending; file systems have 255."""

MOST_FILES = 100_000
RESERVE = 256 * MB
"""Bytes that an upload leaves free on its disk: trainings write there too."""
LEAST_IMAGES = 2
"""One to learn from, one to measure on."""

_TRIES = 1000
_ABANDONED_S = 24 * 3600
_PART = ".part"


@dataclass(frozen=True)
class Announced:
    """A file that is to come: its name as the browser gives it, with folders, and its bytes."""

    name: str
    size: int


class Upload:
    """One .zip, or loose images, on their way into a folder of their own."""

    def __init__(self, uploads: Path, files: Sequence[Announced], least: int) -> None:
        self.least = least
        self.id = secrets.token_hex(16)
        self.files = tuple(files)
        self.bytes = sum(file.size for file in files)
        self._final = uploads / self.id
        self._folder = uploads / f".{self.id}{_PART}"
        self._is_zip = _is_zip(files[0].name)
        self._places = _places([file.name for file in files])
        if self._is_zip:
            self._places = [f"{PurePosixPath(safe_name(files[0].name)).stem}.zip"]
        self._came: set[int] = set()
        self._removed = False

    @property
    def name(self) -> str:
        """What a person calls it: the name of the zip, or of a single image, or their number."""
        if len(self.files) == 1:
            return _plain(self.files[0].name)
        return self.folder or f"{len(self.files)} images"

    @property
    def folder(self) -> str:
        """The folder that all of several images lie in; "" where they lie in no or in several."""
        tops = {
            file.name.replace("\\", "/").rpartition("/")[0].split("/")[0] for file in self.files
        }
        return tops.pop() if len(tops) == 1 else ""

    @property
    def path(self) -> Path:
        """Once finished: for `DataConfig(dataset="folder", data_dir=…)`."""
        return self._final / (self._places[0] if self._is_zip else "images")

    @contextmanager
    def receiving(self, index: int) -> Iterator[BinaryIO]:
        """A file to write the content of file `index` into; it counts when the block ends well.

        Raises:
            UserError: when it is not the size that was announced, or cannot be written; what had
                come of it is deleted.
        """
        if not 0 <= index < len(self.files):
            raise UserError(f"This upload has {len(self.files)} files, counted from 0.")
        file, place = self.files[index], self._folder / self._place(index)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as out:
                yield out
            came = place.stat().st_size
            if came != file.size:
                raise UserError(
                    f"Only {came:,} of {file.size:,} bytes of {_plain(file.name)} have come. "
                    "Upload it again."
                )
        except OSError as error:
            _delete(place)
            raise _unstored(error) from error
        except BaseException:
            _delete(place)
            raise
        finally:
            if self._removed:  # meanwhile, and this has made some of it anew
                self.remove()
        self._came.add(index)

    def finish(self) -> Path:
        """Look at what has come and give it its name; a path for `DataConfig.data_dir`.

        Raises:
            UserError: when something is missing, or it holds fewer than `least` images that can be
                read, or is an unsafe zip; all of it is then deleted.
        """
        try:
            missing = len(self.files) - len(self._came)
            if missing:
                raise UserError(f"{missing} of {len(self.files)} files have not come yet.")
            self._look()
            self._folder.rename(self._final)
        except OSError as error:
            self.remove()
            raise _unstored(error) from error
        except BaseException:
            self.remove()
            raise
        return self.path

    def remove(self) -> None:
        """Delete what has come, finished or not."""
        self._removed = True
        for folder in (self._folder, self._final):
            shutil.rmtree(folder, ignore_errors=True)

    def _place(self, index: int) -> PurePosixPath:
        place = PurePosixPath(self._places[index])
        return place if self._is_zip else "images" / place

    def _look(self) -> None:
        """Refuse what holds too few images, by the names it has now."""
        came = self._folder / (self._places[0] if self._is_zip else "images")
        try:
            with open_pictures(came, links=False) as listing:
                name = self.name if self._is_zip else "what was uploaded"
                _look_at(listing, name, self.least)
        except UserError as error:  # by its name: where it lies is nobody's business
            raise UserError(str(error).replace(str(came), self.name)) from None


def begin_upload(
    files: Sequence[Announced],
    most_bytes: int = 2000 * MB,
    root: Path | None = None,
    least: int = LEAST_IMAGES,
) -> Upload:
    """Make room for one .zip, or loose images, under the data folder `root`.

    Args:
        files: what is to come; folders in the names of loose images become labels.
        most_bytes: that all of it may have together.
        root: the data folder; None takes the default one.
        least: images that can be read, below which it is refused when all has come.

    Raises:
        UserError: when nothing is to come, a file is neither zip nor image, a zip comes with other
            files, it is too much for the bound or the disk, or nothing can be written here.
    """
    _check(files, most_bytes)
    uploads = data_folder(root) / "uploads"
    try:
        uploads.mkdir(parents=True, exist_ok=True)
        _forget_abandoned(uploads)
        free = shutil.disk_usage(uploads).free
        upload = Upload(uploads, files, least)
        if upload.bytes + RESERVE > free:
            raise UserError(
                f"There is no room for {_mb(upload.bytes)}: this server's disk has {_mb(free)} "
                f"free and keeps {_mb(RESERVE)} of it for trainings. Upload less, or free some."
            )
        upload._folder.mkdir(mode=0o700)
    except OSError as error:
        raise _unstored(error) from error
    return upload


def _check(files: Sequence[Announced], most_bytes: int) -> None:
    if not files:
        raise UserError("Nothing was uploaded; choose a .zip or some images.")
    if len(files) > MOST_FILES:
        raise UserError(f"These are {len(files):,} files; pack more than {MOST_FILES:,} as a .zip.")
    zips = [_plain(file.name) for file in files if _is_zip(file.name)]
    if zips and len(files) > 1:
        raise UserError(f"Upload {zips[0]} by itself: one .zip, or loose images, not both.")
    for file in files:
        name = _plain(file.name)
        if not zips and not (has_image_name(name) or _is_table(name)):
            raise UserError(f"{name!r} is nothing that can be read; what can be is {readable()}.")
        kind = kind_of(name)
        if kind is not None and kind.missing:
            raise UserError(f"{name!r} is {kind.label}: {kind.missing}.")
        if file.size <= 0:
            raise UserError(f"{name!r} is empty; leave it out.")
    total = sum(file.size for file in files)
    if total > most_bytes:
        raise UserError(
            f"This is {_mb(total)}; at most {_mb(most_bytes)} can be uploaded. "
            "Choose fewer images, or reduce them to the size that you train on."
        )


def _look_at(listing: Listing, name: str, least: int) -> None:
    """Refuse pictures of which not even `least` can be read; most are good, so few are tried."""
    good, why = 0, ""
    count = min(len(listing), _TRIES)
    spans = (range(start, min(start + least, count)) for start in range(0, count, least))
    for span, results in decode_all(listing, spans, Target(8, 8, "fit"), lambda: None):
        for index, each in zip(span, results, strict=True):
            if isinstance(each, tuple):
                good += 1
            elif not why and isinstance(each, str | OSError):
                reason = reason_of(each) if isinstance(each, OSError) else each
                why = f" {PurePosixPath(listing.names[index]).name}: {reason}."
        if good >= least:
            return
    if len(listing) > _TRIES:
        return  # preparing will look at all of them and tell
    if not why and listing.skipped:
        why = f" {skipped_note(listing.skipped, len(listing.skipped) + len(listing))}"
    found = "only one image" if good else "no image"
    needed = f"; at least {least} are needed, one to learn from and one to measure on"
    raise UserError(
        f"There is {found} in {name} that can be read{needed if least > 1 else ''}.{why}"
    )


def _places(names: Sequence[str]) -> list[str]:
    """A safe relative path for each name, no two alike."""
    places: dict[str, str] = {}
    for i, name in enumerate(names):
        *folders, file = PurePosixPath(name.replace("\\", "/")).parts or (name,)
        inside = [*filter(None, map(_safe_folder, folders)), _safe_file(file)]
        place = "/".join(inside)
        if place.lower() in places:  # two names may have become one
            place = "/".join([*inside[:-1], f"{i}-{inside[-1]}"])
        places[place.lower()] = place
    return list(places.values())


def _safe_folder(name: str) -> str:
    """A folder's name, which is a label's, in any script; never hidden, "" for nothing left."""
    return _safe_text(name)[:60]


def _safe_file(name: str) -> str:
    """A file's name, by which people and tables know it, in any script; never hidden."""
    stem, dot, ending = _safe_text(name).rpartition(".")
    if not stem:
        stem, dot, ending = ending, "", ""
    short = stem.encode()[:LONGEST_NAME].decode("utf-8", "ignore")
    return (short or "upload") + dot + ending[:8]


def _safe_text(name: str) -> str:
    """Without what leads somewhere, cannot be shown, or has no place in a name on some system."""
    text = "".join(each for each in name if each.isprintable() and each not in '/\\:*?"<>|')
    return text.encode("utf-8", "ignore").decode().strip(". ")


def _plain(name: str) -> str:
    """The last part of a name that may come from any system."""
    return PurePosixPath(name.replace("\\", "/")).name


def _is_table(name: str) -> bool:
    """True of what may say the labels of the images beside it."""
    return PurePosixPath(name).suffix.lower() in READERS


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def safe_name(name: str) -> str:
    """A file name of at most 80 letters, digits, dots, dashes and underscores, never hidden."""
    text = unicodedata.normalize("NFKD", _plain(name)).encode("ascii", "ignore").decode()
    path = PurePosixPath(re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip(".-") or "upload")
    suffix = path.suffix[:8]
    stem = path.name[: len(path.name) - len(path.suffix)] if path.suffix else path.name
    return (stem or "upload")[: 80 - len(suffix)] + suffix


def _forget_abandoned(uploads: Path) -> None:
    """Delete what a server that was killed had received and never finished."""
    for folder in uploads.glob(f".*{_PART}"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)


def _delete(place: Path) -> None:
    with suppress(OSError):
        place.unlink()


def _unstored(error: OSError) -> UserError:
    return UserError(
        f"The upload could not be stored: {error.strerror or error}. Free some space on this "
        "server's disk, or let its data folder be another one."
    )


def _mb(size: int) -> str:
    return f"{size / MB:,.1f} MB" if size < 100 * MB else f"{size / MB:,.0f} MB"
