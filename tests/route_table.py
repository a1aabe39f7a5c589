"""Every route of the app's server as JSON: `[kind, methods, path, ours]`, in a process of its own.

Importing the entry as Streamlit's server does starts a runtime, of which a process has one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from starlette.routing import Mount, Route, WebSocketRoute

from latent_workbench.live.guard import Guard, HostGuard


def table(
    routes: Any, prefix: str = "", ours: bool = False
) -> Iterator[tuple[str, list[str], str, bool]]:
    """The routes below `prefix`, those of mounts included."""
    for route in routes:
        if isinstance(route, WebSocketRoute):
            yield "socket", [], prefix + route.path, ours
        elif isinstance(route, Route):
            yield "http", sorted((route.methods or set()) - {"HEAD"}), prefix + route.path, ours
        elif isinstance(route, Mount):
            yield from table(route.routes, prefix + route.path, ours)
            if not route.routes:  # files
                yield "http", ["GET"], f"{prefix}{route.path}/index.html", ours


def main() -> None:
    """Print the table; fail where a route of ours has no guard before it."""
    import streamlit_app

    app = streamlit_app.app
    assert [each.cls for each in app._user_middleware] == [HostGuard]
    for route in app._user_routes:
        assert isinstance(route, Mount), f"{route} lies outside the mount"
        around, layers = route.app, []
        while hasattr(around, "_app") or hasattr(around, "app"):
            layers.append(type(around))
            around = getattr(around, "_app", None) or around.app
        assert Guard in layers, f"{route.path} has no guard"
    rows = [*table(app._user_routes, ours=True), *table(app._build_starlette_app().routes)]
    known = {(kind, path) for kind, _, path, ours in rows if ours}
    json.dump([row for row in rows if row[3] or (row[0], row[2]) not in known], sys.stdout)


if __name__ == "__main__":
    main()
