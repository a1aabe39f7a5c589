"""Train a model on the left, watch it learn on the right."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared.current_run import sound_run
from latent_workbench.train.disk_usage import disk_usage
from latent_workbench.train.train_form import train_form
from latent_workbench.train.watch import first_run, has_something_to_show, watch

left, right = st.columns([1, 1.95], gap="medium")
with left.container(gap="xsmall"):
    st.header("Train")
    train_form()
    disk_usage()
with right:
    run = sound_run()
    if run is not None and has_something_to_show(run):
        watch(run)
    else:
        first_run()
