"""Directions that a person named, kept in the run; those of a run that comes with the app, in the
person's own store."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from vae_core.errors import UserError
from vae_core.latent.directions import Directions, measured_directions
from vae_core.runs import Folder, Run, Store
from vae_core.runs.layout import SAVED_DIRECTIONS
from vae_core.runs.schemas import SavedDirection, SavedDirections

OF_SHIPPED = ".directions"
"""The folder of the store in which those of runs lie that come with the app."""

LONGEST_NAME = 40


def load_saved(run: Run) -> tuple[SavedDirection, ...]:
    """The directions saved with a run, the oldest first; a `UserError` for a damaged file."""
    place = _kept_in(run)
    if not place.has(SAVED_DIRECTIONS):
        return ()
    try:
        return place.parse(SAVED_DIRECTIONS, SavedDirections).directions
    except UserError as error:
        raise UserError(f"{error} Remove the file to save directions again.") from None


def save_direction(run: Run, name: str, vector: np.ndarray) -> None:
    """Keep `vector` [D] in the run as `name`; a `UserError` for a name that is empty, too long or
    taken, or a vector without a direction."""
    name = name.strip()
    known = load_saved(run)
    if not 1 <= len(name) <= LONGEST_NAME:
        raise UserError(f"A direction's name has 1 to {LONGEST_NAME} characters.")
    if any(each.name == name for each in known):
        raise UserError(f"There is a direction called {name!r} already; choose another name.")
    if not np.isfinite(vector).all() or np.linalg.norm(vector) < 1e-6:
        raise UserError("There is no direction to save: both ends are the same point.")
    added = SavedDirection(name=name, vector=tuple(float(x) for x in vector))
    _write(run, (*known, added))


def forget_direction(run: Run, name: str) -> None:
    """Remove the direction called `name`, if there is one."""
    _write(run, tuple(each for each in load_saved(run) if each.name != name))


def saved_directions(run: Run, mu: np.ndarray) -> tuple[Directions, tuple[str, ...]]:
    """The run's saved directions in units of the encodings mu [N, D], and their names.

    Those made for another latent size, before the run was trained anew, are left out, as is one
    that somebody's editor made zero; raises as `load_saved`.
    """
    fitting = [
        each for each in load_saved(run) if len(each.vector) == mu.shape[1] and any(each.vector)
    ]
    vectors = np.array([each.vector for each in fitting]).reshape(-1, mu.shape[1])
    return measured_directions(mu, vectors), tuple(each.name for each in fitting)


def saved_version(run: Run) -> int | None:
    """Changes whenever a direction is saved or removed; None before the first."""
    return _kept_in(run).version(SAVED_DIRECTIONS)


def _place(run: Run) -> Folder:
    return Folder(Store().path / OF_SHIPPED / run.id) if run.shipped else run


def _kept_in(run: Run) -> Folder:
    place = _place(run)
    return place if place.has(SAVED_DIRECTIONS) else run  # where they were kept in every run


def _write(run: Run, directions: tuple[SavedDirection, ...]) -> None:
    place = _place(run)
    if run.shipped:
        with suppress(OSError):  # what cannot be made cannot be written, and that is told
            place.path.mkdir(parents=True, exist_ok=True)
    place.write_json(SAVED_DIRECTIONS, SavedDirections(directions=directions))
