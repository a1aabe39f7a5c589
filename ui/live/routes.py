"""Every route that the app adds to Streamlit's server."""

from __future__ import annotations

from starlette.routing import BaseRoute

from ui.live.animation import animation_routes
from ui.live.decode import decode_routes
from ui.live.encode import encode_routes
from ui.live.images import image_routes
from ui.live.progress import progress_routes
from ui.live.thumbnails import thumbnail_routes
from ui.live.uploads import upload_routes

routes: list[BaseRoute] = [
    *decode_routes(),
    *encode_routes(),
    *animation_routes(),
    *thumbnail_routes(),
    *image_routes(),
    *progress_routes(),
    *upload_routes(),
]
