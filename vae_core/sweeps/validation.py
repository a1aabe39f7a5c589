"""How good a run is after each epoch, in the figure that a sweep goes by."""

from __future__ import annotations

import math

from vae_core.runs import Run


def elbo_by_epoch(run: Run, offset: int = 0) -> tuple[dict[int, float], int]:
    """The ELBO on validation images in nats per image, −recon where there is none, of the epochs
    that were recorded since byte `offset` of the history; and the offset to go on from. Damaged
    records are passed over. Raises as `Run.history`."""
    records, offset = run.history(offset)
    found: dict[int, float] = {}
    for record in records:
        if record.get("kind") == "validation":
            try:
                terms, epoch = record["terms"], int(record["epoch"])
                value = -(float(terms["recon"]) + float(terms.get("kl", 0.0)))
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
                continue
            if math.isfinite(value):
                found[epoch] = value
    return found, offset
