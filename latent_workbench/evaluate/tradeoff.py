"""Rate, distortion and perception of runs in one plot."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from latent_workbench.shared.theme import MARGIN, chart
from vae_core.quality import Tradeoff, tradeoffs
from vae_core.runs import Run

COLOURS = "Viridis"


def tradeoff(runs: Sequence[Run]) -> None:
    """Draw the runs whose reconstructions have been compared with held-out images."""
    points = [p for p in tradeoffs(runs) if None not in (p.rate, p.mse, p.perception)]
    if not points:
        return
    st.markdown(
        "**Rate, distortion, perception**",
        help="Down is more like the image itself, left is fewer nats, dark is more like images in "
        "general: FID of reconstructions. Which of them a run gives up is its β's choice (Blau and "
        "Michaeli 2019).",
    )
    chart(tradeoff_figure(points), "tradeoffs")
    if len({each.features for each in points}) > 1:
        st.caption(
            "These runs were compared by different features, so that colours of one kind say "
            "nothing of the other."
        )


def tradeoff_figure(points: Sequence[Tradeoff]) -> go.Figure:
    """Rate across, distortion up, perception as colour, of runs that have all three."""
    figure = go.Figure()
    figure.add_scatter(
        x=[each.rate for each in points],
        y=[each.mse for each in points],
        text=[each.run for each in points],
        customdata=[
            ["–" if value is None else f"{value:.3g}" for value in (each.perception, each.samples)]
            for each in points
        ],
        mode="markers+text",
        textposition="top center",
        marker={
            "size": 14,
            "color": [each.perception for each in points],
            "colorscale": COLOURS,
            "showscale": True,
            "colorbar": {"title": {"text": "FID of<br>reconstructions"}, "thickness": 12},
            "line": {"width": 1, "color": "#8b949e"},
        },
        hovertemplate="%{text}<br>rate %{x:.4~g} nats<br>MSE %{y:.4~g}<br>FID of reconstructions "
        "%{customdata[0]}<br>FID of samples %{customdata[1]}<extra></extra>",
    )
    figure.update_xaxes(title="Rate: KL (nats per image)", rangemode="tozero")
    figure.update_yaxes(title="Distortion: MSE", exponentformat="none")
    figure.update_layout(height=380, margin=MARGIN, showlegend=False)
    return figure
