"""A run with a dial as a whole rate–distortion curve: measured on demand, drawn with others."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.formatting import number
from latent_workbench.shared.tasks import job_button, job_shown
from latent_workbench.shared.theme import total_color
from vae_core.errors import UserError
from vae_core.families import families
from vae_core.rate_curve import POINTS, RateCurve, rate_curve
from vae_core.runs import Run

CLEAR = 0.13
"""Of the whole curve, along either axis: points nearer than that to the last label have none."""


def has_dial(run: Run) -> bool:
    """Whether the network of a run is told β as a number, and it has some weights."""
    try:
        config = run.config()
        options = families[config.family].parse_options(config.objective, "objective")
        return hasattr(options, "dial") and run.weights_step() is not None
    except UserError:
        return False


def curve_of(run: Run) -> RateCurve | None:
    """The curve of a run with a dial; before it was measured, a button that has it done."""
    if not has_dial(run):
        return None
    known = rate_curve(run)
    if known is None and not job_shown(f"rates-{run.id}"):
        with errors_shown():
            job_button(
                f"rates-{run.id}",
                f"Measure {run.id} at {POINTS} values of β",
                ":material/timeline:",
                run,
                "rates",
                run.id,
            )
    return known


def draw_curve(figure: go.Figure, curve: RateCurve, name: str) -> None:
    """The line of one run through the plane of rate and distortion, with β beside its points."""
    betas, labelled = [number(beta) for beta in curve.beta.tolist()], _clear(curve)
    figure.add_scatter(
        x=curve.rate,
        y=curve.distortion,
        mode="lines+markers+text",
        name=name,
        text=[f"\u2002β {betas[i]}" if i in labelled else "" for i in range(len(betas))],
        textposition="top right",
        hovertext=[
            f"{name} at β {beta}: {active:.0f} active"
            for beta, active in zip(betas, curve.active.tolist(), strict=True)
        ],
        hovertemplate="%{hovertext}<br>rate %{x:.2f}, distortion %{y:.2f}<extra></extra>",
        marker={"symbol": "diamond", "size": 8, "color": total_color()},
        line={"color": total_color(), "width": 1.5, "shape": "spline"},
        showlegend=False,
    )


def _clear(curve: RateCurve) -> list[int]:
    """The points with room for their label beside those that have one."""
    places = np.stack([curve.rate, curve.distortion], 1)
    places = places / np.maximum(np.ptp(places, axis=0), 1e-9)
    chosen = [0]
    for i in range(1, len(places)):
        if np.abs(places[i] - places[chosen[-1]]).max() >= CLEAR:
            chosen.append(i)
    return chosen


def describe(curve: RateCurve, name: str) -> None:
    """What the line is, and where on it the ELBO is best."""
    best = int(curve.elbo.argmax())
    st.caption(
        f"The line is {name} alone, at {len(curve.beta)} values of β on {curve.measured_on}; its "
        f"ELBO is best at β = {number(float(curve.beta[best]))}, {number(float(curve.elbo[best]))} "
        "nats per image."
    )
