"""Where these packages lie, and where the runs, data sets and prepared images of a person do.

In a checkout, runs and data sets lie at its top. Installed, they lie in the platform's folder for a
user's data; the app's pages and the models that come with it, which a checkout has at its top, then
lie inside the package `latent_workbench`, where pyproject.toml puts them.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

from platformdirs import user_cache_path, user_config_path, user_data_path

from vae_core.errors import UserError

NAME = "latent-workbench"
STORE_VARIABLE, DATA_VARIABLE, CACHE_VARIABLE = "VAE_STORE", "VAE_DATA", "VAE_CACHE"
CONFIG_VARIABLE = "VAE_CONFIG"

PACKAGES = Path(__file__).resolve().parents[1]
"""The folder that `vae_core` and `latent_workbench` are imported from."""

IS_CHECKOUT = (PACKAGES / "streamlit_app.py").is_file()

APP = PACKAGES if IS_CHECKOUT else PACKAGES / "latent_workbench" / "app"
"""Holds `streamlit_app.py`, its pages, its `.streamlit` and the models that come with it."""

SHIPPED = APP / "trained_models"

COMPONENTS = PACKAGES / "latent_workbench" / "components"
"""The JavaScript and the styles of the app's live parts, which exported pages are made of too."""

_HOME = PACKAGES if IS_CHECKOUT else user_data_path(NAME, appauthor=False)
DEFAULT_STORE = _HOME / "trained_models"
DEFAULT_DATA = _HOME / "data"


def store_folder(wish: str | Path | None = None) -> Path:
    """Where runs are made: `wish`, else what VAE_STORE names, else the default.

    Raises:
        UserError: when it can be no path, such as a link that leads to itself.
    """
    return _resolved(wish or os.environ.get(STORE_VARIABLE) or DEFAULT_STORE)


def data_folder(wish: str | Path | None = None) -> Path:
    """Where data sets lie: `wish`, else what VAE_DATA names, else the default.

    Raises:
        UserError: as `store_folder`.
    """
    return _resolved(wish or os.environ.get(DATA_VARIABLE) or DEFAULT_DATA)


def uploads_folder(root: str | Path | None = None) -> Path:
    """Where uploads are kept: in the data folder."""
    return data_folder(root) / "uploads"


def cache_folder() -> Path:
    """Where what can be made again is kept: what VAE_CACHE names, else the user's cache folder.

    Raises:
        UserError: as `store_folder`.
    """
    named = os.environ.get(CACHE_VARIABLE)
    return _resolved(named) if named else user_cache_path(NAME, appauthor=False)


def config_folder() -> Path:
    """Where this person's own decisions are kept, such as whose code may run: what VAE_CONFIG
    names, else the user's configuration folder.

    Raises:
        UserError: as `store_folder`.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    return _resolved(named) if named else user_config_path(NAME, appauthor=False)


_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(::[a-z]+)?://")


def is_address(place: str) -> bool:
    """Whether a place of data is an address, such as https://…, and no path."""
    return _PROTOCOL.match(place) is not None


def require_no_secret(address: str) -> None:
    """Refuse an address that may hold a password or a key: where data lie is recorded and shown.

    Raises:
        UserError: without repeating any of it.
    """
    try:
        parts = urlsplit(address)
        problem = (
            "a name or password before its host"
            if "@" in parts.netloc
            else "something after a question mark or #, where keys stand"
            if parts.query or parts.fragment or address.endswith(("?", "#"))
            else "an address in an address"
            if "::" in address
            else ""
        )
    except ValueError:
        raise UserError("The address of the data is none; check it for typing errors.") from None
    if problem:
        raise UserError(
            f"The address of the data has {problem}, and runs record where their data lie. Leave "
            "it out: what a server has to know of you is taken from where its tools keep it, such "
            "as ~/.netrc for https and the environment for s3 and gs."
        )


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of these packages in another process, in whatever folder.

    The folder that it is started in is no place to import from (`-P`), as somebody may keep a file
    called `random.py` there. Start it with `module_environment`.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def module_environment(**more: str) -> dict[str, str]:
    """This process's environment with `more`, for `module_command` to find these packages."""
    if not IS_CHECKOUT:  # they are found as whatever is installed
        return os.environ | more
    found = [str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(found)} | more


def _resolved(path: str | Path) -> Path:
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{str(path)!r} leads to no folder ({error}); check the path.") from None
