"""The files of a run folder and of a sweep's: what each is called, holds, and may weigh.

This is the one place that spells their names. Whoever reads or writes one takes its name from here,
`tests/test_layout.py` sees to that, and a reader refuses what is larger than is said here: anybody
may have sent the folder.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pydantic import BaseModel

from vae_core.runs.schemas import (
    Brought,
    Choices,
    DataCard,
    Environment,
    Job,
    Placement,
    Pulled,
    Reproduced,
    SavedDirections,
    SavedSelection,
    SavedSelections,
    Status,
    Summary,
)

KB, MB, GB = 10**3, 10**6, 10**9

CONFIG = "config.json"
CHOICES = "choices.json"
DATA_CARD = "data.json"
PARTS = "parts.safetensors"
ENVIRONMENT = "environment.json"
JOB = "job.json"
STATUS = "status.json"
PLACEMENT = "placement.json"
CONTROL = "control.jsonl"
HISTORY = "history.jsonl"
LOG = "log.txt"
WEIGHTS = "model.safetensors"
INITIAL, INITIAL_CARD = "initial.safetensors", "initial.json"
BEST, NEXT_BEST = "best.safetensors", "best.next.safetensors"
STATE, NEXT_STATE = "training_state.pt", "training_state.next.pt"
ENCODINGS = "encodings.safetensors"
THUMBNAILS = "thumbnails.png"
THUMBNAIL = "thumbnail.png"
SUMMARY = "summary.json"
PULLED = "pulled.json"
SCORES = "scores.json"
REPRODUCED = "reproduced.json"
SAVED_DIRECTIONS = "saved_directions.json"
SAVED_SELECTIONS = "saved_selections.json"
SELECTION = "selection.json"
BROUGHT = "brought.json"
GIVEN = "brought"
PREVIEWS = "previews"
TRACK = "track"
"""A folder for each tracker that is told of the run: `vae_core/training/trackers/`."""
ORIGINALS, CORRUPTED = f"{PREVIEWS}/originals.png", f"{PREVIEWS}/corrupted.png"

DIRECTIONS = "directions.safetensors"
RATES = "rates.safetensors"

SWEEP_SPEC = "sweep.json"
SWEEP_STATE = "state.json"
STUDY, EARLIER_STUDY = "study.log", "study.db"

OBJECTIVE = "objective."
"""What the names of weights begin with that belong to the objective and not to the model."""


LEASE = re.compile(r"lease-([0-9]{1,9})")


def lease(number: int) -> str:
    """The lease of this number."""
    return f"lease-{number}"


def given(name: str) -> str:
    """A file of a network that was brought as it was."""
    return f"{GIVEN}/{name}"


def preview(step: int, kind: str) -> str:
    """A picture of training, `kind` being "reconstructions" or "samples"."""
    return f"{PREVIEWS}/{step:08d}-{kind}.png"


def survey(split: str, *, elsewhere: bool = False) -> str:
    """The survey of a part; `elsewhere`: of images that are not the run's own."""
    return f"encodings-{split}{'-elsewhere' if elsewhere else ''}.safetensors"


def map_(split: str, kind: str, dimensions: int) -> str:
    """A map of the encodings of a part."""
    return f"map-{split}-{kind}-{dimensions}d.safetensors"


def curation(split: str) -> str:
    """Copies, doubtful labels and groups among the images of a part."""
    return f"curation-{split}.safetensors"


def scored(of: str) -> str:
    """How strange the images of a part are, or new images; `of` is made of letters and digits."""
    return f"scored-{of}.safetensors"


def likelihood(split: str, weights: str, prior: str, k: int, images: int) -> str:
    """log p(x) of so many images of a part under some weights and a prior, by k draws."""
    return f"likelihood-{split}-{weights}-{prior}-k{k}-n{images}.safetensors"


def estimate(measure: str, split: str, images: int) -> str:
    """What a measure came to on so many images of a part."""
    return f"estimate-{measure}-{split}-n{images}.safetensors"


def prior(name: str) -> str:
    """A prior that was fitted to the encodings."""
    return f"prior-{name}.safetensors"


def features(kind: str) -> str:
    """A network whose features images are compared by."""
    return f"features-{kind}.safetensors"


def quality(which: str, split: str, features: str, of: str) -> str:
    """How like the images of a part the pictures of a run are; `which` weights made them, and `of`
    is what they are."""
    return f"quality-{which}-{split}-{features}-{of}.safetensors"


def representation(split: str) -> str:
    """What the codes of the images of a part tell."""
    return f"representation-{split}.safetensors"


@dataclass(frozen=True)
class File:
    """A file, or several by a pattern: the bytes it may have, and the schema of its JSON."""

    name: str
    most: int
    holds: str
    schema: type[BaseModel] | None = None


RUN = (
    File(CONFIG, MB, "the RunConfig and the number of its format, see migrations.py"),
    File(CHOICES, MB, "settings that were left to the data: what they became, and why", Choices),
    File(DATA_CARD, 4 * MB, "what a model needs to know of its data", DataCard),
    File(PARTS, 128 * MB, "hashes and labels of the images of each part: data/recorded.py"),
    File(ENVIRONMENT, MB, "versions, machine and command, of each session", Environment),
    File(JOB, 64 * KB, "host, boot and process of whoever works on it: lease.py", Job),
    File("lease-*", MB, "its right to write here, and its heartbeat"),
    File(PLACEMENT, 64 * KB, "that a cluster trains it, and with how much of a machine", Placement),
    File(STATUS, MB, "what the worker last said of itself", Status),
    File(CONTROL, 64 * MB, "messages to the worker, appended by the app"),
    File(HISTORY, GB, "steps, validations, previews, changes, notes; four million records"),
    File(LOG, 1000 * GB, "the worker's output, of which the end alone is read"),
    File(WEIGHTS, 16 * GB, "the weights and their step; with its appearance a save counts"),
    File(INITIAL, 16 * GB, "the weights of another run that this one began with: initial.py"),
    File(INITIAL_CARD, 4 * MB, "the data card of that run", DataCard),
    File(BEST, 16 * GB, "the weights of the best validation"),
    File(NEXT_BEST, 16 * GB, "those of a save whose weights are to come"),
    File(STATE, 128 * GB, "optimiser and RNG of the step of the weights, for an exact resume"),
    File(NEXT_STATE, 128 * GB, "that of a save whose weights are to come"),
    File(ENCODINGS, 512 * MB, "posterior means, log-variances and labels of training images"),
    File(THUMBNAILS, 64 * MB, "small pictures of the images that are encoded"),
    File(THUMBNAIL, 16 * MB, "samples, for a card"),
    File(SUMMARY, 4 * MB, "what was measured of the weights", Summary),
    File(PULLED, MB, "the repository that the run was pulled from: vae_core/hub.py", Pulled),
    File(SCORES, MB, "disentanglement scores: sweeps/scoring.py"),
    File(REPRODUCED, MB, "what a published result came to: vae_core/reproduce/", Reproduced),
    File(SAVED_DIRECTIONS, 16 * MB, "directions that a person named", SavedDirections),
    File(SAVED_SELECTIONS, 256 * MB, "images that a person chose and named", SavedSelections),
    File(SELECTION, 64 * MB, "the images that it learns from alone, or not", SavedSelection),
    File(BROUGHT, MB, "of a network from elsewhere: what it is, and where it came from", Brought),
    File("worker.lock", MB, "of earlier versions"),
)

PICTURES = (File("*.png", 16 * MB, "in previews/: <step>-<kind>, originals, corrupted"),)

DERIVED = (
    File(DIRECTIONS, 128 * MB, "principal directions of the encodings"),
    File(RATES, MB, "the rate–distortion curve of a model with a dial: rate_curve.py"),
    File("encodings-*.safetensors", 4 * GB, "the survey of a part"),
    File("map-*.safetensors", 128 * MB, "a map of the encodings"),
    File("curation-*.safetensors", 4 * GB, "copies, doubtful labels and groups of a part"),
    File("scored-*.safetensors", 4 * GB, "how strange the images of a part, or new ones, are"),
    File("likelihood-*.safetensors", 128 * MB, "log p(x) of each image of a part"),
    File("estimate-*.safetensors", MB, "what a measure came to, with its interval"),
    File("prior-*.safetensors", 128 * MB, "a prior that was fitted to the encodings"),
    File("features-*.safetensors", 128 * MB, "a network whose features images are compared by"),
    File("quality-*.safetensors", MB, "how like held-out images its pictures are"),
    File("representation-*.safetensors", 4 * MB, "what codes tell, a report in JSON"),
)
"""What can be made again. It lies in the cache (derived.py), in old runs in the run."""

SWEEP = (
    File(SWEEP_SPEC, 4 * MB, "the SweepSpec; private where it names a storage"),
    File(SWEEP_STATE, 16 * MB, "the SweepState: a thousand entries"),
    File(f"{STUDY}*", 64 * GB, "Optuna's journal"),
    File(f"{EARLIER_STUDY}*", 64 * GB, "the study of an earlier version, a database"),
)
"""And `JOB`, leases, `CONTROL` and `LOG`, as in a run."""

ALL = (*RUN, *DERIVED, *PICTURES, *SWEEP)

MOST_GIVEN = 16 * GB
"""Of a file in `GIVEN`: the halves of a network from elsewhere, as they came."""

QUICKLY = 4 * MB
"""Of a .jsonl file, looked at by who shows a long history as a curve: half a second."""

AT_ONCE = 16 * MB
"""Of a .jsonl file, read by one call that returns all it has read."""


@functools.lru_cache(maxsize=1024)
def largest(name: str) -> int:
    """Bytes that a file of this name may have; 1 MB where it is no file of a run."""
    if name.startswith(f"{GIVEN}/"):
        return MOST_GIVEN
    last = name.rpartition("/")[2]
    return next((file.most for file in ALL if fnmatchcase(last, file.name)), MB)


def require_within(name: str, size: int) -> None:
    """Refuse a file of so many bytes where its kind has fewer: an OSError with both numbers."""
    if size > (most := largest(name)):
        raise OSError(f"it has {_readable(size)}, and at most {_readable(most)} are read")


def _readable(size: int) -> str:
    unit, name = next(pair for pair in ((GB, "GB"), (MB, "MB"), (KB, "kB")) if size >= pair[0])
    return f"{size / unit:.3g} {name}"
