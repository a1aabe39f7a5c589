"""The schedules of a run's weights over its steps, with the present step marked."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from latent_workbench.shared.theme import BETA, chart, total_color
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.in_force import controls_of
from vae_core.runs import DataCard, Run

POINTS = 400
HEIGHT = 210


def schedule_chart(run: Run) -> None:
    """β (or what else the family turns) over the whole run; a line where it stands."""
    try:
        config, card, status = run.config(), run.data_card(), run.status()
        total = status.total_steps or config.train.total_steps(card.n_train)
        curves = _curves(config, card, total)
    except UserError:  # its data are being prepared; the chart comes with the first step
        st.caption("The schedule appears with the first step.")
        return
    if not curves:
        st.caption("This family has no weight to turn.")
    for name, values in curves.items():
        figure = schedule_figure(name, values, total, status.step, changes(run, name))
        chart(figure, f"schedule-{name}")


def planned(config: RunConfig, card: DataCard) -> None:
    """What moves in a training that has not begun; nothing where every weight stays as it is."""
    total = config.train.total_steps(card.n_train)
    for name, values in _curves(config, card, total).items():
        if np.ptp(values) > 0:
            chart(schedule_figure(name, values, total, 0, []), f"planned-{name}")


def schedule_figure(
    name: str, values: np.ndarray, total: int, step: int, changed: list[tuple[int, float]]
) -> go.Figure:
    """`values` [n] evenly over the steps from 0 to `total`; `changed` by hand since."""
    label = "β" if name == "beta" else name
    figure = go.Figure()
    figure.add_scatter(
        x=np.linspace(0, total, len(values)),
        y=values,
        mode="lines",
        line={"color": BETA, "width": 2, "dash": "dot" if changed else "solid"},
        hovertemplate=f"step %{{x:.0f}}: {label} = %{{y:.4~g}}<extra></extra>",
    )
    if changed:
        last, value = changed[-1]
        steps, taken = zip(*changed, (max(total, last), value), strict=True)
        figure.add_scatter(
            x=steps,
            y=taken,
            mode="lines+markers",
            marker={"symbol": "diamond", "size": 8},
            line={"color": BETA, "width": 2, "shape": "hv"},
            hovertemplate=f"set by hand at step %{{x}}: {label} = %{{y:.4~g}}<extra></extra>",
        )
    figure.add_vline(x=step, line={"color": total_color(), "width": 1})
    figure.update_xaxes(title="step", range=[0, max(total, 1)], nticks=5, exponentformat="none")
    figure.update_yaxes(title=label, rangemode="tozero", nticks=4)
    figure.update_layout(height=HEIGHT, margin={"l": 50, "r": 8, "t": 8, "b": 40}, showlegend=False)
    return figure


def changes(run: Run, name: str) -> list[tuple[int, float]]:
    """Where a value was set by hand: (step, value), in order."""
    return [(step, value) for step, which, value in run.set_by_hand() if which == name]


def _curves(config: RunConfig, card: DataCard, total: int) -> dict[str, np.ndarray]:
    """{control: its value at `POINTS` moments between step 0 and `total`}."""
    controls = controls_of(config, card)
    asked = [controls(round(step), {}, total) for step in np.linspace(0, total, POINTS)]
    return {name: np.array([values[name] for values in asked]) for name in asked[0]}
