"""In how many processes a run is trained: one for each GPU, or parts of a CPU's cores."""

from __future__ import annotations

from streamlit.delta_generator import DeltaGenerator

from latent_workbench.shared.inputs import bounded
from latent_workbench.shared.state import persistent, restore
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.settings import is_open
from vae_core.training.device import choose_device, room_for

KEY = "train-processes"

PROCESSES = (
    "Processes that train the model together, each with its share of every batch and of the cores. "
    "They come to the same result as one."
)
DEVICES = "All share every batch, and come to the same result as one."


def choose_processes(place: DeltaGenerator, config: RunConfig) -> tuple[int, str]:
    """How many are to train it, and why there cannot be so many, "" where there can. Nothing is
    asked where there is one device, or one core."""
    try:
        kind = choose_device(config.train.device).type
    except UserError:  # the start says it
        return 1, ""
    batch = config.train.batch_size
    most = room_for(kind) if is_open(batch) else min(room_for(kind), batch)
    if most == 1:
        return 1, ""
    place = place.columns(2, vertical_alignment="bottom", gap="small")[0]  # as all of the form
    if kind == "cpu":
        return bounded(place, "Processes", KEY, 1, most, 1, help=PROCESSES)
    offered = {1: "one", most: f"all {most}"}
    key = f"{KEY}-{kind}"
    restore(key, 1, offered)
    look = {"format_func": lambda count: offered[count], "help": DEVICES}
    return persistent(place.selectbox, "Devices", list(offered), key=key, default=1, **look), ""
