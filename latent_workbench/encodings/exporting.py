"""Everything that can be taken home: encodings and model, made when asked for."""

from __future__ import annotations

import streamlit as st

from latent_workbench.encodings.shown import Shown
from latent_workbench.shared.task import Task
from latent_workbench.shared.waiting import awaited
from vae_core.data import Progress
from vae_core.runs import BEST, WEIGHTS

_MADE = "encodings-export"


def draw(shown: Shown) -> None:
    """The formats; the file is made off the script and then waits to be downloaded."""
    from vae_core.export import formats

    choice, make = st.columns([3, 1], vertical_alignment="bottom")
    to = choice.selectbox(
        "Format", [entry.name for entry in formats], key="encodings-format",
        format_func=lambda name: f"{formats[name].label}: {formats[name].blurb}",
        help=f"Encodings are those of the {shown.told} shown.",
    )  # fmt: skip
    assert to is not None
    which = "last"
    best, last = (shown.run.weights_step(name) for name in (BEST, WEIGHTS))
    if best not in (None, last):
        steps = {"last": f"last (step {last})", "best": f"best validation (step {best})"}
        which = st.segmented_control(
            "Weights", list(steps), key="encodings-weights", format_func=steps.__getitem__,
            default="last", required=True,
            help="Best is the lowest loss of unseen images, at the final weights of its terms.",
        )  # fmt: skip
    wanted = (shown.key, to, which)
    if make.button("Make the file", icon=":material/deployed_code:", width="stretch"):
        st.session_state[_MADE] = (
            wanted,
            Task(lambda progress: made(shown, to, progress, which)),
        )
    known, work = st.session_state.get(_MADE, (None, None))
    if known != wanted or work is None:
        return
    result = awaited(work, "export", lambda: st.session_state.pop(_MADE))
    if result is not None:
        name, data, note = result
        st.download_button(
            f"Download {name}", data, name, key="encodings-download", on_click="ignore",
            icon=":material/download:", type="primary",
        )  # fmt: skip
        st.caption(f"{len(data) / 1e6:.1f} MB. {note}")


def made(shown: Shown, to: str, progress: Progress, which: str = "last") -> tuple[str, bytes, str]:
    """The name, the bytes and the note of a download.

    Raises:
        UserError: as `vae_core.export.export`.
    """
    from vae_core.export import Source, as_download, export

    result = export(Source(shown.run, shown.split, progress=progress, which=which), to)
    suffix = f"-{to}" if len(result.files) > 1 else ""
    suffix = suffix if which == "last" else f"-{which}{suffix}"
    return *as_download(result, shown.run.id + suffix), result.note
