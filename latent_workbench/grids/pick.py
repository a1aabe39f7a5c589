"""The choice of an encoded image to build a sheet on."""

from __future__ import annotations

from streamlit.delta_generator import DeltaGenerator

from latent_workbench.live.loaded import encodings_of
from vae_core.runs import Run


def image_number(
    run: Run, place: DeltaGenerator, label: str, *, key: str, placeholder: str, help: str
) -> int | None:
    """A field for the number of an encoded image, counted from 1; None where it is empty.

    Raises:
        UserError: when the encodings are damaged.
    """
    encodings = encodings_of(run)
    chosen = place.number_input(
        label,
        1,
        len(encodings.mu) if encodings is not None else 1,
        None,
        key=key,
        placeholder=placeholder,
        disabled=encodings is None,
        help=help,
    )
    return None if chosen is None else int(chosen)
