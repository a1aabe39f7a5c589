"""Every route that the app adds to Streamlit's server, under one mount and behind one guard."""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.routing import Mount

from latent_workbench.live.arrays import array_routes
from latent_workbench.live.charts import chart_routes
from latent_workbench.live.compute import ComputeServer
from latent_workbench.live.guard import Guard
from latent_workbench.live.images import image_routes
from latent_workbench.live.likelihood import LikelihoodServer
from latent_workbench.live.progress import ProgressServer
from latent_workbench.live.static import LIVE, static_routes
from latent_workbench.live.upload_sessions import LOOKS
from latent_workbench.live.uploads import UploadServer
from latent_workbench.shared.streamlit_private import config


def live_mount() -> Mount:
    """The live routes; no route of ours lies outside.

    Streamlit puts `server.baseUrlPath` before its own routes only, so the mount carries it too.
    What a proxy strips, or under which path another app mounts this one, no server knows; the
    browser does: `components/entry.js` loads modules from beside the page, and their
    `shared/address.js` makes addresses from where they came from.

    Streamlit reads its configuration at the first question: call once `st.App` knows the script.
    """
    base = config.get_option("server.baseUrlPath").strip("/")
    return Mount(
        f"/{base}/{LIVE}" if base else f"/{LIVE}",
        routes=[
            *ComputeServer().routes(),
            *LikelihoodServer().routes(),
            *image_routes(),
            *array_routes(),
            *ProgressServer().routes(),
            *UploadServer().routes(),
            *UploadServer(LOOKS).routes(),
            *chart_routes(),
            *static_routes(),
        ],
        middleware=[Middleware(Guard)],
    )
