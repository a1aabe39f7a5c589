"""What a sweep shows: the rate–distortion curve, active units, and which β to take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import attrgetter

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from latent_workbench.shared.catalog import RunFacts
from latent_workbench.shared.current_run import open_run
from latent_workbench.shared.formatting import number
from latent_workbench.shared.theme import BETA, MARGIN, chart, label_color, total_color
from latent_workbench.tune.rate_curve import describe, draw_curve
from vae_core.rate_curve import RateCurve
from vae_core.sweeps.aggregate import SeedAverage, average_seeds, conditions
from vae_core.sweeps.results import Result, results
from vae_core.sweeps.suggestions import Suggestion, advise

HEIGHT = 270
MOST_TICKS = 9
MOST_LABELS = 16
"""Of more points than that, β is told where one points."""

LEAST_SPAN = 4.0
"""Nats that an axis shows at least, so that noise does not fill it."""


def sweep_results(
    runs: Sequence[RunFacts], current: str | None, along: RateCurve | None = None
) -> None:
    """Curve and units of the runs that were measured; `along` is the curve of the current one."""
    if not runs:
        st.info("The first point appears when a run has finished. ELBO lines come with it.")
        return
    curve, units = st.columns([1.7, 1], gap="small")
    found = results(facts.run for facts in runs)
    with curve:
        figure = rate_distortion_figure(runs, found, current, along)
        event = chart(figure, "rate-distortion", on_select="rerun", selection_mode="points")
        points = event["selection"]["points"] if event else []
        named = [point["customdata"] for point in points if point.get("customdata")]
        if named:
            open_run(named[0] if isinstance(named[0], str) else named[0][0])
        # Every part that one of them was measured on, named once.
        parts = dict.fromkeys(run.measured_on for run in runs if run.measured_on)
        st.caption(f"Measured on {' or on '.join(parts)}." if parts else "")
        if along is not None:
            describe(along, current or "")
    with units:
        if found:
            chart(units_figure(found), "active-units")
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


def _head(suggestion: Suggestion) -> str:
    *others, last = (number(beta) for beta in sorted((suggestion.beta, *suggestion.also)))
    betas = " or ".join(filter(None, (", ".join(others), last)))
    return " · ".join(filter(None, (f"β = {betas}", suggestion.rule, suggestion.among)))


def units_figure(found: Sequence[Result]) -> go.Figure:
    """Active dimensions over β: a dot a run, a bar from the seed with fewest to that with most.
    Rings were not trained to their end, and are no part of a mean."""
    named = conditions([result for result in found if not result.not_converged])
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
    if ended := [result for result in found if result.not_converged]:
        grey = total_color()
        figure.add_scatter(
            x=[result.beta for result in ended],
            y=[result.active for result in ended],
            mode="markers",
            marker={
                "color": grey,
                "size": 9,
                "symbol": "circle-open",
                "line": {"width": 2, "color": grey},
            },
            text=[f"{result.run} · {result.not_converged}" for result in ended],
            hovertemplate="%{text}<br>β %{x}: %{y} active<extra></extra>",
        )
    most = max((result.latent_dim for result in found), default=1)
    betas = sorted({result.beta for result in found})
    ticks = betas[:: -(-len(betas) // MOST_TICKS)]
    figure.update_xaxes(title="β", type="log", tickvals=ticks, ticktext=[*map(number, ticks)])
    figure.update_yaxes(title="active dimensions", range=[-0.3, most + 0.6], nticks=5)
    figure.update_layout(height=HEIGHT, margin=MARGIN, showlegend=False)
    return figure


# --- the rate–distortion curve --------------------------------------------------------------------


def rate_distortion_figure(
    runs: Sequence[RunFacts],
    found: Sequence[Result],
    current: str | None,
    along: RateCurve | None = None,
) -> go.Figure:
    """Each measured run at (rate, distortion); along a grey line −ELBO = rate + distortion.

    Seeds of one β, of the runs in `found` that have one, are dots around their mean, which carries
    the label and their deviation in both directions. Runs of other settings have another colour.
    Rings are collapsed, or were not trained to their end; the latter are no part of a mean. `along`
    is the whole curve of the current run, where its network is told β.
    """
    figure = go.Figure()
    rates = np.array([run.kl for run in runs], float)
    distortions = np.array([run.recon for run in runs], float)
    left, right = _around(rates if along is None else np.append(rates, along.rate))
    low, high = _around(distortions if along is None else np.append(distortions, along.distortion))
    grey = total_color()
    _equal_elbos(figure, left, right, low, high, grey)
    if along is not None:
        draw_curve(figure, along, current or "")
    named = conditions([result for result in found if not result.not_converged])
    several = len(named) > 1
    points: list[SeedAverage] = []
    dots: dict[str, tuple[str, int]] = {}
    for index, (name, same) in enumerate(named.items()):
        hue, averages = label_color(index) if several else BETA, average_seeds(same)
        _means(figure, averages, name, hue, several)
        points += averages
        dots |= {run.run: (hue, len(point.runs)) for point in averages for run in point.runs}
    if len(points) <= MOST_LABELS:
        figure.add_scatter(
            x=[point.rate for point in points],
            y=[point.distortion for point in points],
            mode="text",
            # Clear of the error bars; the curve falls and bends upwards, so there is room.
            text=[f"\u2002β {number(point.beta)}" for point in points],
            textposition="top right",
            hoverinfo="skip",
            showlegend=False,
        )
    known = {result.run: result for result in found}
    chosen = [run.id == current for run in runs]
    rings = {result.run for result in found if result.not_converged or result.collapsed}
    hollow = [run.id in rings for run in runs]
    hues, seeds = zip(*(dots.get(run.id, (grey, 1)) for run in runs), strict=True)
    figure.add_scatter(
        x=rates,
        y=distortions,
        mode="markers",
        text=[
            (f"β {number(known[run.id].beta)}" if run.id in known else "no β") + _other_units(run)
            for run in runs
        ],
        customdata=[run.id for run in runs],
        marker={
            "color": hues,
            "symbol": np.where(hollow, "circle-open", "circle"),
            "size": np.where(chosen, 15, np.where(np.equal(seeds, 1), 10, 7)),
            "line": {
                "color": np.where(chosen, grey, hues),
                "width": np.where(np.logical_or(chosen, hollow), 2, 0),
            },
        },
        hovertemplate="%{customdata}: %{text}<br>rate %{x:.2f}, distortion %{y:.2f}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(title="rate = KL (nats per image)", range=[left, right], zeroline=False)
    figure.update_yaxes(
        title="distortion = recon (nats per image)", range=[low, high], zeroline=False
    )
    legend = {"x": 1, "y": 1, "xanchor": "right", "yanchor": "top", "title": None}
    figure.update_layout(height=HEIGHT, margin=MARGIN, showlegend=several, legend=legend)
    return figure


def _other_units(run: RunFacts) -> str:
    """The ELBO as other sizes of images and other papers compare with it."""
    if run.elbo is None or run.bits_per_dim is None or run.image_shape is None:
        return ""
    a_value = run.elbo / math.prod(run.image_shape)
    return (
        f"<br>ELBO {number(run.elbo)} nats, {number(a_value)} a pixel value, "
        f"{number(run.bits_per_dim)} bits per dimension"
    )


def _means(
    figure: go.Figure, points: Sequence[SeedAverage], name: str, hue: str, several: bool
) -> None:
    """A thin line through the means of one condition; error bars where there are seeds."""
    look = {"type": "data", "thickness": 1.5, "width": 4, "color": hue}
    rates, distortions = (
        [point.deviation(score) if len(point.runs) > 1 else None for point in points]
        for score in (attrgetter("rate"), attrgetter("distortion"))
    )
    figure.add_scatter(
        x=[point.rate for point in points],
        y=[point.distortion for point in points],
        mode="lines",
        line={"color": hue, "width": 1},
        name=name,
        showlegend=several,
        hoverinfo="skip",
        error_x=look | {"array": rates},
        error_y=look | {"array": distortions},
    )


def _equal_elbos(
    figure: go.Figure, left: float, right: float, low: float, high: float, grey: str
) -> None:
    for total in _round_steps(left + low, right + high):
        ends = np.array([max(left, total - high), min(right, total - low)])
        figure.add_scatter(
            x=ends,
            y=total - ends,
            mode="lines",
            line={"color": grey, "width": 1, "dash": "dot"},
            opacity=0.4,
            hoverinfo="skip",
            showlegend=False,
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


def _around(values: np.ndarray) -> tuple[float, float]:
    """A range with the values in it and room for labels; not below 0 where no value is."""
    lowest, highest = float(values.min()), float(values.max())
    lacking = max(0.0, LEAST_SPAN - (highest - lowest)) / 2
    lowest, highest = lowest - lacking, highest + lacking
    span = highest - lowest
    low, high = lowest - 0.15 * span, highest + 0.25 * span
    # A hair below 0, so that a point there is whole.
    return (max(low, -0.03 * span) if float(values.min()) >= 0 else low), high


def _round_steps(low: float, high: float) -> np.ndarray:
    """About six round values strictly between low and high."""
    rough = (high - low) / 6
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough)
    return np.arange(np.floor(low / step) + 1, np.ceil(high / step)) * step
