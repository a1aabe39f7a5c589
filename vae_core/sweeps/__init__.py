"""Many runs under one name: which settings are tried, in which order, by how many at a time.

A sweep is a folder `.sweeps/<name>` in the store, with the files of `layout.SWEEP`; its runs are
ordinary runs of that store.
"""

from vae_core.sweeps.spec import BETA, SEED, SweepSpec, parse_values
from vae_core.sweeps.state import Entry, SweepState
from vae_core.sweeps.sweep import Sweep, sweeps_of

__all__ = [
    "BETA",
    "SEED",
    "Entry",
    "Sweep",
    "SweepSpec",
    "SweepState",
    "parse_values",
    "sweeps_of",
]
