"""What a sweep shows: the rate–distortion curve, active units, and which β to take."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from ui.catalog import RunFacts
from ui.figures import MARGIN, rate_distortion_figure
from ui.numbers import number
from ui.state import choose_run
from ui.theme import BETA, is_dark
from vae_core.sweeps.results import Result, results
from vae_core.sweeps.suggestions import by_beta, suggestions

HEIGHT = 270


def outcome(runs: Sequence[RunFacts], current: str | None) -> None:
    """Curve and units of the runs that were measured."""
    if not runs:
        st.info("The first point appears when a run has finished. ELBO lines come with it.")
        return
    curve, units = st.columns([1.7, 1], gap="small")
    with curve:
        _curve(runs, current)
        st.caption(measured_by(runs))
    found = results(facts.run for facts in runs)
    with units:
        st.plotly_chart(units_figure(found), key="active-units", config={"displayModeBar": False})


def advice(runs: Sequence[RunFacts]) -> None:
    """Which β to take, by three rules."""
    found = suggestions(results(facts.run for facts in runs))
    if found:
        st.markdown("**Which β**")
    for suggestion in found:
        st.markdown(
            f"β = {number(suggestion.beta)} · {suggestion.rule}  \n"
            f":gray[:small[{suggestion.reason}]]"
        )


def measured_by(runs: Sequence[RunFacts]) -> str:
    """What the points stand for: every part that one of them was measured on, named once."""
    parts = dict.fromkeys(run.measured_on for run in runs if run.measured_on)
    return f"Measured on {' or on '.join(parts)}." if parts else ""


def _curve(runs: Sequence[RunFacts], current: str | None) -> None:
    figure = rate_distortion_figure(runs, current, is_dark())
    figure.update_layout(height=HEIGHT)
    event = st.plotly_chart(
        figure,
        key="rate-distortion",
        on_select="rerun",
        selection_mode="points",
        config={"displayModeBar": False},
    )
    points = event["selection"]["points"] if event else []
    if points:
        # The points are the last trace; the lines before it have no place in `runs`.
        run_id = runs[points[0]["point_index"]].id
        choose_run(run_id)
        st.switch_page("pages/explore.py", query_params={"run": run_id})


def units_figure(found: Sequence[Result]) -> go.Figure:
    """Active dimensions over β, one line for all and one dot a run."""
    points = by_beta(found)
    figure = go.Figure()
    figure.add_scatter(
        x=[point.beta for point in points],
        y=[point.active for point in points],
        mode="lines",
        line={"color": BETA, "width": 1},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[result.beta for result in found],
        y=[result.active for result in found],
        mode="markers",
        marker={"color": BETA, "size": 9},
        text=[result.run for result in found],
        hovertemplate="%{text}<br>β %{x}: %{y} active<extra></extra>",
    )
    most = max((result.latent_dim for result in found), default=1)
    figure.update_xaxes(title="β", type="log", tickvals=[point.beta for point in points])
    figure.update_xaxes(ticktext=[number(point.beta) for point in points])
    figure.update_yaxes(title="active dimensions", range=[-0.3, most + 0.6], nticks=5)
    figure.update_layout(height=HEIGHT, margin=MARGIN, showlegend=False)
    return figure
