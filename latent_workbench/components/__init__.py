"""Live parts of a page: JavaScript and CSS beside the Python that mounts them.

They are mounted with `data=[data]`: Streamlit looks at each value of a dict for data frames, and
imports pandas and pyarrow to know one, 90 MB; a list it sends as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from latent_workbench.live.address import LIVE

_ADDRESS = Path(__file__).parent / "address.js"


def script(folder: Path, names: Iterable[str]) -> str:
    """The files NAME.js of `folder` as one module, from what is used to what uses it.

    Before them comes what every live part needs: the addresses of the live routes.
    """
    paths = [_ADDRESS, *(folder / f"{name}.js" for name in names)]
    files = [path.read_text(encoding="utf-8") for path in paths]
    return f'const LIVE = "{LIVE}";\n' + "".join(files)
