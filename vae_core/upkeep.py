"""What is kept to save time is bounded, but for what runs of a store still need."""

from __future__ import annotations

from pathlib import Path

from vae_core.data.cache import REPRODUCIBLE, CacheEntry, Kind, prune
from vae_core.errors import UserError
from vae_core.runs import Store

ALL: tuple[Kind, ...] = (*REPRODUCIBLE, "upload")


def tidy(store: Store) -> list[CacheEntry]:
    """Remove what is kept, that first which was not used for longest, until it fits its bound
    (`VAE_CACHE_GB`); what was removed.

    Uploads stay that a run still has to learn from.

    Raises:
        UserError: when the bound is no number.
    """
    return prune(None, ALL, _needed(store))


def clear_disk(store: Store) -> list[CacheEntry]:
    """Remove all that nothing uses and no run still has to learn from; what was removed."""
    return prune(0, ALL, _needed(store))


def _needed(store: Store) -> list[Path]:
    """Where the images lie of runs that train or could be gone on with."""
    needed = []
    for run in store:
        try:
            named = run.config().data.data_dir
            if named and run.status().state != "finished":
                needed.append(Path(named))
        except UserError:  # a damaged run can be resumed by nobody
            continue
    return needed
