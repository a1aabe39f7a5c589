"""A run is a folder: what lies in it, how it is written so that a reader may come at any moment.

layout.py      the name of every file, its largest size and what it holds
schemas.py     what its JSON files hold; migrations.py: a configuration of any version
reader.py      reads, and believes nothing before it is checked; safe_open.py, tensors.py
folder.py      writes, atomically (atomic.py), under a lease that one process of all hosts holds
               (lease.py, process.py)
run.py         one run; store.py: the folder of all of them; measured.py: what figures are of
"""

from vae_core.runs import derived, layout
from vae_core.runs.folder import Folder
from vae_core.runs.layout import BEST, NEXT_BEST, NEXT_STATE, OBJECTIVE, PARTS, STATE, WEIGHTS
from vae_core.runs.measured import MeasuredOn, in_words, measured_on, part_name, validated_on
from vae_core.runs.migrations import LEGACY_DEFAULTS
from vae_core.runs.process import is_running
from vae_core.runs.run import Run
from vae_core.runs.schemas import ACTIVE, Choices, DataCard, Job, PartDigests, State, Status
from vae_core.runs.store import Store
from vae_core.runs.tensors import Tensors

__all__ = [
    "ACTIVE",
    "BEST",
    "LEGACY_DEFAULTS",
    "NEXT_BEST",
    "NEXT_STATE",
    "OBJECTIVE",
    "PARTS",
    "STATE",
    "WEIGHTS",
    "Choices",
    "DataCard",
    "Folder",
    "Job",
    "MeasuredOn",
    "PartDigests",
    "Run",
    "State",
    "Status",
    "Store",
    "Tensors",
    "derived",
    "in_words",
    "is_running",
    "layout",
    "measured_on",
    "part_name",
    "validated_on",
]
