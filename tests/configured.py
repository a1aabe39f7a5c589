"""Streamlit's options and secrets, as a test wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streamlit import config
from streamlit.runtime.secrets import secrets_singleton
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value


@contextmanager
def options(**wished: Any) -> Iterator[None]:
    """Streamlit's options, `server_address="…"` for `server.address`, and as before afterwards."""
    known = config.get_config_options()
    names = {name.replace("_", ".", 1): value for name, value in wished.items()}
    before = {name: (known[name].value, known[name].where_defined) for name in names}
    try:
        for name, value in names.items():
            known[name].set_value(value, "a test")
        yield
    finally:
        for name, (value, where) in before.items():
            known[name].set_value(value, where)


@contextmanager
def secrets(folder: Path, text: str) -> Iterator[Path]:
    """The secrets.toml of `text`, in force."""
    path = folder / "secrets.toml"
    path.write_text(text)
    secrets_singleton._reset()
    try:
        with options(secrets_files=[str(path)]):
            yield path
    finally:
        secrets_singleton._reset()


ORIGIN = "https://lab.example.org"
AUTH = f"""
[auth]
redirect_uri = "{ORIGIN}/oauth2callback"
cookie_secret = "a secret of thirty characters.."
client_id = "x"
client_secret = "x"
server_metadata_url = "https://login.example.org/.well-known/openid-configuration"
"""


def signed(name: str, value: str) -> str:
    """A cookie as Streamlit signs it."""
    return create_signed_value(get_cookie_secret(), name, value).decode()


Cookies = dict[str, str]
Maker = Callable[..., Cookies]
