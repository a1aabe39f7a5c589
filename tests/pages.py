"""Pages without a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[1]
PAGES = tuple(sorted(path.stem for path in (ROOT / "pages").glob("*.py")))
"""Every page, by its file."""

APP_STATE = "latent_workbench.shared.state.AppState"
"""The key of what pages know of each other, in a session's state."""


def open_page(name: str, **parameters: str) -> AppTest:
    """The page as it stands after its first run; `parameters` are those of the address."""
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60)
    app.query_params.update(parameters)
    app.run()
    app.switch_page(f"pages/{name}.py").run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    """All that the page says."""
    elements = [*app.title, *app.markdown, *app.caption, *app.info, *app.warning]
    return "\n".join(element.value for element in elements)


def charts(app: AppTest) -> list[Any]:
    """The figures on the page, as plotly's JSON."""
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
