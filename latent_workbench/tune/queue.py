"""The queue of a sweep: where each run stands, and buttons to pause, cancel and re-order."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.numbers import number
from latent_workbench.shared.theme import STATE_COLORS, BadgeColor
from latent_workbench.shared.without_paths import without_paths
from latent_workbench.tune.findings import findings_of
from vae_core.errors import UserError
from vae_core.runs import Run
from vae_core.sweeps import Entry, Sweep, SweepState
from vae_core.sweeps.launch import launch
from vae_core.sweeps.results import measured
from vae_core.sweeps.state import ACTIVE

IN_SIGHT, HEIGHT = 6, 250
"""Rows that are shown without scrolling, and their height in px."""

SIGNS = {
    "waiting": ":gray[:material/schedule:]",
    "running": ":blue[:material/play_circle:]",
    "finished": ":green[:material/check_circle:]",
    "failed": ":red[:material/error:]",
    "cancelled": ":gray[:material/cancel:]",
    "elsewhere": ":gray[:material/lan:]",
}
"""What stands before a run, by the state of its entry."""

COLORS: dict[str, BadgeColor] = {**STATE_COLORS, "running": "blue", "cancelled": "gray"}


def queue(sweep: Sweep, state: SweepState, total: int) -> None:
    """Draw the sweep's state and buttons, then one row a run."""
    with st.container(horizontal=True, vertical_alignment="center", key="sweep-buttons"):
        host = sweep.remote_host()
        where = f" on {host}" if host else ""
        st.badge(state.state + where, color=COLORS.get(state.state, "gray"))
        over = sum(entry.over for entry in state.entries)
        st.caption(f"{over} of {total} runs done")
        st.space("stretch")
        _buttons(sweep, state)
    st.progress(over / max(total, 1))
    if state.message:
        st.warning(without_paths(state.message))
    long = len(state.entries) > IN_SIGHT
    with st.container(
        height=HEIGHT if long else "content", border=False, gap=None, key="sweep-queue"
    ):
        waiting = state.of("waiting")
        for entry in state.entries:
            _row(sweep, entry, waiting)
        if len(state.entries) < total:
            st.caption(f"{total - len(state.entries)} more will be drawn.")


def _buttons(sweep: Sweep, state: SweepState) -> None:
    if state.state in ACTIVE:
        paused = state.wish == "pause"
        st.button(
            "Resume" if paused else "Pause",
            key="pause-sweep",
            icon=":material/play_arrow:" if paused else ":material/pause:",
            on_click=_tell,
            args=(sweep, "resume" if paused else "pause"),
            **access.control(),
        )
        st.button(
            "Cancel",
            key="cancel-sweep",
            icon=":material/close:",
            on_click=_tell,
            args=(sweep, "cancel"),
            **access.control("Runs at work save themselves and stop; the rest is given up."),
        )
    elif state.state in ("interrupted", "stopped") and st.button(
        "Resume", key="resume-sweep", icon=":material/play_arrow:", **access.control()
    ):
        try:
            access.acting(launch)(sweep)
        except UserError as error:
            st.error(without_paths(error))
        else:
            st.rerun()


def _row(sweep: Sweep, entry: Entry, waiting: list[Entry]) -> None:
    name, actions = st.columns([3.2, 1], vertical_alignment="center", gap="small")
    run = Run(sweep.store.path / entry.run) if entry.run else None
    news = _news(entry, run) or entry.state
    name.markdown(f"{SIGNS[entry.state]} **{label(entry)}** :gray[:small[{news}]]")
    if entry.state == "waiting" and len(waiting) > 1 and entry.number != waiting[0].number:
        numbers = [e.number for e in waiting]
        at = numbers.index(entry.number)
        numbers[at - 1], numbers[at] = numbers[at], numbers[at - 1]
        with actions.container(horizontal=True, gap=None):
            _small(sweep, entry, "up", ":material/arrow_upward:", "Earlier", order=numbers)
            _small(sweep, entry, "drop", ":material/close:", "Leave it out")
    elif entry.state in ("waiting", "running"):
        with actions:
            _small(sweep, entry, "drop", ":material/close:", "Leave it out")
    elif run is not None and run.path.exists():
        with actions:
            open_button(run.id, f"queue-open-{entry.number}")


def _small(
    sweep: Sweep, entry: Entry, what: str, icon: str, help: str, order: list[int] | None = None
) -> None:
    told = {"command": "drop", "number": entry.number}
    if order is not None:
        told = {"command": "order", "numbers": order}
    st.button(
        "",
        key=f"{what}-{entry.number}",
        icon=icon,
        type="tertiary",
        on_click=_tell,
        args=(sweep,),
        kwargs=told,
        **access.control(help),
    )


def _tell(sweep: Sweep, command: str, **values: object) -> None:
    """Send the scheduler a message, wherever it is; where that cannot be written, say so."""
    try:
        access.acting(sweep.send)(command, **values)
    except UserError as error:
        st.error(without_paths(error))


def open_button(run_id: str, key: str) -> None:
    """A button that opens a run in Explore."""
    if st.button("Open", key=key, type="tertiary"):
        from latent_workbench.shared.state import choose_run

        choose_run(run_id)
        st.switch_page("pages/explore.py", query_params={"run": run_id})


def label(entry: Entry) -> str:
    """What sets a run apart: β 0.3, latent_dim 8."""
    parts = []
    for key, value in entry.params.items():
        name = key.rpartition(".")[2]
        shown = number(value) if isinstance(value, float) else str(value)
        parts.append(f"{'β' if name == 'beta' else name} {shown}")
    return " · ".join(parts)


def _news(entry: Entry, run: Run | None) -> str:
    """How far it is, what came out, or what went wrong."""
    try:
        if run is not None and entry.state in NEWS:
            return NEWS[entry.state](run)
    except UserError as error:
        return without_paths(error)
    return without_paths(entry.message.splitlines()[-1]) if entry.message else ""


def _progress(run: Run) -> str:
    status = run.status()
    share = status.step / status.total_steps if status.total_steps else 0.0
    return f"{100 * share:.0f} %"


def _measured(run: Run) -> str:
    found = findings_of(run)
    told = f" · :orange[{found[0].name}]" if found else ""
    return f"{measured(run)}{told}"


NEWS = {"running": _progress, "finished": _measured}
"""What is said of an entry's run, by the state of the entry."""
