"""Where images are dropped or chosen; they go to disk by a live route, with their progress."""

from __future__ import annotations

from latent_workbench.components import component
from latent_workbench.live.upload_sessions import SessionUploads, most_bytes
from latent_workbench.shared import access
from vae_core.data.uploads import MB
from vae_core.imaging.kinds import endings

_mount = component("image_uploader", "uploader")


def uploader(key: str, uploads: SessionUploads) -> None:
    """Mount the uploader on a session's `uploads`; the script runs again when that has changed."""
    kept = uploads.finished
    data = {
        "token": uploads.token,
        "off": access.read_only_reason(),
        "kept": None if kept is None else {"name": kept.name, "bytes": kept.bytes},
        "endings": list(endings()),
        "most": most_bytes(),
        "limit": f"{most_bytes() / MB:,.0f} MB",
    }
    _mount(key=key, data=[data], on_changed_change=lambda: None)
