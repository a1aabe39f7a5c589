"""Under which names this app is reached, and which pages may talk to it.

A page of a stranger's runs in the browser of an honest visitor. It can aim at this server in two
ways: openly, and then its requests carry its own name as their origin; or by a name of its own
that it has pointed at this machine (DNS rebinding), and then host and origin both carry that name.
So the host has to be one of ours, and the origin the same or one of ours. All of it is told by
comparing texts: nothing here asks the network, so a stranger holds up nobody.
"""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from latent_workbench.shared.streamlit_private import (
    allow_all_cross_origin_requests,
    allowlisted_origins,
    config,
    get_hostname,
    get_origin_from_redirect_uri,
    is_host_allowed,
)

FOREIGN_HOST = (
    "This app does not answer under this name. Whoever runs it can add the name to "
    "server.allowedHosts."
)
FOREIGN_ORIGIN = "Another site may not use this app."


def refusal(headers: Headers) -> str:
    """Why nobody may ask with these headers, in one sentence; "" where they may."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or not is_ours(hosts[0]):
        return FOREIGN_HOST
    if len(origins) > 1 or not all(is_welcome(origin, hosts[0]) for origin in origins):
        return FOREIGN_ORIGIN
    return ""


def is_ours(host: str) -> bool:
    """Whether a `Host` header names this app: by address, or by a name that is ours.

    Any address will do: a page of a stranger's is known by a name, which it can point anywhere,
    while an address in the bar of the browser leads there and nowhere else.
    """
    name = name_of(host)
    if name is None:
        return False
    return is_local(name) or _address(name) is not None or _is_named(name)


def is_welcome(origin: str, host: str) -> bool:
    """Whether a page of `origin` may talk to this app, which was asked for under `host`.

    Yes where both are the same, where the origin is one of the app's own names (a proxy before it
    has changed the host), where both are this computer, and where Streamlit was told so by
    `server.corsAllowedOrigins` or by `server.enableCORS = false`.
    """
    netloc = netloc_of(origin)
    name, asked = name_of(netloc), name_of(host)
    if name is None:
        return False
    if netloc == host.lower() or _is_named(name):
        return True
    if asked is not None and is_local(name) and is_local(asked):
        return True
    return allow_all_cross_origin_requests() or origin in allowlisted_origins()


def names() -> tuple[str, ...]:
    """The names that whoever runs this app gave it; `*.example.org` stands for all below it."""
    allowed = config.get_option("server.allowedHosts")
    given = [pattern.strip().lower().rstrip(".") for pattern in allowed]
    if config.is_manually_set("browser.serverAddress"):
        given.append(get_hostname(config.get_option("browser.serverAddress")) or "")
    given.append(config.get_option("server.address") or "")
    given.append(urlsplit(get_origin_from_redirect_uri() or "").hostname or "")
    return tuple(name.lower() for name in given if name and not is_local(name.lower()))


def is_local(name: str) -> bool:
    """Whether a host name or address can only mean the computer that asks."""
    address = _address(name)
    if address is None:
        return name == "localhost" or name.endswith(".localhost")
    return address.is_loopback


def netloc_of(origin: str) -> str:
    """Host and port of an origin, lower case; "" where it has none, as "null" has not."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""


def name_of(host: str) -> str | None:
    """The name in a `Host` header, lower case and without its port; None where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    if parts.netloc != host or "@" in host or not parts.hostname:
        return None
    return parts.hostname.rstrip(".")


def under_its_origin(headers: Headers) -> str | None:
    """The host that a proxy before this app has rewritten, as the visitor's browser knows it.

    Streamlit compares origin and host again for its own socket, and where they differ looks up
    this machine's addresses, everybody waiting. None where there is nothing to put right.
    """
    origin = headers.get("origin")
    netloc = netloc_of(origin) if origin else ""
    if not netloc or netloc == headers.get("host", "").lower():
        return None
    return netloc if is_host_allowed(netloc) else None


def _is_named(name: str) -> bool:
    given = (*names(), *_own_names())
    return any(
        each == "*" or name == each or (each.startswith("*.") and name.endswith(each[1:]))
        for each in given
    )


@lru_cache(maxsize=1)
def _own_names() -> tuple[str, ...]:
    """What this computer calls itself, and is called in its own network."""
    own = socket.gethostname().lower()
    return (own, f"{own.split('.')[0]}.local") if own else ()


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None
