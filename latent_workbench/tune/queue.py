"""The queue of a sweep: where each run stands, and buttons to pause, cancel and re-order."""

from __future__ import annotations

from typing import Any

import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.clicks import acting_button
from latent_workbench.shared.current_run import open_run
from latent_workbench.shared.errors import redact
from latent_workbench.shared.formatting import number
from latent_workbench.shared.state import rerun_fragment
from latent_workbench.shared.theme import state_badge
from latent_workbench.tune.findings import findings_of
from vae_core.errors import UserError
from vae_core.runs import Run
from vae_core.sweeps import Entry, Sweep, SweepState
from vae_core.sweeps.results import measured
from vae_core.sweeps.state import ACTIVE
from vae_core.sweeps.sweep import launch

IN_SIGHT, HEIGHT = 6, 250
"""Rows that are shown without scrolling, and their height in px."""

ICONS = {
    "waiting": ":gray[:material/schedule:]",
    "running": ":blue[:material/play_circle:]",
    "finished": ":green[:material/check_circle:]",
    "failed": ":red[:material/error:]",
    "pruned": ":orange[:material/content_cut:]",
    "cancelled": ":gray[:material/cancel:]",
    "elsewhere": ":gray[:material/lan:]",
}
"""What stands before a run, by the state of its entry."""


def sweep_buttons(sweep: Sweep, state: SweepState) -> None:
    """Pause, resume, cancel.

    They stand outside of the fragment that looks again and again: a page that outlived its server
    clicks in a session that has none.
    """
    with st.container(horizontal=True, horizontal_alignment="right"):
        if state.state in ACTIVE:
            paused = state.target == "pause"
            _telling(
                sweep,
                {"command": "resume" if paused else "pause"},
                "Resume" if paused else "Pause",
                "pause-sweep",
                icon=":material/play_arrow:" if paused else ":material/pause:",
                **access.widget_options(),
            )
            _telling(
                sweep,
                {"command": "cancel"},
                "Cancel",
                "cancel-sweep",
                icon=":material/close:",
                **access.widget_options(
                    "Runs at work save themselves and stop; the rest is given up."
                ),
            )
        elif state.state in ("interrupted", "stopped") and acting_button(
            "Resume",
            lambda: access.authorized(launch)(sweep),
            key="resume-sweep",
            icon=":material/play_arrow:",
            **access.widget_options(),
        ):
            st.rerun()


def queue(sweep: Sweep, state: SweepState, total: int) -> None:
    """Draw the sweep's state, then one row a run."""
    over = sum(entry.is_over for entry in state.entries)
    with st.container(horizontal=True, vertical_alignment="center", key="sweep-buttons"):
        state_badge(state.state, sweep.remote_host())
        st.caption(f"{over} of {total} runs done")
    st.progress(over / max(total, 1))
    if state.message:
        st.warning(redact(state.message))
    long = len(state.entries) > IN_SIGHT
    with st.container(
        height=HEIGHT if long else "content", border=False, gap=None, key="sweep-queue"
    ):
        waiting = [entry.number for entry in state.in_state("waiting")]
        for entry in state.entries:
            _row(sweep, entry, waiting)
        if len(state.entries) < total:
            st.caption(f"{total - len(state.entries)} more will be drawn.")


def _row(sweep: Sweep, entry: Entry, waiting: list[int]) -> None:
    name, actions = st.columns([3.2, 1], vertical_alignment="center", gap="small")
    run = Run(sweep.store.path / entry.run) if entry.run else None
    details = _details(entry, run) or entry.state
    name.markdown(f"{ICONS[entry.state]} **{label(entry)}** :gray[:small[{details}]]")
    if entry.state == "waiting" and entry.number != waiting[0]:
        numbers, at = [*waiting], waiting.index(entry.number)
        numbers[at - 1], numbers[at] = numbers[at], numbers[at - 1]
        with actions.container(horizontal=True, gap=None):
            icon, order = ":material/arrow_upward:", {"command": "order", "numbers": numbers}
            _small_button(sweep, order, f"up-{entry.number}", icon, "Earlier")
            _drop_button(sweep, entry)
    elif entry.state in ("waiting", "running"):
        with actions:
            _drop_button(sweep, entry)
    elif run is not None and run.path.exists():
        with actions:
            open_button(run.id, f"queue-open-{entry.number}")


def _drop_button(sweep: Sweep, entry: Entry) -> None:
    drop = {"command": "drop", "number": entry.number}
    _small_button(sweep, drop, f"drop-{entry.number}", ":material/close:", "Leave it out")


def _small_button(sweep: Sweep, message: dict[str, Any], key: str, icon: str, help: str) -> None:
    look = access.widget_options(help)
    _telling(sweep, message, "", key, icon=icon, type="tertiary", **look)


def _telling(sweep: Sweep, message: dict[str, Any], label: str, key: str, **options: Any) -> None:
    """A button that sends the scheduler a message, wherever it is, and shows what came of it."""
    if acting_button(label, lambda: access.authorized(sweep.send)(**message), key, **options):
        rerun_fragment()


def open_button(run_id: str, key: str) -> None:
    """A button that opens a run in Explore."""
    if st.button("Open", key=key, type="tertiary"):
        open_run(run_id)


def label(entry: Entry) -> str:
    """What sets a run apart: β 0.3, latent_dim 8."""
    parts = []
    for key, value in entry.params.items():
        name = key.rpartition(".")[2]
        shown = number(value) if isinstance(value, float) else str(value)
        parts.append(f"{'β' if name == 'beta' else name} {shown}")
    return " · ".join(parts)


def _details(entry: Entry, run: Run | None) -> str:
    """How far it is, what came out, or what went wrong."""
    try:
        if run is not None and entry.state == "running":
            status = run.status()
            share = status.step / status.total_steps if status.total_steps else 0.0
            return f"{100 * share:.0f} %"
        if run is not None and entry.state == "finished":
            found = findings_of(run)
            return measured(run) + (f" · :orange[{found[0].name}]" if found else "")
    except UserError as error:
        return redact(error)
    return redact(entry.message.splitlines()[-1]) if entry.message else ""
