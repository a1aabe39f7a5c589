"""Every route that the app adds to Streamlit's server."""

from __future__ import annotations

from starlette.routing import BaseRoute

routes: list[BaseRoute] = []
