"""Where data sets lie, and where prepared ones are kept."""

from __future__ import annotations

import os
from pathlib import Path

from vae_core.errors import UserError

DATA_VARIABLE = "VAE_DATA"
CACHE_VARIABLE = "VAE_CACHE"
DEFAULT_DATA = Path(__file__).resolve().parents[2] / "data"


def data_folder(wish: str | Path | None = None) -> Path:
    """`wish`, else what the environment variable VAE_DATA names, else `data` in the project.

    Raises:
        UserError: when it can be no path, such as a link that leads to itself.
    """
    named = wish or os.environ.get(DATA_VARIABLE) or DEFAULT_DATA
    try:
        return Path(named).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{str(named)!r} leads to no folder ({error}); check the path.") from None


def uploads_folder(root: str | Path | None = None) -> Path:
    """Where uploads are kept: in the data folder."""
    return data_folder(root) / "uploads"


def cache_folder() -> Path:
    """What VAE_CACHE names, else `latent-workbench` in the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "latent-workbench"
