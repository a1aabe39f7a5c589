"""What a format is made from, what it gives, and the registry of formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from vae_core.analysis import CACHED, kept_images, survey_of
from vae_core.data import Progress, no_progress
from vae_core.latent.survey import Survey, finite
from vae_core.loading import LoadedRun, load_run
from vae_core.registry import Entry, Registry
from vae_core.runs import Run


@dataclass(frozen=True)
class Export:
    """Files by name, and a sentence on what they are or how they were checked."""

    files: dict[str, bytes]
    note: str


@dataclass(frozen=True)
class Source:
    """A run and the images of it that are meant; read when a format asks for them.

    split: train, validation or test, or "cached" for the images whose encodings the run keeps.
    data_dir: where the data set lies on this machine, in place of where it lay in training.
    rows: places in the split, int64 [M], of a selection; None for all of it.
    which: the last weights, or the best: those of the best validation.
    at_hand: the encodings of the last weights on `split`, where somebody has read them already.
    license: what the person puts it under, where a format says so; "" is silent on it.
    """

    run: Run
    split: str = "train"
    data_dir: str | None = None
    rows: np.ndarray | None = None
    progress: Progress = no_progress
    which: str = "last"
    at_hand: Survey | None = None
    license: str = ""

    @cached_property
    def loaded(self) -> LoadedRun:
        """The run's model in evaluation mode, on the CPU."""
        return load_run(self.run, which=self.which).sound()

    @cached_property
    def survey(self) -> Survey:
        """The encodings that are meant, all finite."""
        if self.at_hand is not None:
            found = self.at_hand
        elif self.split == CACHED and self.which == "last":
            found = kept_images(self.run)[0]
        else:
            found = survey_of(self.run, self.split, self.data_dir, self.progress, self.which)
        finite(found.mu, "encoding")
        return found if self.rows is None else found.rows(self.rows)

    @property
    def images_note(self) -> str:
        """What a person should know of the images that were read, "" for nothing."""
        return self.survey.note if "survey" in vars(self) else ""


@dataclass(frozen=True, kw_only=True)
class Format(Entry[Callable[[Source], Export]]):
    """An export format.

    publish: brings a folder that was written to where others find it, under a name that is wished
        for, and says in a sentence what was done; None where there is no such place.
    """

    publish: Callable[[Path, str], str] | None = None


formats: Registry[Format] = Registry("export format", Format)
"""Functions `Source -> Export`."""


def export(source: Source, to: str) -> Export:
    """The files of format `to`.

    Raises:
        UserError: when there is no such format, the run has no weights, its data set is not
            present, or a library is not installed.
    """
    return formats[to].build(source)
