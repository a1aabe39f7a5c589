"""Every route that the app adds to Streamlit's server, under one mount and behind one guard."""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.routing import Mount

from latent_workbench.live.address import mount_path
from latent_workbench.live.animation import animation_routes
from latent_workbench.live.decode import decode_routes
from latent_workbench.live.encode import encode_routes
from latent_workbench.live.guard import Guard
from latent_workbench.live.images import image_routes
from latent_workbench.live.progress import progress_routes
from latent_workbench.live.static import static_routes
from latent_workbench.live.uploads import upload_routes


def live_mount() -> Mount:
    """The live routes, wherever this server is told to answer (`server.baseUrlPath`); no route of
    ours lies outside."""
    return Mount(
        mount_path(),
        routes=[
            *decode_routes(),
            *encode_routes(),
            *animation_routes(),
            *image_routes(),
            *progress_routes(),
            *upload_routes(),
            *static_routes(),
        ],
        middleware=[Middleware(Guard)],
    )
