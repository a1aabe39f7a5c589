"""The disentanglement scores of a run whose data set has known factors, kept in its folder."""

from __future__ import annotations

from typing import Any

from vae_core.errors import UserError
from vae_core.runs import Run

FILE = "scores.json"
CATEGORICAL = "shape"
"""The one factor of drawn data that has no order."""


def scores(run: Run) -> dict[str, Any]:
    """What was scored, {} before that."""
    found = run.json(FILE, {})
    return found if isinstance(found, dict) else {}


def score(run: Run) -> dict[str, Any]:
    """Score the run's encodings against the factors they were made from, and keep the result.

    Raises:
        UserError: when the data set has no factors, or the run has no encodings yet.
    """
    from vae_core.latent.encodings import load_encodings
    from vae_core.metrics import disentanglement as d
    from vae_core.run_data import dataset_of

    encodings = load_encodings(run)
    dataset = dataset_of(run)
    if dataset.difference:  # then the places that the encodings name are those of other images
        raise UserError(f"{dataset.difference.sentence} So run {run.id!r} cannot be scored.")
    if dataset.train.factors is None:
        raise UserError(
            f"{dataset.name} has no known factors, so run {run.id!r} cannot be scored; sprites do."
        )
    codes, factors = encodings.mu, dataset.train.factors[encodings.indices]
    if codes.shape[1] < 2:
        raise UserError(f"Run {run.id!r} has one latent; the scores compare at least two.")
    categorical = [k for k, name in enumerate(dataset.factor_names) if name == CATEGORICAL]
    found = d.dci(codes, factors, categorical)
    result = {
        "mig": d.mutual_information_gap(codes, factors),
        "sap": d.sap_score(codes, factors, categorical),
        "dci_disentanglement": found.disentanglement,
        "dci_completeness": found.completeness,
        "dci_informativeness": found.informativeness,
        "factor_vae": d.factor_vae_score(codes, factors),
        "beta_vae": d.beta_vae_score(codes, factors),
        "images": len(codes),
        "step": encodings.step,
    }
    run.write_json(FILE, result)
    return result
