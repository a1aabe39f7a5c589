"""Entry of the app: `streamlit run streamlit_app.py`.

Streamlit's server imports this file and finds `app`, which adds the live routes to its own port;
each script run executes it as `__main__` and draws a page.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import streamlit as st

from latent_workbench.components.chart_saver import chart_saver
from latent_workbench.shared.current_run import run_picker
from latent_workbench.shared.guide import guide_note
from latent_workbench.shared.login import account, logged_in
from latent_workbench.shared.theme import page_style

ICON = files("latent_workbench") / "icon.svg"
PAGES = (
    ("gallery", "Gallery", ":material/home:"),
    ("train", "Train", ":material/model_training:"),
    ("explore", "Explore", ":material/tune:"),
    ("grids", "Grids", ":material/grid_on:"),
    ("encodings", "Encodings", ":material/scatter_plot:"),
    ("tune_beta", "Tune β", ":material/balance:"),
    ("evaluate", "Evaluate", ":material/straighten:"),
    ("results", "Results", ":material/menu_book:"),
    ("concepts", "Concepts", ":material/school:"),
)


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config(
        page_title="Latent workbench",
        page_icon=str(ICON),
        layout="wide",
        initial_sidebar_state=256,
    )
    if not logged_in():
        return
    here = Path(__file__).parent / "pages"
    navigation = st.navigation(
        [
            st.Page(
                here / f"{name}.py",
                title=title,
                icon=icon,
                url_path=name.replace("_", "-"),
                default=name == "gallery",
            )
            for name, title, icon in PAGES
        ]
    )
    page_style()
    chart_saver()
    run_picker()
    guide_note()
    account()
    navigation.run()


if __name__ == "__main__":
    main()
else:
    import sys

    from starlette.middleware import Middleware

    from latent_workbench.live.guard import HostGuard
    from latent_workbench.live.models import warm_up
    from latent_workbench.live.process import set_up
    from latent_workbench.live.routes import live_mount
    from latent_workbench.shared import access
    from latent_workbench.shared.errors import on_script_error
    from latent_workbench.shared.streamlit_private import PagesManager, get_logger

    get_logger("latent_workbench")  # who came in, who was refused: as Streamlit writes its own log

    # Tells Streamlit where the script lies, and so which config.toml and secrets are meant, before
    # anybody asks them; started by uvicorn from elsewhere it would not know.
    st.App(__file__)

    try:
        access.check()
    except access.Misconfigured as error:
        sys.exit(f"The app was not started. {error}")

    set_up()
    warm_up()

    # Because of the folder's name, Streamlit would take a first visit to anything but / for an app
    # of its old kind, with every file in pages/ as a page and main() never run.
    PagesManager.uses_pages_directory = False

    app = st.App(
        __file__,
        routes=[live_mount()],
        middleware=[Middleware(HostGuard)],
        on_script_error=on_script_error,
    )
