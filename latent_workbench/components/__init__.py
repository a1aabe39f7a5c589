"""Live parts of a page: JavaScript and CSS beside the Python that mounts them.

They are mounted with `data=[data]`: Streamlit looks at each value of a dict for data frames, and
imports pandas and pyarrow to know one, 90 MB; a list it sends as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from latent_workbench.live.static import addresses

_HERE = Path(__file__).parent


def component(
    name: str, folder: str, isolate_styles: bool = True, script: str = ""
) -> Callable[..., Any]:
    """Register the component `name` of `folder`: FOLDER.js, FOLDER.css and, if any, FOLDER.html.

    Args:
        isolate_styles: False where styles of the page itself have to reach it.
        script: the module of the folder that it is, where several share the folder's styles.
    """
    base = _HERE / folder / folder
    markup = base.with_suffix(".html")
    controls = [_HERE / "shared" / "controls.css"] if isolate_styles else []
    styles = [*controls, base.with_suffix(".css")]
    return st.components.v2.component(
        name,
        html=markup.read_text(encoding="utf-8") if markup.is_file() else None,
        css="".join(path.read_text(encoding="utf-8") for path in styles),
        js=entry(folder, script or folder),
        isolate_styles=isolate_styles,
    )


def entry(folder: str, script: str = "") -> str:
    """What Streamlit loads for a component: it imports its module, FOLDER.js unless `script` names
    another, from the app's static route."""
    loader = (_HERE / "entry.js").read_text(encoding="utf-8")
    modules = json.dumps(addresses(f"components/{folder}/{script or folder}.js"))
    return f"const MODULES = {modules};\n{loader}"
