"""Figures of a score: its histogram beside validation images, and precision over recall."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from latent_workbench.shared.formatting import number
from latent_workbench.shared.theme import MARGIN, label_color, total_color
from vae_core.latent.detection import PrecisionRecall

BINS = 48
HEIGHT = 250
FEW = 60
"""Up to so many images each is marked by itself below the histogram."""

FLAGGED = "#D55E00"
END = 99.0
"""Percentile at which the histogram ends: a few extremes shall not squeeze all others."""


def edges_of(values: np.ndarray, normal: np.ndarray | None, threshold: float) -> np.ndarray:
    """Edges of the bins, [BINS + 1]: over the validation images, most of the others, and the
    threshold."""
    every = values if normal is None else np.concatenate([values, normal])
    low, high = float(every.min()), max(float(np.percentile(every, END)), threshold)
    reach = high - low or 1.0
    return np.linspace(low, high + 0.05 * reach, BINS + 1)


def histogram(
    values: np.ndarray, normal: np.ndarray | None, threshold: float, title: str
) -> go.Figure:
    """The shares of images in every bin, those above the threshold in the colour of warnings; what
    lies beyond the last bin is in it."""
    edges = edges_of(values, normal, threshold)
    middles = (edges[:-1] + edges[1:]) / 2
    figure = go.Figure()
    for name, here, hue in (
        ("usual", values <= threshold, label_color(0)),
        ("above the threshold", values > threshold, FLAGGED),
    ):
        figure.add_bar(
            x=middles,
            y=_shares(values[here], edges, len(values)),
            width=np.diff(edges),
            name=name,
            marker={"color": hue, "opacity": 0.75, "line": {"width": 0}},
            hovertemplate="%{x:.4g}: %{y:.2g} % of the images<extra></extra>",
        )
    if normal is not None:
        figure.add_scatter(
            x=middles,
            y=_shares(normal, edges, len(normal)),
            mode="lines",
            name="validation",
            line={"color": total_color(), "width": 1.5, "dash": "dash", "shape": "hvh"},
            hovertemplate="%{x:.4g}: %{y:.2g} % of the validation images<extra></extra>",
        )
    if len(values) <= FEW:
        figure.add_scatter(
            x=np.clip(values, edges[0], edges[-1]),
            y=np.zeros(len(values)),
            mode="markers",
            showlegend=False,
            marker={"symbol": "line-ns-open", "size": 12, "color": total_color()},
            hoverinfo="skip",
        )
    figure.add_vline(
        threshold,
        line={"color": FLAGGED, "width": 2},
        annotation={"text": number(threshold), "font": {"size": 12}},
    )
    figure.update_layout(
        height=HEIGHT,
        margin=MARGIN | {"t": 28},
        barmode="stack",
        bargap=0,
        legend={"orientation": "h", "y": 1.16, "x": 1, "xanchor": "right"},
    )
    figure.update_xaxes(title=title, zeroline=False, exponentformat="none")
    figure.update_yaxes(title="% of images", rangemode="tozero")
    return figure


def _shares(values: np.ndarray, edges: np.ndarray, count: int) -> np.ndarray:
    counted = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    shares: np.ndarray = 100 * counted / max(1, count)
    return shares


def precision_recall_figure(
    curves: Mapping[str, PrecisionRecall], share: float, picked: str
) -> go.Figure:
    """Precision over recall of scores by their labels; `picked` is drawn strong. share: of strange
    images, the precision that luck alone reaches."""
    figure = go.Figure()
    for i, (name, curve) in enumerate(curves.items()):
        figure.add_scatter(
            x=100 * np.append(0.0, curve.recall),
            y=100 * np.append(curve.precision[0], curve.precision),
            mode="lines",
            name=name,
            line={"color": label_color(i), "width": 3 if name == picked else 1.5},
            opacity=1 if name == picked else 0.7,
            hovertemplate=f"{name}<br>%{{x:.0f}} % found, %{{y:.0f}} % right<extra></extra>",
        )
    figure.add_hline(100 * share, line={"color": total_color(), "width": 1, "dash": "dot"})
    figure.update_xaxes(title="recall: % of the strange images found", range=[0, 101])
    figure.update_yaxes(title="precision: % of alarms right", range=[0, 103])
    figure.update_layout(
        height=HEIGHT, margin=MARGIN | {"t": 28}, showlegend=len(curves) > 1,
        legend={"orientation": "h", "y": 1.16, "x": 1, "xanchor": "right"},
    )  # fmt: skip
    return figure
