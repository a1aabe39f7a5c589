"""Surveys that are kept, so that a part is looked through once for each checkpoint."""

from __future__ import annotations

import numpy as np

from vae_core.latent.encodings import MOST_LABELS, labels_in_reach
from vae_core.latent.stored_names import files_of, packed, read_columns, stored_columns, unpacked
from vae_core.latent.survey import Survey
from vae_core.runs import WEIGHTS, Run, Tensors, derived, layout

SMALL = 100 * 10**6
"""Bytes of a survey that is read whatever number of images it speaks of."""


def save_survey(run: Run, found: Survey, data_dir: str | None, elsewhere: bool = False) -> None:
    """Keep a survey, where it can be kept, with the place its images were read from.

    Args:
        elsewhere: they are other images than the run's own, in another place; both are kept.
    """
    columns, told = stored_columns(found.columns)
    arrays = columns | {
        "mu": found.mu,
        "logvar": found.logvar,
        "recon": found.recon,
        "kl": found.kl,
        "kl_error": found.kl_error,
        "labels": found.labels,
        "label_names": packed(found.label_names),
        "files": packed(found.files),
        "hashes": found.hashes,
    }
    made_of = {
        "step": str(found.step),
        "weights": derived.fingerprint(run, WEIGHTS),
        "data_dir": data_dir or "",
        "note": found.note,
        "columns": told,
    }
    present = {name: array for name, array in arrays.items() if array is not None}
    derived.keep(run, layout.survey(found.split, elsewhere=elsewhere), present, made_of)


def load_survey(run: Run, split: str, step: int, data_dir: str | None = None) -> Survey | None:
    """The survey that is kept of a run's weights, which are of `step`; None where none is usable.

    Args:
        data_dir: where its images must have been read from; None for the run's own images,
            wherever they lay, and for what lies in the place of the run's own.
    """
    weights = derived.fingerprint(run, WEIGHTS)

    def read(file: Tensors) -> Survey | None:
        if file.step() != step or file.metadata.get("weights", weights) != weights:
            return None
        if data_dir not in (None, file.metadata["data_dir"]):
            return None
        n, size = file.require("mu", "F32", (None, None)).shape
        if n < 1 or size != run.summary().get("latent_dim", size) or not _believable(run, file):
            return None
        names = unpacked(file, "label_names", MOST_LABELS)
        labels = file.maybe("labels", "I64", (n,))
        return Survey(
            split,
            file.array("mu", "F32", (n, size)),
            file.maybe("logvar", "F32", (n, size)),
            file.maybe("recon", "F32", (n,)),
            file.maybe("kl", "F32", (n,)),
            None if labels is None else labels_in_reach(labels, names),
            names,
            files_of(file, n),
            np.arange(n),
            step,
            file.array("hashes", "U64", (n,)),  # without, it is from before runs kept parts
            file.metadata.get("note", ""),
            file.maybe("kl_error", "F32", (n,)),
            read_columns(file, n),
        )

    found = derived.find(run, layout.survey(split), read)
    if found is None and data_dir is not None:
        found = derived.find(run, layout.survey(split, elsewhere=True), read)
    return found


def surveyed_hashes(run: Run, split: str) -> np.ndarray | None:
    """Which images the survey that is kept of a run is of: uint64 [N]; None where none is kept."""

    def read(file: Tensors) -> np.ndarray | None:
        return file.array("hashes", "U64", (None,)) if _believable(run, file) else None

    return derived.find(run, layout.survey(split), read)


def _believable(run: Run, file: Tensors) -> bool:
    """Whether a survey is of about as many images as the run has; a small one may be of more."""
    if file.nbytes <= SMALL:
        return True
    card, images = run.data_card(), file.require("hashes", "U64", (None,)).shape[0]
    return images <= 2 * (card.n_train + card.n_validation + card.n_test)
