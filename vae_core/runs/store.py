"""The folder in which runs live, and the names they may have."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path, PurePath

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.locations import IS_CHECKOUT, SHIPPED, store_folder
from vae_core.runs.folder import shipped_names
from vae_core.runs.layout import CONFIG, HISTORY
from vae_core.runs.migrations import to_store
from vae_core.runs.run import Run
from vae_core.runs.safe_open import kind_of

LONGEST_NAME = 80
OWN = "folder"
"""The data set of a person's own images."""
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")


class Store:
    """The folder in which runs live; where the package is installed, the runs that come with it are
    found there too."""

    def __init__(self, path: Path | str | None = None) -> None:
        """Open `path`, else what the environment variable VAE_STORE names, else the default. A
        UserError when it can be no path."""
        self.path = store_folder(path)
        """Where runs are created."""
        self.roots = (self.path,) if IS_CHECKOUT else (self.path, SHIPPED)
        """Where runs are looked for; of two with one name, the one in the first."""

    def create(self, name: str, config: RunConfig) -> Run:
        """Claim `name` and write the configuration.

        A run that failed before its first step (a mistyped path, say) left nothing worth keeping,
        so its name is free. A UserError when the name is taken or is no plain name, or nothing can
        be written here; the name is then as free as before.
        """
        path = self._inside(name)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._uncreated(error) from None
        if _never_began(path):
            shutil.rmtree(path, ignore_errors=True)
        try:
            if self._comes_along(name):
                raise FileExistsError
            path.mkdir()
        except FileExistsError:
            raise UserError(self._taken(name)) from None
        except OSError as error:
            raise self._uncreated(error) from None
        run = Run(path)
        try:
            run.write_json(CONFIG, to_store(config))
        except UserError:
            shutil.rmtree(path, ignore_errors=True)  # a claim without a configuration helps nobody
            raise
        return run

    def first_met(self, among: Collection[str]) -> str | None:
        """Whom a newcomer meets: of `among`, names in the order of this store, the most striking of
        those that come with the app; else the first. None of none."""
        shipped = chain.from_iterable(map(shipped_names, self.roots))
        return next(chain((name for name in shipped if name in among), among), None)

    def refusal(self, name: str) -> str:
        """Why no run could be created with this name, "" where one can."""
        try:
            path = self._inside(name)
        except UserError as error:
            return str(error)
        taken = os.path.lexists(path) and not _never_began(path)
        return self._taken(name) if taken or self._comes_along(name) else ""

    def get(self, name: str) -> Run:
        """The run called `name`. A UserError when there is none, it is a link, or the name is no
        plain name."""
        path = self._inside(name)
        if path.is_symlink():
            raise UserError(
                f"Run {name!r} is a link to another folder, and links are not followed. Copy that "
                "folder into the store."
            )
        for root in self.roots:
            if (root / name).is_dir():
                return Run(root / name)
        raise UserError(f"There is no run called {name!r} in {self.path}.")

    def free_name(self, wish: str) -> str:
        """`wish`, or `wish-2`, `wish-3`, … where it is taken.

        A wish that is too long is cut, and ends in a digest of all of it, so that long wishes that
        begin alike stay apart and the same wish has the same name.
        """
        names = {run.id for run in self if not _never_began(run.path)}
        wishes = (wish, *(f"{wish}-{n}" for n in range(2, len(names) + 3)))
        return next(name for name in map(_fitting, wishes) if name not in names)

    def __iter__(self) -> Iterator[Run]:
        """Every run, the newest configuration first."""
        folders: dict[str, Path] = {}
        for root in filter(Path.is_dir, self.roots):
            for path in filter(_is_run_folder, root.iterdir()):
                folders.setdefault(path.name, path)
        yield from map(Run, sorted(folders.values(), key=_made_at, reverse=True))

    def _inside(self, name: str) -> Path:
        if not is_run_name(name):
            raise UserError(
                f"{name!r} is no run name; use letters, digits, dots, dashes and underscores, "
                f"at most {LONGEST_NAME}, beginning with a letter or digit."
            )
        return self.path / name

    def _comes_along(self, name: str) -> bool:
        """Whether a run of another root has this name."""
        return any((root / name).is_dir() for root in self.roots[1:])

    def _taken(self, name: str) -> str:
        return f"There is already a run called {name!r} in {self.path}; choose another name."

    def _uncreated(self, error: OSError) -> UserError:
        reason = error.strerror or error
        return UserError(f"The run cannot be created in {self.path}: {reason}.")


def is_run_name(name: str) -> bool:
    """Whether a run may have this name."""
    return bool(_NAME.fullmatch(name))


def name_for(config: RunConfig, recipe: str) -> str:
    """A wish for the name of a run: after the folder or archive of a person's own images, else
    after data set and recipe."""
    place = PurePath(config.data.data_dir or "").name
    if config.data.dataset == OWN and (own := plain_name(place)):
        return own
    return f"{config.data.dataset}-{recipe}"


def plain_name(name: str) -> str:
    """A file's name as one that a run may have: without endings, in plain letters."""
    while re.search("[A-Za-z]", PurePath(name).suffix):  # .tar.gz has two; .2024 is none
        name = PurePath(name).stem
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", letters).strip(".-_")


def _fitting(wish: str) -> str:
    if len(wish) <= LONGEST_NAME:
        return wish
    digest = hashlib.blake2b(wish.encode(), digest_size=4).hexdigest()
    return f"{wish[: LONGEST_NAME - len(digest) - 1]}-{digest}"


def _is_run_folder(path: Path) -> bool:
    try:
        return kind_of(path.lstat()) == "a folder" and is_run_name(path.name)
    except OSError:  # deleted while they were listed
        return False


def _made_at(path: Path) -> float:
    """Seconds since 1970 of the configuration, else of the folder; 0 once it is deleted."""
    for candidate in (path / CONFIG, path):
        try:
            return candidate.lstat().st_mtime
        except OSError:
            continue
    return 0.0


def _never_began(path: Path) -> bool:
    """True for a run that failed before it recorded anything."""
    run = Run(path)
    if path.is_symlink() or not run.has(CONFIG) or run.has(HISTORY):
        return False
    try:
        return run.status().state == "failed" and not run.is_alive()
    except UserError:
        return False
