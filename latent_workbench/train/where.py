"""Where a run is to be trained: on this machine, or on a cluster that the server knows."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from latent_workbench.shared.inputs import bounded
from latent_workbench.shared.state import persistent
from vae_core.training.cluster.placed import unavailable
from vae_core.training.executors import Share

HERE, CLUSTER = "This machine", "Cluster"

HELP = (
    "On a cluster the run waits for a free place and is trained there; its curves, pictures and "
    "weights appear here as if it were trained on this machine. Your own images are sent along."
)


def choose_where(place: DeltaGenerator, more: DeltaGenerator) -> tuple[Share | None, str]:
    """What the run takes of a machine of the cluster, None for this machine; and why that cannot
    be, "" where it can.

    Args:
        place: in sight, where there is something to choose.
        more: where it is said that there could be.
    """
    if why := unavailable():
        more.caption(f":material/lan: Runs can be trained on a cluster, too. {why}")
        return None, ""
    with place.container(key="train-where", gap="xsmall"):
        where = persistent(
            st.segmented_control, "Run on", [HERE, CLUSTER], key="train-on-where", default=HERE,
            help=HELP, required=True,
        )  # fmt: skip
        if where != CLUSTER:
            return None, ""
        left, right = st.columns(2)
        cpus, few = bounded(
            left, "CPUs per run", "train-cpus", 1, 4096, 1, help="Its threads, too."
        )
        gpus, none = bounded(
            right, "GPUs per run", "train-gpus", 0.0, 1024.0, 0.0, format="%g",
            help="0.5 shares one between two runs.",
        )  # fmt: skip
    problem = few or none
    return (None if problem else Share(cpus=cpus, gpus=gpus)), problem
