"""Where images are dropped or chosen; they go to disk by a live route, with their progress."""

from __future__ import annotations

from latent_workbench.components import component
from latent_workbench.live.upload_sessions import SessionUploads
from vae_core.data.tables import READERS
from vae_core.data.uploads import MB
from vae_core.imaging.kinds import endings, readable

_mount = component("image_uploader", "uploader")


def uploader(
    key: str,
    uploads: SessionUploads,
    title: str = "Upload images: files, a folder or an archive",
    hint: str = "Folders become labels.",
    off: str = "",
) -> None:
    """Mount the uploader on a session's `uploads`; the script runs again when that has changed.

    Args:
        off: why nothing can be uploaded; "" where it can.
    """
    kept = uploads.finished
    data = {
        "place": [uploads.kind, uploads.token],
        "title": title,
        "hint": hint,
        "off": off,
        "kept": None if kept is None else {"name": kept.name, "bytes": kept.bytes},
        "endings": [*endings(), *READERS],  # tables say the labels of the images beside them
        "kinds": readable(),
        "limit": f"{uploads.largest / MB:,.0f} MB",
    }
    _mount(key=key, data=[data], on_changed_change=lambda: None)
