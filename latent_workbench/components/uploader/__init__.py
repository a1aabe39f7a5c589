"""Where images are dropped or chosen; they go to disk by a live route, with their progress."""

from __future__ import annotations

from latent_workbench.components import component
from latent_workbench.live.trays import Tray, most_bytes
from latent_workbench.shared import access
from vae_core.data.decode import EXTENSIONS
from vae_core.data.uploads import MB

_mount = component("image_uploader", "uploader")


def uploader(key: str, tray: Tray) -> None:
    """Mount the uploader on a session's `tray`; the script runs again when that has changed."""
    kept = tray.kept
    data = {
        "token": tray.token,
        "off": access.only_looking(),
        "kept": None if kept is None else {"name": kept.name, "bytes": kept.bytes},
        "endings": [".zip", *sorted(EXTENSIONS)],
        "most": most_bytes(),
        "limit": f"{most_bytes() / MB:,.0f} MB",
    }
    _mount(key=key, data=[data], on_changed_change=lambda: None)
