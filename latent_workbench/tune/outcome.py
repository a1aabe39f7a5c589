"""What a sweep shows: the rate–distortion curve, active units, and which β to take."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from latent_workbench.shared.catalog import RunFacts
from latent_workbench.shared.figures import MARGIN
from latent_workbench.shared.numbers import number
from latent_workbench.shared.state import choose_run
from latent_workbench.shared.theme import BETA, is_dark, label_color
from latent_workbench.tune.rate_distortion import rate_distortion_figure
from vae_core.sweeps.aggregate import average_seeds, conditions
from vae_core.sweeps.results import Result, results
from vae_core.sweeps.suggestions import Suggestion, advise

HEIGHT = 270
MOST_TICKS = 9


def outcome(runs: Sequence[RunFacts], current: str | None) -> None:
    """Curve and units of the runs that were measured."""
    if not runs:
        st.info("The first point appears when a run has finished. ELBO lines come with it.")
        return
    curve, units = st.columns([1.7, 1], gap="small")
    found = results(facts.run for facts in runs)
    with curve:
        _curve(runs, found, current)
        st.caption(measured_by(runs))
    with units:
        if found:
            figure = units_figure(found)
            st.plotly_chart(figure, key="active-units", config={"displayModeBar": False})
        else:
            st.caption("None of these runs has a β, over which dimensions could be drawn.")


def advice(runs: Sequence[RunFacts]) -> None:
    """Which β to take, by three rules, and what has to be known before they are believed."""
    found = advise(results(facts.run for facts in runs))
    if found.suggestions or found.warnings:
        st.markdown("**Which β**")
    for suggestion in found.suggestions:
        st.markdown(f"{_head(suggestion)}  \n:gray[:small[{suggestion.reason}]]")
    if found.warnings:
        st.caption("\n".join(f"- {warning}" for warning in found.warnings))


def measured_by(runs: Sequence[RunFacts]) -> str:
    """What the points stand for: every part that one of them was measured on, named once."""
    parts = dict.fromkeys(run.measured_on for run in runs if run.measured_on)
    return f"Measured on {' or on '.join(parts)}." if parts else ""


def _head(suggestion: Suggestion) -> str:
    *others, last = (number(beta) for beta in sorted((suggestion.beta, *suggestion.also)))
    betas = " or ".join(filter(None, (", ".join(others), last)))
    return " · ".join(filter(None, (f"β = {betas}", suggestion.rule, suggestion.among)))


def _curve(runs: Sequence[RunFacts], found: Sequence[Result], current: str | None) -> None:
    figure = rate_distortion_figure(runs, found, current, is_dark())
    figure.update_layout(height=HEIGHT)
    event = st.plotly_chart(
        figure,
        key="rate-distortion",
        on_select="rerun",
        selection_mode="points",
        config={"displayModeBar": False},
    )
    points = event["selection"]["points"] if event else []
    named = [point["customdata"] for point in points if point.get("customdata")]
    if named:
        run_id = named[0] if isinstance(named[0], str) else named[0][0]
        choose_run(run_id)
        st.switch_page("pages/explore.py", query_params={"run": run_id})


def units_figure(found: Sequence[Result]) -> go.Figure:
    """Active dimensions over β: a dot a run, a bar from the seed with fewest to that with most."""
    named = conditions(found)
    figure = go.Figure()
    for index, (name, same) in enumerate(named.items()):
        points = average_seeds(same)
        hue = label_color(index) if len(named) > 1 else BETA
        figure.add_scatter(
            x=[point.beta for point in points],
            y=[point.active for point in points],
            mode="lines",
            line={"color": hue, "width": 1},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [point.most - point.active for point in points],
                "arrayminus": [point.active - point.fewest for point in points],
                "thickness": 1.5,
                "width": 4,
            },
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=[result.beta for result in same],
            y=[result.active for result in same],
            mode="markers",
            marker={"color": hue, "size": 9},
            text=[" · ".join(filter(None, (result.run, name))) for result in same],
            hovertemplate="%{text}<br>β %{x}: %{y} active<extra></extra>",
        )
    most = max((result.latent_dim for result in found), default=1)
    betas = sorted({result.beta for result in found})
    ticks = betas[:: -(-len(betas) // MOST_TICKS)]
    figure.update_xaxes(title="β", type="log", tickvals=ticks, ticktext=[*map(number, ticks)])
    figure.update_yaxes(title="active dimensions", range=[-0.3, most + 0.6], nticks=5)
    figure.update_layout(height=HEIGHT, margin=MARGIN, showlegend=False)
    return figure
