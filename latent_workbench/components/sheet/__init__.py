"""A sheet of pictures as large as the page allows; a click tells which one was meant."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from latent_workbench.components import component
from latent_workbench.shared.pictures import data_url

_mount = component("picture_sheet", "sheet")


def sheet(
    key: str,
    picture: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    across: str = "",
    upwards: str = "",
    hint: str = "",
    row_titles: Sequence[str] = (),
    column_titles: Sequence[str] = (),
) -> tuple[int, int] | None:
    """Mount a sheet; returns (row, column) of the picture that was just clicked, else None.

    Args:
        picture: all pictures side by side, uint8 [C, rows·H, columns·W].
        rows, columns: what every row and column is called; "" for no name.
        across, upwards: what the columns and rows stand for, with the unit.
        hint: what a click does; "" where it does nothing.
        row_titles, column_titles: what each says when it is pointed at, where that is more than its
            name, such as the whole name of a file.
    """
    data = {
        "source": _data_address(picture),
        "ratio": picture.shape[2] / picture.shape[1],
        "rows": list(rows),
        "columns": list(columns),
        "row_titles": list(row_titles or rows),
        "column_titles": list(column_titles or columns),
        "across": across,
        "upwards": upwards,
        "hint": hint,
    }
    result = _mount(key=key, data=[data], on_cell_change=lambda: None)
    cell = getattr(result, "cell", None)
    if cell is None or not (0 <= cell[0] < len(rows) and 0 <= cell[1] < len(columns)):
        return None
    return int(cell[0]), int(cell[1])


def _data_address(picture: np.ndarray) -> str:
    """A PNG inside an address, packed for speed: on the way to a browser size hardly matters."""
    pixels = picture[0] if picture.shape[0] == 1 else picture.transpose(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=1)
    return data_url(buffer.getvalue())
