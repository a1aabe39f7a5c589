"""The run as one HTML file that works anywhere, made when asked for."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from latent_workbench.live.models import weights_version
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
    task: Task[bytes] | None = None


def html_file(run: Run, place: DeltaGenerator) -> None:
    """A button at `place`; how far the file is, and its download, where this is called."""
    state, of = session(HtmlFile), (run.id, weights_version(run), encodings_version(run))
    if place.button(
        "HTML file", key="html-file", icon=":material/move_to_inbox:",
        help="This explorer with its model as one page that decodes by itself: offline, on a "
        "phone, from a mail.",
    ):  # fmt: skip
        state.of, state.task = of, Task(partial(made, run))
    below = st.empty()  # always there: what comes and goes in it leaves the explorer in its place
    if state.task is None or state.of != of:
        return

    def again() -> None:
        state.task = None

    with below.container():
        body = result_of(state.task, "html-file", again)
        if body is not None:
            st.download_button(
                f"Download {escape_markdown(run.id)}.html", body, f"{run.id}.html", "text/html",
                key="html-download", on_click="ignore", icon=":material/download:", type="primary",
            )  # fmt: skip
            st.caption(f"{len(body) / 1e6:.1f} MB. Opens by double click, offline.")


def made(run: Run, progress: Progress) -> bytes:
    """The file, from a process of its own: tracing a network would hold up every hand.

    Raises:
        UserError: as `vae_core.export.export` does.
    """
    from vae_core.child import in_process

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        in_process(["export", run.id, "--to", "html", "--out", str(file)], run, progress)
        return file.read_bytes()
