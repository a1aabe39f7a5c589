"""Many runs under one name: which settings are tried, in which order, by how many at a time.

A sweep is a folder `.sweeps/<name>` in the store; its runs are ordinary runs of that store.

sweep.json     SweepSpec: what is varied, and where the study is kept
identity       a random name of the folder, by which the study tells whose a trial is
study.db       Optuna's study, unless it is shared under a URL
state.json     SweepState: the queue, as the scheduler last said it
control.jsonl  messages to the scheduler, appended by the app and the command line
job.json       host, boot and process of the scheduler; lease-N: its right to write here
log.txt        its output
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
