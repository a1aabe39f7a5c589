"""The rate–distortion curve: what each nat of KL buys in reconstruction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from latent_workbench.shared.catalog import RunFacts
from latent_workbench.shared.figures import MARGIN
from latent_workbench.shared.numbers import number
from latent_workbench.shared.theme import BETA, label_color, total_color
from vae_core.sweeps.aggregate import Score, SeedAverage, average_seeds, conditions
from vae_core.sweeps.results import Result

MOST_LABELS = 16
"""Of more points than that, β is told where one points."""

LEAST_SPAN = 4.0
"""Nats that an axis shows at least, so that noise does not fill it."""


def rate_distortion_figure(
    runs: Sequence[RunFacts], found: Sequence[Result], current: str | None, dark: bool
) -> go.Figure:
    """Each measured run at (rate, distortion); along a grey line −ELBO = rate + distortion.

    Seeds of one β are dots around their mean, which carries the label and their deviation in both
    directions. Runs of other settings have another colour. Rings are collapsed, or were not
    trained to their end; the latter are no part of a mean.

    Args:
        found: what is known of those that have a β.
    """
    figure = go.Figure()
    rates = np.array([run.kl for run in runs], float)
    distortions = np.array([run.recon for run in runs], float)
    left, right = _around(rates)
    low, high = _around(distortions)
    grey = total_color(dark)
    _equal_elbos(figure, (left, right), (low, high), grey)
    named = conditions([result for result in found if not result.not_converged])
    several = len(named) > 1
    hues = {name: label_color(i) if several else BETA for i, name in enumerate(named)}
    points = [(name, point) for name, same in named.items() for point in average_seeds(same)]
    for name in named:
        _means(figure, [point for of, point in points if of == name], name, hues[name], several)
    if len(points) <= MOST_LABELS:
        figure.add_scatter(
            x=[point.rate for _, point in points],
            y=[point.distortion for _, point in points],
            mode="text",
            # Clear of the error bars; the curve falls and bends upwards, so there is room.
            text=[f"\u2002β {number(point.beta)}" for _, point in points],
            textposition="top right",
            hoverinfo="skip",
            showlegend=False,
        )
    told = {result.run: result for result in found}
    dots = {run.run: (hues[name], len(p.runs)) for name, p in points for run in p.runs}
    hue_and_seeds = [dots.get(run.id, (grey, 1)) for run in runs]
    figure.add_scatter(
        x=rates,
        y=distortions,
        mode="markers",
        text=[_label(told.get(run.id)) + _other_units(run) for run in runs],
        customdata=[run.id for run in runs],
        marker={
            "color": [hue for hue, _ in hue_and_seeds],
            "symbol": ["circle-open" if _is_ring(told.get(run.id)) else "circle" for run in runs],
            "size": [
                15 if run.id == current else 10 if seeds == 1 else 7
                for run, (_, seeds) in zip(runs, hue_and_seeds, strict=True)
            ],
            "line": {
                "color": [
                    grey if run.id == current else hue
                    for run, (hue, _) in zip(runs, hue_and_seeds, strict=True)
                ],
                "width": [
                    2 if run.id == current or _is_ring(told.get(run.id)) else 0 for run in runs
                ],
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
    figure.update_layout(height=440, margin=MARGIN, showlegend=several, legend=legend)
    return figure


def _label(result: Result | None) -> str:
    return "no β" if result is None else f"β {number(result.beta)}"


def _other_units(run: RunFacts) -> str:
    """The ELBO as other sizes of images and other papers compare with it."""
    if run.elbo is None or run.bits_per_dim is None or run.image_shape is None:
        return ""
    a_value = run.elbo / math.prod(run.image_shape)
    return (
        f"<br>ELBO {number(run.elbo)} nats, {number(a_value)} a pixel value, "
        f"{number(run.bits_per_dim)} bits per dimension"
    )


def _is_ring(result: Result | None) -> bool:
    return result is not None and bool(result.not_converged or result.collapsed)


def _means(
    figure: go.Figure, points: Sequence[SeedAverage], name: str, hue: str, several: bool
) -> None:
    """A thin line through the means of one condition; error bars where there are seeds."""
    look = {"type": "data", "thickness": 1.5, "width": 4, "color": hue}
    figure.add_scatter(
        x=[point.rate for point in points],
        y=[point.distortion for point in points],
        mode="lines",
        line={"color": hue, "width": 1},
        name=name,
        showlegend=several,
        hoverinfo="skip",
        error_x=look | {"array": [_spread(point, lambda run: run.rate) for point in points]},
        error_y=look | {"array": [_spread(point, lambda run: run.distortion) for point in points]},
    )


def _spread(point: SeedAverage, score: Score) -> float | None:
    return point.deviation(score) if len(point.runs) > 1 else None


def _equal_elbos(
    figure: go.Figure, across: tuple[float, float], up: tuple[float, float], grey: str
) -> None:
    (left, right), (low, high) = across, up
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
