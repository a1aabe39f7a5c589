"""Does it look like the prior? Every dimension beside N(0, 1), and how dimensions go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from ui.encodings.shown import Shown
from ui.numbers import grouped
from ui.theme import KL, is_dark, total_color

if TYPE_CHECKING:
    from vae_core.metrics.aggregated import Dimensions, Histogram

COLUMNS = 6
MOST_HISTOGRAMS = 24
MOST_CORRELATED = 100
ROW_HEIGHT = 120


@dataclass(frozen=True)
class Look:
    """Moments of all dimensions, their order (the most KL first), histograms of the first ones,
    and correlations [K, K] of as many as can be drawn."""

    found: Dimensions
    order: np.ndarray
    histograms: list[Histogram]
    correlations: np.ndarray
    verdict: str


def draw(shown: Shown) -> None:
    """The sentence, the histograms, the table and the heat map."""
    look = _look(shown.key, shown)
    st.markdown(look.verdict)
    _told(shown, look)
    st.plotly_chart(histograms_figure(look, is_dark()), key="encodings-histograms")
    table, heat = st.columns([1.3, 1], gap="medium")
    with table:
        st.dataframe(rows(look), hide_index=True, height=380, column_config=_columns())
    with heat:
        st.plotly_chart(correlations_figure(look), key="encodings-correlations")


@st.cache_resource(max_entries=4, show_spinner="Comparing with the prior")
def _look(key: str, _shown: Shown) -> Look:
    from vae_core.metrics.aggregated import (
        aggregated_histogram,
        correlations,
        describe_dimensions,
        verdict,
    )

    mu, logvar = _shown.survey.mu, _shown.survey.logvar
    found = describe_dimensions(mu, logvar)
    order = np.argsort(-(found.variance if found.kl is None else found.kl), kind="stable")
    reach = 4.0 if found.kl is not None else max(4.0, float(np.abs(mu).max()))
    histograms = [
        aggregated_histogram(mu[:, k], None if logvar is None else logvar[:, k], reach)
        for k in order[:MOST_HISTOGRAMS]
    ]
    drawn = order[:MOST_CORRELATED]
    return Look(found, order, histograms, correlations(mu[:, drawn]), verdict(found))


def _told(shown: Shown, look: Look) -> None:
    count, total = len(look.histograms), len(look.order)
    first = f"The {count} of {total} dimensions with the most KL" if count < total else "Dimensions"
    if look.found.kl is None:
        first = first.replace("the most KL", "the most variance")
    st.caption(
        f"{first}, over {grouped(len(shown.survey))} images. Filled: where the images are encoded, "
        "the width of each posterior included. Line: the prior N(0, 1)."
    )


def histograms_figure(look: Look, dark: bool) -> go.Figure:
    """A small histogram for each dimension, with the prior as a line; densities per unit of z."""
    count = len(look.histograms)
    columns = min(COLUMNS, count)
    lines = -(-count // columns)
    names = [f"z{k}" if look.found.active[k] else f"z{k}, not active" for k in look.order[:count]]
    figure = make_subplots(
        lines, columns, shared_xaxes=True, subplot_titles=names,
        vertical_spacing=min(0.2, 0.32 / lines), horizontal_spacing=0.02,
    )  # fmt: skip
    for i, found in enumerate(look.histograms):
        place = {"row": i // columns + 1, "col": i % columns + 1}
        middle = (found.edges[1:] + found.edges[:-1]) / 2
        figure.add_scatter(
            x=middle, y=found.posterior, fill="tozeroy", mode="lines",
            line={"color": KL, "width": 1}, hovertemplate="%{x:.2f}: %{y:.3f}<extra></extra>",
            **place,
        )  # fmt: skip
        figure.add_scatter(
            x=middle, y=found.prior, mode="lines", hoverinfo="skip",
            line={"color": total_color(dark), "width": 1.2}, **place,
        )  # fmt: skip
    # One scale for all up to three times the prior: what has collapsed to a point is cut.
    top = 3 * max(float(each.prior.max()) for each in look.histograms)
    highest = max(float(each.posterior.max()) for each in look.histograms)
    figure.update_yaxes(visible=False, range=[0, 1.05 * min(top, max(highest, 0.42))])
    figure.update_xaxes(showgrid=False, zeroline=False, nticks=5)
    figure.update_annotations(font_size=12)
    figure.update_layout(
        height=60 + ROW_HEIGHT * lines,
        showlegend=False,
        margin={"l": 8, "r": 8, "t": 28, "b": 28},
    )
    return figure


def correlations_figure(look: Look) -> go.Figure:
    """Pearson's correlation of every two dimensions, in the order of the table."""
    names = [f"z{k}" for k in look.order[: len(look.correlations)]]
    figure = go.Figure(
        go.Heatmap(
            z=look.correlations[::-1], x=names, y=names[::-1], zmin=-1, zmax=1, colorscale="RdBu",
            hovertemplate="%{x}, %{y}: %{z:.2f}<extra></extra>", colorbar={"thickness": 10},
        )
    )  # fmt: skip
    figure.update_layout(
        height=380,
        margin={"l": 40, "r": 8, "t": 28, "b": 32},
        title={"text": "Correlation of the posterior means", "font": {"size": 13}, "y": 0.99},
    )
    return figure


def rows(look: Look) -> dict[str, list[object]]:
    """The table: a row for each dimension, the most KL first."""
    found = look.found
    columns: dict[str, np.ndarray | None] = {
        "mean of μ": found.mean,
        "variance of μ": found.variance,
        "mean σ": found.sigma if found.kl is not None else None,
        "KL, nats": found.kl,
        "active": found.active,
    }
    shown: dict[str, list[object]] = {"dimension": [f"z{k}" for k in look.order]}
    return shown | {
        name: values[look.order].tolist() for name, values in columns.items() if values is not None
    }


def _columns() -> Any:
    help_texts = {
        "mean of μ": "0 in the prior",
        "variance of μ": "Above 0.01 a dimension is active (Burda et al., 2016)",
        "mean σ": "Mean deviation of a posterior: 1 where it says nothing, near 0 where it is sure",
        "KL, nats": "What the dimension costs, mean over the images",
    }
    return {
        name: st.column_config.NumberColumn(format="%.3f", help=text)
        for name, text in help_texts.items()
    }
