"""Addresses with a signature, such as a store hands out for an hour: what stands behind the
question mark is a key, which no run, no log and no page may hold.

It is taken off where the address is given. This process knows it from then on, and so do those that
it starts: by an environment variable, which nobody writes down.
"""

from __future__ import annotations

import json
import os
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from vae_core.locations import require_no_secret

VARIABLE = "VAE_SIGNATURES"

MOST, LONGEST = 16, 4096
"""Addresses whose signatures are known at a time, and characters of one: what a variable holds."""


def without_signature(address: str) -> str:
    """The address as it may be written down. A UserError where it holds a secret that is no
    signature of a file: none of it is repeated."""
    bare, mark, signature = address.partition("?")
    if mark and signature and len(signature) <= LONGEST and _is_of_a_file(bare):
        require_no_secret(bare)
        others = {each: of for each, of in _known().items() if each != bare}
        latest = [*others.items(), (bare, signature)][-MOST:]
        os.environ[VARIABLE] = json.dumps(dict(latest))
        address = bare
    require_no_secret(address)
    return address


def signature_of(address: str) -> str:
    """What `without_signature` took off this address, here or in the process that started this
    one; "" where that was nothing."""
    return _known().get(address, "")


def _is_of_a_file(bare: str) -> bool:
    try:
        parts = urlsplit(bare)
    except ValueError:
        return False
    is_web = parts.scheme.lower() in ("http", "https")
    return is_web and bool(PurePosixPath(parts.path).suffix) and "*" not in parts.path


def _known() -> dict[str, str]:
    try:
        found = json.loads(os.environ.get(VARIABLE) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
