"""Everything that can be taken home: encodings and model, made when asked for."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.shared.state import session
from latent_workbench.shared.tasks import Task, result_of
from vae_core.data import Progress
from vae_core.runs import BEST, WEIGHTS


@dataclass
class ExportState:
    """task: makes the file that was asked for last, of these `settings`."""

    settings: tuple[str, str, str] | None = None
    task: Task[tuple[str, bytes, str]] | None = None


def draw(encoded: EncodedImages) -> None:
    """The formats; the file is made off the script and then waits to be downloaded."""
    from vae_core.export import formats

    choice, make = st.columns([3, 1], vertical_alignment="bottom")
    to = choice.selectbox(
        "Format", [entry.name for entry in formats], key="encodings-format",
        format_func=lambda name: f"{formats[name].label}: {formats[name].blurb}",
        help=f"Encodings are those of the {encoded.description} shown.",
    )  # fmt: skip
    assert to is not None
    which = "last"
    best, last = (encoded.run.weights_step(name) for name in (BEST, WEIGHTS))
    if best not in (None, last):
        steps = {"last": f"last (step {last})", "best": f"best validation (step {best})"}
        which = st.segmented_control(
            "Weights", list(steps), key="encodings-weights", format_func=steps.__getitem__,
            default="last", required=True,
            help="Best is the lowest loss of unseen images, at the final weights of its terms.",
        )  # fmt: skip
    settings, state = (encoded.key, to, which), session(ExportState)
    if make.button("Make the file", icon=":material/deployed_code:", width="stretch"):
        state.settings = settings
        state.task = Task(lambda progress: exported(encoded, to, progress, which))
    if state.settings != settings or state.task is None:
        return
    result = result_of(state.task, "export", lambda: setattr(state, "task", None))
    if result is not None:
        name, data, note = result
        st.download_button(
            f"Download {name}", data, name, key="encodings-download", on_click="ignore",
            icon=":material/download:", type="primary",
        )  # fmt: skip
        st.caption(f"{len(data) / 1e6:.1f} MB. {note}")


def exported(
    encoded: EncodedImages, to: str, progress: Progress, which: str = "last"
) -> tuple[str, bytes, str]:
    """Name, bytes and note of a download; raises UserError as `vae_core.export.export` does."""
    from vae_core.export import Source, as_download, export

    result = export(Source(encoded.run, encoded.split, progress=progress, which=which), to)
    suffix = f"-{to}" if len(result.files) > 1 else ""
    suffix = suffix if which == "last" else f"-{which}{suffix}"
    return *as_download(result, encoded.run.id + suffix), result.note
