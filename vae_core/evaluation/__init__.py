"""How good a trained model is: figures with an interval, of a run, kept beside it.

A measure is one entry of `measures`; importing this registers them.
"""

from vae_core.evaluation.measure import (
    Estimate,
    Measure,
    Request,
    all_measured,
    around,
    known,
    measured,
    measures,
    refusal,
)

measures.discover(__name__, plugins="vae_core.measures")

__all__ = [
    "Estimate",
    "Measure",
    "Request",
    "all_measured",
    "around",
    "known",
    "measured",
    "measures",
    "refusal",
]
