"""Rate, distortion and perception of runs in one plot, and the button that measures the third."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go
import streamlit as st

from latent_workbench.live.models import ready_torch
from latent_workbench.shared import access
from latent_workbench.shared.errors import redact
from latent_workbench.shared.tasks import command, job_shown, start_job
from latent_workbench.shared.theme import MARGIN, chart
from vae_core.data import Progress
from vae_core.errors import UserError
from vae_core.runs import WEIGHTS, Run

if TYPE_CHECKING:
    from vae_core.quality import Tradeoff

COMPARING = "comparing-pictures"
COLOURS = "Viridis"

HELP = (
    "Each run's samples and reconstructions beside held-out images, by the features of a small "
    "classifier of the labels, or of a random network where there are none. A minute or two for "
    "the first run of a data set, seconds for others."
)


def perception(runs: Sequence[Run]) -> None:
    """Draw the runs whose pictures have been compared, and offer to compare those of the others."""
    if job_shown(COMPARING) or not any(run.has(WEIGHTS) for run in runs):
        return
    ready_torch()
    from vae_core.quality import kept_quality, tradeoffs

    missing = [run for run in runs if run.has(WEIGHTS) and not kept_quality(run)]
    if missing and st.button(
        f"Compare pictures of {len(missing)} run{'s' * (len(missing) > 1)} with held-out images",
        key="compare-pictures",
        icon=":material/compare:",
        **access.widget_options(HELP),
    ):
        start_job(COMPARING, lambda progress: compare_all(missing, progress))
    points = [p for p in tradeoffs(runs) if None not in (p.rate, p.mse, p.perception)]
    if points:
        st.markdown(
            "**Rate, distortion, perception**",
            help="Down is more like the image itself, left is fewer nats, dark is more like images "
            "in general: FID of reconstructions. Which of them a run gives up is its β's choice "
            "(Blau and Michaeli 2019).",
        )
        chart(tradeoff_figure(points), "tradeoffs")
        if len({each.features for each in points}) > 1:
            st.caption("These runs were compared by different features, so that colours of one kind"
                       " say nothing of the other.")  # fmt: skip


def compare_all(runs: Sequence[Run], progress: Progress) -> None:
    """Compare the pictures of one run after the other, each in a process of its own. Raises
    UserError when all have had their turn, of those that cannot be compared."""
    problems = []
    for done, run in enumerate(runs):

        def of_run(message: str, share: float | None, done: int = done, run: Run = run) -> None:
            progress(f"{run.id}: {message}", (done + (share or 0.0)) / len(runs))

        try:
            command(run, "evaluate", run.id, "--quality")(of_run)
        except UserError as error:
            problems.append(redact(error))
    if problems:
        raise UserError(" ".join(problems))


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
