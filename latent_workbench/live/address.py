"""Where the live routes lie on this server.

Streamlit puts `server.baseUrlPath` before its own routes only, so the mount of ours carries it
too. What a proxy strips, or under which path another app mounts this one, no server knows; the
page does, and `latent_workbench/components/address.js` makes addresses from there.
"""

from __future__ import annotations

from latent_workbench.shared.streamlit_private import config

LIVE = "live"
"""What all live routes lie under, one step below the app's root, beside its pages."""


def mount_path() -> str:
    """The path of the mount of the live routes, as requests reach this server.

    Streamlit reads its configuration at the first question: ask once `st.App` knows the script.
    """
    base = config.get_option("server.baseUrlPath").strip("/")
    return f"/{base}/{LIVE}" if base else f"/{LIVE}"
