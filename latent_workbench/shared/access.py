"""Who may see the app and who may change something, as the secrets and the command line say.

    [auth]                # Streamlit's own: whoever comes has to log in
    [access]
    read_only = true      # everybody drags and looks; nobody trains, deletes or uploads
    trainers = ["a@b.c"]  # or nobody but these, by the e-mail address that they logged in with
    folders = ["/data"]   # folders of this computer that visitors may name

`streamlit run streamlit_app.py -- --read-only` and the environment variable `VAE_READ_ONLY=1` do
the same as `read_only`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import streamlit as st
from pydantic import ValidationError
from starlette.datastructures import Headers

from latent_workbench.shared import hosts
from latent_workbench.shared.streamlit_private import (
    USER_COOKIE_NAME,
    config,
    decode_signed_value,
    gather_user_info,
    get_cookie_secret,
    get_cookie_with_chunks,
    get_origin_from_redirect_uri,
    secrets_singleton,
)
from vae_core.errors import UserError
from vae_core.locations import is_address
from vae_core.settings import Settings, explain
from vae_core.signed import without_signature

READ_ONLY_FLAG, READ_ONLY_VARIABLE = "--read-only", "VAE_READ_ONLY"
SCRIPT = "streamlit_app.py"

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""What a proxy adds: the visitor sits elsewhere, whatever the address of the connection says."""

Visitor = Mapping[str, Any]
"""What is known of somebody, `{}` of whoever comes where nobody has to log in."""

P = ParamSpec("P")
T = TypeVar("T")


class Misconfigured(Exception):
    """The secrets say something that cannot be kept; nobody is let in until they are mended."""


class ReadOnly(UserError):
    """Somebody who may only look was about to change something."""


class Access(Settings):
    """The section `[access]` of the secrets."""

    read_only: bool = False
    trainers: tuple[str, ...] | None = None
    folders: tuple[str, ...] = ()


def configured() -> Access:
    """What the secrets say; raises Misconfigured where that is unreadable or unknown."""
    try:
        return Access.model_validate(_secrets("access"))
    except ValidationError as error:
        raise Misconfigured(explain(error, "access", Access)) from None


def check() -> None:
    """Refuse to start with secrets or arguments that would silently let somebody in: raises
    Misconfigured, with the sentence to be shown in the shell."""
    configured()
    login = _secrets("auth")
    missing = [key for key in ("redirect_uri", "cookie_secret") if login and not login.get(key)]
    if missing:
        raise Misconfigured(f"The section [auth] of the secrets lacks {' and '.join(missing)}.")
    unknown = [word for word in _arguments() if word != READ_ONLY_FLAG]
    if unknown:
        raise Misconfigured(
            f"There is no argument {unknown[0]!r}; {READ_ONLY_FLAG} is the only one there is."
        )


# --- who comes ------------------------------------------------------------------------------------


def needs_login() -> bool:
    """Whether whoever comes has to log in."""
    return bool(_secrets("auth"))


def visitor_of(headers: Headers, cookies: Mapping[str, str]) -> Visitor | None:
    """Who a connection comes from; None where they have to log in and have not.

    Streamlit's signed cookie is read as its own socket reads it, with its signature, its age and
    the origin that it was made for; a picture is asked for without an origin, and then the one of
    `redirect_uri` counts, the only one that cookies are made for.

    Raises:
        Misconfigured: when the secrets cannot be read.
    """
    if not needs_login():
        return gather_user_info(headers)
    raw = get_cookie_with_chunks(lambda name: _signed(cookies, name), USER_COOKIE_NAME)
    try:
        known = json.loads(raw or b"null")
    except ValueError:
        return None
    origin = get_origin_from_redirect_uri()
    if not isinstance(known, dict) or not known.get("is_logged_in"):
        return None
    if not known.get("origin") == headers.get("origin", origin) == origin:
        return None
    return {**known, **gather_user_info(headers)}


def _signed(cookies: Mapping[str, str], name: str) -> bytes | None:
    if name not in cookies:
        return None
    value = cookies[name].encode("latin-1", "replace")
    return decode_signed_value(get_cookie_secret(), name, value)


# --- who may change something ---------------------------------------------------------------------


def read_only_reason_of(visitor: Visitor) -> str:
    """Why a visitor may only look, in one sentence; "" for who may train, delete and upload. Raises
    Misconfigured where the secrets cannot be read."""
    access = configured()
    in_environment = os.environ.get(READ_ONLY_VARIABLE, "") not in ("", "0")
    if access.read_only or in_environment or READ_ONLY_FLAG in _arguments():
        return "This app is for looking: nobody trains, deletes or uploads here."
    if access.trainers is None:
        return ""
    email = str(visitor.get("email") or "").lower()
    known = bool(email) and email in {trainer.lower() for trainer in access.trainers}
    if known and visitor.get("email_verified") is not False:
        return ""
    return "You may drag and look; training, deleting and uploading is for others here."


def read_only_reason() -> str:
    """Why whoever looks at this page may only look; "" where they may do more."""
    return read_only_reason_of(st.user.to_dict())


def authorized(function: Callable[P, T]) -> Callable[P, T]:
    """`function`, which trains, deletes or keeps something, for those who may; called for others it
    raises ReadOnly."""

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        if reason := read_only_reason():
            raise ReadOnly(reason)
        return function(*args, **kwargs)

    return checked


def widget_options(help: str | None = None, disabled: bool = False) -> dict[str, Any]:
    """The options of a widget that changes something: for readers it is off, and says why."""
    reason = read_only_reason()
    return {"help": reason or help, "disabled": disabled or bool(reason)}


# --- what of this computer may be named -----------------------------------------------------------


def is_local_visitor() -> bool:
    """Whether whoever looks at this page sits at the computer that serves it, by every sign.

    The server listens here alone and has no other name, and the page was opened by a name of this
    computer, without a proxy between.
    """
    headers = st.context.headers
    named = (headers.get("Host"), hosts.netloc_of(headers.get("Origin") or "http://localhost"))
    return (
        hosts.is_local(config.get_option("server.address") or "0.0.0.0")
        and not hosts.names()
        and all(name is None or hosts.is_local(hosts.name_of(name) or "") for name in named)
        and not any(name in headers for name in FORWARDED)
        and not isinstance(st.context.ip_address, str)  # Streamlit tells none of this computer
    )


def may_name_folders() -> bool:
    """Whether a page asks for the path of a folder at all."""
    return is_local_visitor() or bool(configured().folders)


def folder_allowed(typed: str) -> str:
    """The path of a folder or file that a visitor typed, or the address of one, as it is to be
    opened; raises UserError where it does not lie in a folder that visitors may name, and of an
    address that holds a secret. Only who sits at this computer has it fetch from others."""
    if is_address(typed):
        typed = without_signature(typed)
    if is_local_visitor():
        return typed
    path = Path(typed).resolve()
    allowed = [Path(folder).resolve() for folder in configured().folders]
    if not any(path.is_relative_to(folder) for folder in allowed):
        raise UserError(
            "Only folders that this app was given may be named here; ask whoever runs it, or "
            "upload your images."
        )
    return str(path)


# --- where it stands ------------------------------------------------------------------------------


def _secrets(section: str) -> dict[str, Any]:
    if not secrets_singleton.load_if_toml_exists():
        # Streamlit takes secrets that it cannot read for none, and would let everybody in.
        unread = [path for path in config.get_option("secrets.files") if os.path.lexists(path)]
        if unread:
            raise Misconfigured(f"The secrets in {unread[0]} cannot be read; is it good TOML?")
        return {}
    found = secrets_singleton.get(section)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise Misconfigured(f"{section} has to be a section of the secrets: [{section}].")
    return dict(found)


def _arguments() -> list[str]:
    """The script's own arguments, behind `--`; none where another program serves the app."""
    return sys.argv[1:] if Path(sys.argv[0]).name == SCRIPT else []
