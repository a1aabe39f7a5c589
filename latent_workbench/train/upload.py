"""The person's own images: uploaded in the browser, or where they lie on this computer."""

from __future__ import annotations

from dataclasses import dataclass

from latent_workbench.components.uploader import uploader
from latent_workbench.components.uploader.given import presence, typed_path
from latent_workbench.live.upload_sessions import UPLOADS, SessionUploads
from latent_workbench.shared import access
from latent_workbench.shared.state import session
from vae_core.runs.store import plain_name

ELSEWHERE = (
    "Several files go by `train-{000..099}.tar`. An address such as "
    "`https://host/train-{000..099}.tar` or `s3://bucket/folder/` is fetched first."
)


@dataclass
class OwnUploads:
    """What this session uploads, once it has begun to."""

    uploads: SessionUploads | None = None


def own_images() -> str | None:
    """Ask for images; the path for `DataConfig.data_dir`, None while nothing was given.

    A path that was typed goes before an upload.
    """
    uploads = own_uploads()
    uploader("train-upload", uploads, off=access.read_only_reason())
    is_typed, path = typed_path(
        "train-path", "Or the path of a folder or file of images", ELSEWHERE
    )
    if is_typed:
        return path
    return str(uploads.finished.path) if uploads.finished is not None else None


def uploaded_name() -> str:
    """What the folder was called that this session has uploaded; "" where there was none, or a
    .zip, whose path has its name."""
    finished = own_uploads().finished
    return "" if finished is None else plain_name(finished.folder)


def own_uploads() -> SessionUploads:
    """What this session uploads, and nobody else; it outlives a visit to another page."""
    own = session(OwnUploads)
    if own.uploads is None or own.uploads.closed:
        own.uploads = UPLOADS.open(presence())
    return own.uploads
