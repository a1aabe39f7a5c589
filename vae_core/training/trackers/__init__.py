"""Programs in which people watch their trainings, each in one file.

What they are given is read from the records of a run (`vae_core/follow.py`), in a process of its
own: none of them slows, fails or ends a training.
"""

from vae_core.training.trackers.tracker import (
    About,
    Moment,
    Tracker,
    TrackerEntry,
    require_trackers,
    trackers,
    tracks,
)

trackers.discover(__name__, plugins="vae_core.trackers")

__all__ = [
    "About",
    "Moment",
    "Tracker",
    "TrackerEntry",
    "require_trackers",
    "trackers",
    "tracks",
]
