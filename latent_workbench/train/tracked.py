"""Where else a run can be watched: the trackers that are told of it, and how each is opened."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared import access
from vae_core.runs import Run
from vae_core.training.trackers import tracks


def tracked(run: Run) -> None:
    """The trackers that have files in the run; nothing where there are none."""
    found = list(tracks(run))
    if not found:
        return
    with st.expander("Trackers", icon=":material/monitoring:"):
        for entry, folder, command in found:
            st.markdown(f"**{entry.label}**. {entry.blurb}")
            if access.is_local_visitor():
                st.code(command, language="sh", wrap_lines=True)
            else:  # whose machine has no such folder
                st.caption(f"Its files lie in {folder.parent.name}/{folder.name} of the run.")
