"""Images that somebody chose among the encodings, kept under a name with the run: by what they
show, so that they are found again whatever their places, and another run can learn from them.

`NAME@RUN` is how such a selection is called elsewhere: in `data.selection`, on the command line.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from vae_core.config import DataConfig
from vae_core.data import Dataset, Progress, load_dataset, no_progress
from vae_core.data.restricted import restricted
from vae_core.errors import UserError
from vae_core.runs import Folder, Run, Store
from vae_core.runs.layout import SAVED_SELECTIONS, SELECTION
from vae_core.runs.schemas import SavedSelection, SavedSelections

OF_SHIPPED = ".selections"
"""The folder of the store in which those of runs lie that come with the app."""

LONGEST_NAME = 60
MOST = 200
"""Selections of one run."""

AT = "@"


@dataclass(frozen=True)
class Selection:
    """name: as it is called; split: the part it was chosen in; hashes: uint64 [M], ascending, which
    images they are, no two the same: exact copies are chosen together."""

    name: str
    split: str
    hashes: np.ndarray

    def __len__(self) -> int:
        return len(self.hashes)

    def rows(self, hashes: np.ndarray) -> np.ndarray:
        """The places of its images among those of `hashes` uint64 [N]: int64 [M], ascending."""
        return np.flatnonzero(np.isin(hashes, self.hashes))


Combine = Callable[[np.ndarray, np.ndarray], np.ndarray]

COMBINATIONS: dict[str, Combine] = {
    "union": np.union1d,
    "intersection": np.intersect1d,
    "difference": np.setdiff1d,
}
"""What two selections may become, of their hashes: in either, in both, in the first alone."""


def load_selections(run: Run) -> tuple[Selection, ...]:
    """The selections saved with a run, the oldest first; a `UserError` for a damaged file."""
    place = _kept_in(run)
    if not place.has(SAVED_SELECTIONS):
        return ()
    try:
        saved = place.parse(SAVED_SELECTIONS, SavedSelections).selections
        return tuple(Selection(each.name, each.split, _unpacked(each.hashes)) for each in saved)
    except UserError as error:
        raise UserError(f"{error} Remove the file to save selections again.") from None


def save_selection(run: Run, name: str, split: str, hashes: np.ndarray) -> Selection:
    """Keep the images of `hashes` uint64 [M] as `name`.

    Raises:
        UserError: for a name that is empty, too long or taken, or no images.
    """
    known = load_selections(run)
    if len(known) >= MOST:
        raise UserError(f"At most {MOST} selections are kept with a run; delete one first.")
    if not len(hashes):
        raise UserError("There is no image in this selection, so it is not kept.")
    made = Selection(_free(name, known), split, np.unique(hashes))
    _write(run, (*known, made))
    return made


def rename_selection(run: Run, name: str, new: str) -> None:
    """Call the selection `name` otherwise; a `UserError` for a name that cannot be."""
    known = load_selections(run)
    free = _free(new, tuple(each for each in known if each.name != name))
    _write(run, tuple(replace(each, name=free) if each.name == name else each for each in known))


def forget_selection(run: Run, name: str) -> tuple[Selection, ...]:
    """Remove the selection called `name`; returns all as they were, for `keep_selections`."""
    known = load_selections(run)
    _write(run, tuple(each for each in known if each.name != name))
    return known


def keep_selections(run: Run, selections: tuple[Selection, ...]) -> None:
    """Have exactly these, as before something was removed."""
    _write(run, selections)


def find_selection(run: Run, name: str) -> Selection:
    """The selection called `name`; a `UserError` that lists what there is."""
    known = load_selections(run)
    for each in known:
        if each.name == name:
            return each
    there = ", ".join(repr(each.name) for each in known) or "none"
    raise UserError(f"Run {run.id!r} has no selection {name!r}; there is {there}.")


def reference(run: Run, name: str) -> str:
    """What `data.selection` calls a selection of a run."""
    return f"{name}{AT}{run.id}"


# --- as a data set --------------------------------------------------------------------------------


def selected_dataset(
    config: DataConfig, store: Store, progress: Progress = no_progress, run: Run | None = None
) -> Dataset:
    """The data set that `config` names, with or without the images of its selection.

    Args:
        store: where the run of the selection is.
        run: a run that is to be trained: it gets the hashes of the selection beside its
            configuration, and goes by those once it has them, so that it may be moved and the
            selection changed.

    Raises:
        UserError: as `load_dataset`, or when there is no such selection, or some of its images
            are not in the data set.
    """
    if config.selection is None:
        return load_dataset(config, progress)
    if run is None:
        chosen = _referred(config.selection, store).hashes
    else:
        take_selection(run, config, store)
        chosen = _unpacked(run.parse(SELECTION, SavedSelection).hashes)
    everything = load_dataset(config.model_copy(update={"limit": None}), progress)
    return restricted(everything, chosen, config)


def take_selection(run: Run, config: DataConfig, store: Store) -> None:
    """Write the selection that `config` names into a run that has none yet, so that the run may be
    moved and the selection changed.

    Raises:
        UserError: when there is no such selection, or nothing can be written.
    """
    if config.selection is not None and not run.has(SELECTION):
        run.write_json(SELECTION, _packed(_referred(config.selection, store)))


def _referred(text: str, store: Store) -> Selection:
    name, _, run_id = text.rpartition(AT)
    if not name or not run_id:
        raise UserError(
            f"data.selection: {text!r} names no selection; write NAME@RUN, such as 'cats@my-run'."
        )
    return find_selection(store.get(run_id), name)


# --- as a file ------------------------------------------------------------------------------------


def _free(name: str, known: tuple[Selection, ...]) -> str:
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise UserError(f"A selection's name has 1 to {LONGEST_NAME} characters.")
    if any(each.name == name for each in known):
        raise UserError(f"There is a selection called {name!r} already; choose another name.")
    return name


def _packed(selection: Selection) -> SavedSelection:
    body = base64.b64encode(np.ascontiguousarray(selection.hashes, "<u8").tobytes()).decode()
    return SavedSelection(name=selection.name, split=selection.split, hashes=body)


def _unpacked(text: str) -> np.ndarray:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), "<u8").astype(np.uint64)
    except (binascii.Error, ValueError):
        raise UserError(f"{SAVED_SELECTIONS} is damaged: what should be images is none.") from None


def _place(run: Run) -> Folder:
    return Folder(Store().path / OF_SHIPPED / run.id) if run.shipped else run


def _kept_in(run: Run) -> Folder:
    place = _place(run)
    return place if place.has(SAVED_SELECTIONS) else run


def _write(run: Run, selections: tuple[Selection, ...]) -> None:
    place = _place(run)
    if run.shipped:
        with suppress(OSError):  # what cannot be made cannot be written, and that is told
            place.path.mkdir(parents=True, exist_ok=True)
    place.write_json(SAVED_SELECTIONS, SavedSelections(selections=tuple(map(_packed, selections))))
