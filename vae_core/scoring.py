"""The disentanglement scores of a run whose data set has known factors, kept in its folder."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, ValidationError, model_validator

from vae_core.data import Progress, no_progress
from vae_core.errors import UserError
from vae_core.runs import Run, layout
from vae_core.runs.schemas import Count, Number, Short, Stored

FILE = layout.SCORES
CATEGORICAL = "shape"
"""The one factor of drawn data that has no order."""

KINDS = ("means", "samples")
"""What is scored of an image: the mean of its posterior, and one draw from it."""

PART = "validation"
"""What is scored: images that the run has not learned from. The metrics of β-VAE and FactorVAE,
which hold one factor and vary the others, draw their sets from the same images."""

LEAST_IMAGES = 200
"""With fewer, half of them would hold some of 40 orientations once."""


class Scores(Stored):
    """What `score` keeps."""

    means: dict[Short, Number]
    samples: dict[Short, Number] = Field(default_factory=dict)
    spread: dict[Short, dict[Short, Number]]
    part: Short
    images: Count
    seeds: Count
    step: Count
    latent_dim: Count
    active_units: Count
    collapsed: list[Count]
    constant_factors: list[Short]

    @model_validator(mode="after")
    def _spread_of_each(self) -> Scores:
        for kind in KINDS:
            if getattr(self, kind).keys() - self.spread.get(kind, {}).keys():
                raise ValueError("a score has no spread")
        return self


def scores(run: Run) -> dict[str, Any]:
    """What was scored of the run's present weights, {} before that.

    Scores of another step, or of training images, as they were once taken, are not counted.
    """
    if not run.has(FILE):
        return {}
    try:
        found = Scores.model_validate_json(run.read(FILE)).model_dump(exclude_unset=True)
    except (ValidationError, OSError):  # whoever asks scores it again
        return {}
    return found if found["part"] == PART and found["step"] == run.summary().get("step") else {}


def columns(found: dict[str, Any]) -> dict[str, float | None]:
    """Scores as one row: {"mig (means)": 0.1, "mig (means) ±": 0.01, …}; {} of {}."""
    return {
        f"{name} ({kind}){sign}": value
        for kind in KINDS
        for name in found.get(kind, {})
        for sign, value in (("", found[kind][name]), (" ±", found["spread"][kind][name]))
    }


def remarks(found: dict[str, Any]) -> list[str]:
    """What has to be known beside the scores, a sentence each; [] of {}."""
    if not found:
        return []
    said = [
        f"Scored on {found['images']} {found['part']} images; ± is the standard error, from "
        f"{found['seeds']} random halves of them."
    ]
    silent, total = found["collapsed"], found["latent_dim"]
    if silent:
        said.append(
            f"{len(silent)} of {total} dimensions have collapsed and count as constant: "
            f"{', '.join(f'z{d}' for d in silent)}."
        )
    if total - len(silent) == 1:
        said.append(
            "A single dimension is left, so nothing can stand beside it: gaps and concentrations "
            "say little."
        )
    if found["constant_factors"]:
        said.append(f"Left out, as they do not vary here: {', '.join(found['constant_factors'])}.")
    return said


def score(run: Run, progress: Progress = no_progress) -> dict[str, Any]:
    """Score the run's codes of its validation images against the factors, and keep the result.

    A run that comes with the app is left as it is.

    Returns:
        `means` and, unless codes are points, `samples`: each score by its name. `spread`: the
        same, how far each varies (`with_spread`). Beside them `part`, `images`, `seeds`, `step`,
        `latent_dim`, `active_units`, `collapsed` (dimensions from 0, which count as constant) and
        `constant_factors` (names, left out of every score).

    Raises:
        UserError: when the data set has no factors, too few images are held out, the training
            diverged, or every dimension has collapsed.
    """
    from vae_core.latent.survey import finite
    from vae_core.loading import load_part, load_run
    from vae_core.metrics.disentanglement import SEEDS, encoded, with_spread

    loaded = load_run(run)
    if not loaded.card.factor_names:
        raise UserError(
            f"{loaded.card.dataset} has no known factors, so run {run.id!r} cannot be scored; "
            "sprites and scenes do."
        )
    dataset, part = load_part(run, PART, progress=progress)
    assert part.factors is not None, "a data set that names factors knows them"
    if len(part) < LEAST_IMAGES:
        raise UserError(
            f"Run {run.id!r} has {len(part)} {PART} images; scores need {LEAST_IMAGES}. Train on "
            "more images (data.limit), or hold more of them out (data.validation_fraction)."
        )
    codes = encoded(loaded.model, part, progress=progress)
    finite(codes.means, "encoding")
    silent = np.flatnonzero(codes.collapsed).tolist()
    if len(silent) == loaded.model.latent_size:
        raise UserError(
            f"Run {run.id!r} has collapsed: none of its {len(silent)} latent dimensions tells one "
            "image from another, so there is nothing to score. Train with a smaller β, or warm it "
            "up more slowly."
        )
    names = dataset.factor_names
    categorical = [k for k, name in enumerate(names) if name == CATEGORICAL]
    still = [name for k, name in enumerate(names) if np.ptp(part.factors[:, k]) == 0]
    found, kinds = {}, codes.kinds()
    for done, (name, values) in enumerate(kinds.items()):

        def of_kind(message: str, share: float | None, done: int = done, name: str = name) -> None:
            progress(f"{message}: {name}", (done + (share or 0.0)) / len(kinds))

        found[name] = with_spread(values, part.factors, categorical, progress=of_kind)
    result = {
        **{name: all_of_them for name, (all_of_them, _) in found.items()},
        "spread": {name: spread for name, (_, spread) in found.items()},
        "part": PART,
        "images": len(part),
        "seeds": SEEDS,
        "step": loaded.step,
        "latent_dim": loaded.model.latent_size,
        "active_units": loaded.model.latent_size - len(silent),
        "collapsed": silent,
        "constant_factors": still,
    }
    if not run.shipped:
        run.write_json(FILE, result)
    return result
