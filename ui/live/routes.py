"""Every route that the app adds to Streamlit's server."""

from __future__ import annotations

from starlette.routing import BaseRoute

from ui.live.decode import decode_routes
from ui.live.progress import progress_routes

routes: list[BaseRoute] = [*decode_routes(), *progress_routes()]
