"""Any runs beside each other: what they differ in, their curves, and all of it as CSV."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from ui.figures import MARGIN
from ui.theme import label_color
from vae_core.errors import UserError
from vae_core.runs import Run
from vae_core.sweeps.results import curves, table, to_csv
from vae_core.sweeps.scoring import score, scores

AXES = {"step": "step", "epoch": "epoch", "time": "training time (s)"}
FEW = 12
"""Curves that can be told apart."""


def comparison(runs: Sequence[Run]) -> None:
    """Draw the table, the curves and the buttons that take them home."""
    if not runs:
        st.info("Choose runs to compare.")
        return
    try:
        rows = table(runs)
    except UserError as error:
        st.warning(str(error))
        return
    st.dataframe(rows, hide_index=True, key="comparison-table")
    _score_button(runs)
    term, axis = st.columns(2)
    values = [each for run in runs[:FEW] for each in _curves(run)]
    terms = list({row["term"]: None for row in values}) or ["total"]
    chosen = term.segmented_control("Curve", terms, default=terms[-1], key="comparison-term")
    over = axis.segmented_control("Over", list(AXES), default="step", key="comparison-axis")
    st.plotly_chart(
        curves_figure(values, chosen or terms[-1], over or "step"),
        key="comparison-curves",
        config={"displayModeBar": False},
    )
    with st.container(horizontal=True):
        st.download_button(
            "Table as CSV", to_csv(rows), "runs.csv", "text/csv", icon=":material/download:",
            key="table-csv",
        )  # fmt: skip
        st.download_button(
            "Curves as CSV",
            lambda: to_csv(row for run in runs for row in _curves(run)),
            "curves.csv",
            "text/csv",
            icon=":material/download:",
            key="curves-csv",
        )


def _score_button(runs: Sequence[Run]) -> None:
    """Offered where a data set knows what its pictures were drawn from."""
    unscored = [run for run in runs if run.json("data.json", {}).get("factor_names")]
    unscored = [run for run in unscored if not scores(run)]
    if unscored and st.button(
        f"Score {len(unscored)} runs against the known factors",
        key="score-runs",
        icon=":material/score:",
        help="MIG, SAP, DCI, FactorVAE and β-VAE scores of their encodings; some seconds each.",
    ):
        bar = st.progress(0.0, "Scoring")
        for done, run in enumerate(unscored):
            bar.progress(done / len(unscored), f"Scoring {run.id}")
            try:
                score(run)
            except UserError as error:
                st.warning(str(error))
        st.rerun()


def curves_figure(values: Sequence[dict[str, Any]], term: str, axis: str) -> go.Figure:
    """One colour a run; training as a line, validation dashed."""
    figure = go.Figure()
    names = list({row["run"]: None for row in values})
    for index, name in enumerate(names):
        for split, dash in (("train", "solid"), ("validation", "dash")):
            rows = [r for r in values if (r["run"], r["split"], r["term"]) == (name, split, term)]
            figure.add_scatter(
                x=[row[axis] for row in rows],
                y=[row["value"] for row in rows],
                mode="lines",
                name=name,
                legendgroup=name,
                showlegend=split == "train",
                line={"color": label_color(index), "dash": dash, "width": 1.5},
                hovertemplate=f"{name} ({split})<br>%{{y:.4~g}} at %{{x}}<extra></extra>",
            )
    figure.update_xaxes(title=AXES[axis], exponentformat="none")
    figure.update_yaxes(title=f"{term} (nats per image)")
    figure.update_layout(height=360, margin=MARGIN, legend={"title": None})
    return figure


def _curves(run: Run) -> list[dict[str, Any]]:
    path = run.file("history.jsonl")
    return _cached(run.path, path.stat().st_size if path.exists() else 0)


@functools.lru_cache(maxsize=64)
def _cached(path: Path, size: int) -> list[dict[str, Any]]:
    return list(curves(Run(path)))
