"""Data in, figure out: charts that stand still."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ui.catalog import RunFacts
from ui.numbers import number
from ui.theme import BETA, total_color

MARGIN = {"l": 60, "r": 16, "t": 16, "b": 52}

MOST_LABELS = 16
"""Of more points than that, β is told where one points."""


def rate_distortion_figure(runs: Sequence[RunFacts], current: str | None, dark: bool) -> go.Figure:
    """Each measured run at (rate, distortion); along a grey line −ELBO = rate + distortion."""
    figure = go.Figure()
    rates = np.array([run.kl for run in runs], float)
    distortions = np.array([run.recon for run in runs], float)
    spread = max(float(np.ptp(rates)), float(np.ptp(distortions)), 4.0)
    left, right = _around(rates, spread)
    low, high = _around(distortions, spread)
    grey = total_color(dark)
    for total in _round_steps(left + low, right + high):
        ends = np.array([max(left, total - high), min(right, total - low)])
        figure.add_scatter(
            x=ends,
            y=total - ends,
            mode="lines",
            line={"color": grey, "width": 1, "dash": "dot"},
            opacity=0.4,
            hoverinfo="skip",
        )
        figure.add_annotation(
            x=ends[0],
            y=total - ends[0],
            text=f"ELBO {number(-total)}",
            showarrow=False,
            xanchor="left",
            yanchor="bottom",
            font={"size": 11},
            opacity=0.7,
        )
    figure.add_scatter(
        x=rates,
        y=distortions,
        mode="markers+text" if len(runs) <= MOST_LABELS else "markers",
        text=[f"β {number(run.beta)}" for run in runs],
        customdata=[run.id for run in runs],
        # The curve falls and bends upwards: there is room on its upper right.
        textposition="top right",
        marker={
            "color": BETA,
            "size": [15 if run.id == current else 10 for run in runs],
            "line": {"color": grey, "width": [2 if run.id == current else 0 for run in runs]},
        },
        hovertemplate="%{customdata}: %{text}<br>rate %{x:.2f}, distortion %{y:.2f}<extra></extra>",
    )
    figure.update_xaxes(title="rate = KL (nats per image)", range=[left, right], zeroline=False)
    figure.update_yaxes(
        title="distortion = recon (nats per image)", range=[low, high], zeroline=False
    )
    figure.update_layout(height=440, margin=MARGIN, showlegend=False)
    return figure


def _around(values: np.ndarray, spread: float) -> tuple[float, float]:
    """A range of 1.5 · spread with the values in its middle."""
    middle = (float(values.min()) + float(values.max())) / 2
    return middle - 0.75 * spread, middle + 0.75 * spread


def _round_steps(low: float, high: float) -> np.ndarray:
    """About six round values strictly between low and high."""
    rough = (high - low) / 6
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough)
    return np.arange(np.floor(low / step) + 1, np.ceil(high / step)) * step
