"""The right side of Train: the current run, live, and what can be done to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from latent_workbench.components.monitor import monitor
from latent_workbench.live.history import latest_beta
from latent_workbench.shared import access
from latent_workbench.shared.catalog import RESUMABLE, facts_of
from latent_workbench.shared.clicks import acting_button
from latent_workbench.shared.current_run import open_run
from latent_workbench.shared.errors import errors_shown, redact
from latent_workbench.shared.formatting import number
from latent_workbench.shared.inputs import bounded
from latent_workbench.shared.state import session
from latent_workbench.shared.train_start import train_like
from latent_workbench.train.decided import decided, decided_in
from latent_workbench.train.family_help import about_run
from latent_workbench.train.tracked import tracked
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.families import Quantity, families
from vae_core.in_force import beta_in_force
from vae_core.runs import ACTIVE, Run, layout
from vae_core.training import jobs
from vae_core.training.cluster.placed import placement_of
from vae_core.training.executors import HERE

BETAS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0,
         24.0, 32.0, 64.0, 100.0)  # fmt: skip


@dataclass
class Watch:
    """What this session knows of runs at work: the one that it has told to stop, and the β that
    the slider of each was last set to from outside."""

    stopping: str = ""
    betas: dict[str, float] = field(default_factory=dict)


ROW_HEIGHT = 68
"""In px: with β in it or without, so that nothing below jumps when a run ends."""

FIRST_RUN = """
#### Your first training appears here

While a model learns, you will see

- **the loss**: how far rebuilt images are from the real ones (reconstruction), and how much is
  remembered of each (KL), in nats per image, on training and on unseen images;
- **KL per dimension**: which latent dimensions carry something, and which stay empty;
- **pictures**: unseen images as the model rebuilds them, and new ones that it makes up.

Both curves fall together only for a while. Then each nat of sharpness has to be paid for in KL,
and β sets the price. You can turn β while the training runs and watch what happens.

Choose data on the left and press **Start training**. The digits are built in and small.
"""


def watch(run: Run) -> None:
    """Draw the live view of `run` with its buttons."""
    try:
        config, state = run.config(), run.status().state
        families[config.family]  # of a plug-in, it may be gone
    except UserError as error:
        st.error(redact(error))
        return
    _buttons(run, config, state)
    if state in RESUMABLE and state != "failed" and run.status().message:
        (st.info if state == "stopped" else st.warning)(redact(run.status().message))
    if state == "finished" and run.status().message:  # it ended with the weights of an epoch before
        st.caption(f":material/flag: {redact(run.status().message)}")
    monitor(run, state, _terms(run, config))
    with errors_shown(st.warning):
        decided(decided_in(run), f"run-decided-{run.id}")
    tracked(run)
    if state in RESUMABLE:
        _log(run, state)


def _terms(run: Run, config: RunConfig) -> dict[str, Quantity]:
    """What the run logs; in its units stands on how many images, once its data are known."""
    terms = dict(families[config.family].terms)
    try:
        card = run.data_card()
    except UserError:
        return terms
    return {name: quantity.in_run(config, card) for name, quantity in terms.items()}


def has_something_to_show(run: Run) -> bool:
    """False for a model that came without the history of its training."""
    finished = facts_of(run).state == "finished"
    return not finished or run.has(layout.HISTORY)


def first_run() -> None:
    """What the right side will show, while there is nothing to show."""
    with st.container(border=True, key="first-run"):
        st.markdown(FIRST_RUN)


def _buttons(run: Run, config: RunConfig, state: str) -> None:
    # A run that is over has more buttons, and no β to turn.
    room = 1.4 if state in ACTIVE or run.shipped else 0.1
    widths = [1.1, 3.6 - room, room]
    name, actions, beside = st.columns(widths, vertical_alignment="center")
    beta = beside.container(height=ROW_HEIGHT, border=False)
    with name.container(gap=None):
        st.markdown(f"**{run.id}**")
        about_run(run, config, state)
    with actions.container(horizontal=True, key="run-buttons"):
        if state in ACTIVE:
            _active_buttons(run, state)
        else:
            _idle_buttons(run, config, state)
    if state in ACTIVE and "beta" in config.objective:
        with beta:
            _beta(run, config)
    elif run.shipped:
        beta.caption("Trained earlier; your own run takes its place.")


def _active_buttons(run: Run, state: str) -> None:
    """They work from the first moment on, while images are prepared too."""
    paused, stopping = state == "paused", session(Watch).stopping == run.id
    acting_button(
        "Resume" if paused else "Pause",
        lambda: _send(run, command="resume" if paused else "pause"),
        key="pause-training",
        icon=":material/play_arrow:" if paused else ":material/pause:",
        **access.widget_options(disabled=stopping),
    )
    if acting_button(
        "Stopping" if stopping else "Stop",
        lambda: _send(run, command="stop"),
        key="stop-training",
        icon=":material/hourglass_top:" if stopping else ":material/stop:",
        **access.widget_options(disabled=stopping),
    ):
        session(Watch).stopping = run.id  # two seconds later it has, whatever it is at
        st.rerun()
    if acting_button(
        "Save",
        lambda: _send(run, command="save"),
        key="save-training",
        icon=":material/save:",
        **access.widget_options(
            "Save the weights now; they are saved every half minute anyway.", disabled=stopping
        ),
    ):
        st.toast("The weights are saved before the next step.")


def _send(run: Run, **message: object) -> None:
    """Send the run's worker a message, wherever it is. A UserError where that cannot be written."""
    access.authorized(jobs.send)(run, message)


def _idle_buttons(run: Run, config: RunConfig, state: str) -> None:
    session(Watch).stopping = ""
    if state in RESUMABLE:
        _resume(run, "Resume", "resume-training", ":material/play_arrow:")
        if placement_of(run) is not None:
            help = (
                "Goes on here, from the last save that came back from the cluster. What still goes "
                "on there is ended, where the cluster answers."
            )
            label = "Resume on this machine"
            _resume(run, label, "resume-here", ":material/computer:", help, on=HERE)
        if run.status().acceptable:
            help = (
                "Go on with the images as they are now. What the run was measured on is never "
                "learned from, and the change is noted in its history."
            )
            label, icon = "Resume on these images", ":material/published_with_changes:"
            _resume(run, label, "accept-training", icon, help, accept_changed_data=True)
    if run.has(layout.WEIGHTS) and st.button(
        "Explore", key="explore-training", icon=":material/tune:"
    ):
        open_run(run.id)

    if state == "finished" and run.has_state() and not run.shipped:
        _train_on(run, config)
    _begin_with(run)


def _train_on(run: Run, config: RunConfig) -> None:
    """More epochs for a finished run, and another β from there on."""
    with st.popover(
        "Train on", icon=":material/forward:", key="train-on", **access.widget_options()
    ):
        st.caption("Goes on from these weights. Its curves and its history go on, too.")
        epochs, problem = bounded(
            st.container(), "More epochs", "train-on-epochs", 1, 100_000,
            max(1, config.train.epochs // 2),
        )  # fmt: skip
        beta: float | None = None
        if "beta" in config.objective:
            now = beta_in_force(run) or 0.0
            beta, refused = bounded(
                st.container(), "β from here on", "train-on-beta", 0.0, 1e6, now, format="%.6g"
            )
            problem, beta = problem or refused, None if beta == now else beta
        if st.button(
            "Train on", key="start-train-on", type="primary", icon=":material/play_arrow:",
            **access.widget_options(disabled=bool(problem)),
        ):  # fmt: skip
            with errors_shown():
                access.authorized(jobs.resume)(run, epochs=f"+{epochs}", beta=beta)
                st.rerun()


def _begin_with(run: Run) -> None:
    """A new run with the settings of this one, or with its weights."""
    with st.popover("New run", icon=":material/add:", key="begin-with", **access.widget_options()):
        if st.button(
            "Use these settings", key="use-settings", icon=":material/content_copy:",
            width="stretch",
            **access.widget_options("Puts the settings of this run into the form on the left."),
        ):  # fmt: skip
            with errors_shown():
                access.authorized(train_like)(run)
                st.rerun()
        if st.button(
            "Start from its weights", key="use-weights", icon=":material/account_tree:",
            width="stretch",
            **access.widget_options(
                "A new run goes on from what this one has learned, on other images of its shape.",
                disabled=not run.has(layout.WEIGHTS),
            ),
        ):  # fmt: skip
            with errors_shown():
                access.authorized(train_like)(run, weights=True)
                st.rerun()


def _resume(run: Run, label: str, key: str, icon: str, help: str | None = None, **how: Any) -> None:
    """A button that goes on with a run; see `jobs.resume`."""
    if acting_button(
        label,
        lambda: access.authorized(jobs.resume)(run, **how),
        key=key,
        icon=icon,
        **access.widget_options(help),
    ):
        st.rerun()


def _beta(run: Run, config: RunConfig) -> None:
    """β of the running training; a change is part of the run's history."""
    key, seen = f"beta-{run.id}", session(Watch).betas
    now = latest_beta(run)
    start = float(config.objective["beta"]) if now is None else now
    # It may also be turned by the schedule, in another tab or on the command line.
    if seen.get(run.id) != start or key not in st.session_state:
        seen[run.id] = st.session_state[key] = start
    kept = st.session_state[key]
    st.select_slider(
        "β",
        sorted({*BETAS, start, kept}),
        key=key,
        format_func=number,
        **access.widget_options(
            "Weight of the KL from the next step on. More buys order and costs sharpness."
        ),
        on_change=lambda: _set_beta(run, st.session_state[key]),
    )


def _set_beta(run: Run, value: float) -> None:
    _send(run, command="set", name="beta", value=value)


def _log(run: Run, state: str) -> None:
    tail = run.log_tail(40)
    if tail:
        with st.expander("Log", expanded=state == "failed", icon=":material/article:"):
            st.code(redact(tail), language=None, wrap_lines=True)
