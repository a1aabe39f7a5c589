"""A run is a folder: what lies in it, how it is written so that a reader may come at any moment.

config.json            the RunConfig
data.json              DataCard: what a model needs to know of its data to be rebuilt without it
parts.safetensors      hashes and labels of the images of each part, see data/split_record.py
environment.json       versions, machine, command
job.json               host, boot and process of whoever works on it, see lease.py
lease-N                its right to write here, and its heartbeat
status.json            Status, as the worker last said it
control.jsonl          messages to the worker, appended by the app
history.jsonl          one record a line: steps, validations, previews, β changes, notes
log.txt                the worker's output, tracebacks included
model.safetensors      the weights and their step; those of the objective as objective.<name>
best.safetensors       the weights of the best validation, in the same way
training_state.pt      optimiser, RNG of the same step: for an exact resume
encodings.safetensors  posterior means, log-variances, labels, thumbnails
directions.safetensors principal directions of the encodings
summary.json           what was measured of the trained model
previews/              <step>-reconstructions.png, <step>-samples.png, originals.png;
                       corrupted.png, where the encoder is shown damaged images
"""

from vae_core.runs.earlier import BEFORE
from vae_core.runs.folder import Folder
from vae_core.runs.holder import Job, process_is
from vae_core.runs.lease import Lease
from vae_core.runs.measured import MeasuredOn, in_words, measured_on, part_name, validated_on
from vae_core.runs.records import (
    ACTIVE,
    DataCard,
    PartDigests,
    State,
    Status,
)
from vae_core.runs.run import (
    BEST,
    NEXT_BEST,
    NEXT_STATE,
    OBJECTIVE,
    PARTS,
    STATE,
    WEIGHTS,
    Run,
)
from vae_core.runs.store import DEFAULT_STORE, STORE_VARIABLE, Store
from vae_core.runs.stored import Environment, Summary
from vae_core.runs.tensors import Tensors

__all__ = [
    "ACTIVE",
    "BEFORE",
    "BEST",
    "DEFAULT_STORE",
    "NEXT_BEST",
    "NEXT_STATE",
    "OBJECTIVE",
    "PARTS",
    "STATE",
    "STORE_VARIABLE",
    "WEIGHTS",
    "DataCard",
    "Environment",
    "Folder",
    "Job",
    "Lease",
    "MeasuredOn",
    "PartDigests",
    "Run",
    "State",
    "Status",
    "Store",
    "Summary",
    "Tensors",
    "in_words",
    "measured_on",
    "part_name",
    "process_is",
    "validated_on",
]
