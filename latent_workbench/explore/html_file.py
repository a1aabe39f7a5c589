"""The run as one HTML file that works anywhere, made when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from latent_workbench.live.models import ready_torch, weights_version
from latent_workbench.live.resources import encodings_version
from latent_workbench.shared.formatting import escape_markdown
from latent_workbench.shared.state import session
from latent_workbench.shared.tasks import Task, result_of
from vae_core.data import Progress
from vae_core.runs import Run


@dataclass
class HtmlFile:
    """task: makes the file that was asked for last, `of` this run as it was then."""

    of: tuple[str, int | None, int | None] | None = None
    task: Task[tuple[bytes, str]] | None = None


def html_file(run: Run, place: DeltaGenerator) -> None:
    """A button at `place`; how far the file is, and its download, where this is called."""
    state, of = session(HtmlFile), (run.id, weights_version(run), encodings_version(run))
    if place.button(
        "HTML file", key="html-file", icon=":material/move_to_inbox:",
        help="This explorer with its model as one page that decodes by itself: offline, on a "
        "phone, from a mail.",
    ):  # fmt: skip
        state.of, state.task = of, Task(partial(made, run))
    if state.task is None or state.of != of:
        return

    def again() -> None:
        state.task = None

    result = result_of(state.task, "html-file", again)
    if result is not None:
        body, note = result
        with st.container(horizontal=True, vertical_alignment="center"):
            st.download_button(
                f"Download {escape_markdown(run.id)}.html", body, f"{run.id}.html", "text/html",
                key="html-download", on_click="ignore", icon=":material/download:", type="primary",
            )  # fmt: skip
            st.caption(f"{len(body) / 1e6:.1f} MB. {note}")


def made(run: Run, progress: Progress) -> tuple[bytes, str]:
    """The file and what is to be said of it; raises UserError as `vae_core.export.export` does."""
    ready_torch()
    from vae_core.export import Source, export

    found = export(Source(run, progress=progress), "html")
    (body,) = found.files.values()
    return body, found.note
