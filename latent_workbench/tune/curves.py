"""Curves of many runs in one chart, over steps, epochs or seconds of training."""

from __future__ import annotations

import functools
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from latent_workbench.live.columns import decimate
from latent_workbench.shared.theme import MARGIN, chart, label_color
from vae_core.families import families
from vae_core.families.family import NATS
from vae_core.runs import Run, layout
from vae_core.sweeps.results import curves

AXES = {"step": "step", "epoch": "epoch", "time": "training time (s)"}
POINTS = 600
"""Of one curve: a browser draws fifty of them in a moment."""

SPLITS = {"train": "solid", "validation": "dash"}


@dataclass(frozen=True)
class Series:
    """One term of a run over its training: arrays [n] by axis, and its values [n]."""

    over: Mapping[str, np.ndarray]
    values: np.ndarray


RunCurves = Mapping[tuple[str, str], Series]
"""{(split, term): series} of one run."""


def curves_of(run: Run) -> RunCurves:
    """What the run has recorded, read once for each version of its history."""
    return _curves(run.path, run.size(layout.HISTORY))


def curves_chart(runs: Sequence[Run]) -> None:
    """Draw one term of all runs; which one, and over what, is chosen above it."""
    recorded = {run.id: curves_of(run) for run in runs}
    terms = list({term: None for found in recorded.values() for _, term in found})
    if not terms:
        st.caption("The curves appear with the first steps.")
        return
    left, right = st.columns(2)
    term = left.segmented_control("Curve", terms, default=terms[-1], key="comparison-term")
    axis = right.segmented_control("Over", list(AXES), default="step", key="comparison-axis")
    term, axis = term or terms[-1], axis or "step"
    chart(curves_figure(recorded, term, axis, _unit(runs, term)), "comparison-curves")


def curves_figure(recorded: Mapping[str, RunCurves], term: str, axis: str, unit: str) -> go.Figure:
    """One colour a run; training as a line, validation dashed."""
    figure = go.Figure()
    for index, (name, found) in enumerate(recorded.items()):
        for split, dash in SPLITS.items():
            if (series := found.get((split, term))) is None:
                continue
            shown = decimate(series.over[axis], series.values, points=POINTS)
            figure.add_scatter(
                x=series.over[axis][shown],
                y=series.values[shown],
                mode="lines+markers" if len(shown) < 3 else "lines",
                name=name,
                legendgroup=name,
                showlegend=split == "train",
                line={"color": label_color(index), "dash": dash, "width": 1.5},
                hovertemplate=f"{name} ({split})<br>%{{y:.4~g}} at %{{x:.4~g}}<extra></extra>",
            )
    figure.update_xaxes(title=AXES[axis], exponentformat="none")
    figure.update_yaxes(title=f"{term} ({unit})" if unit else term)
    figure.update_layout(height=360, margin=MARGIN, legend={"title": None})
    return figure


def _unit(runs: Sequence[Run], term: str) -> str:
    """In which unit the runs' families log a term; the total is nats everywhere."""
    named = (families[run.config().family].terms.get(term) for run in runs)
    return next((quantity.unit for quantity in named if quantity is not None), NATS)


@functools.lru_cache(maxsize=128)
def _curves(path: Path, size: int) -> RunCurves:
    rows: defaultdict[tuple[str, str], array[float]] = defaultdict(lambda: array("d"))
    for row in curves(Run(path)):
        if row["value"] is not None:
            numbers = (row["value"], *(row[axis] for axis in AXES))
            found = rows[row["split"], row["term"]]
            found.extend(np.nan if n is None else n for n in numbers)
    wide = 1 + len(AXES)
    columns = {name: np.array(found).reshape(-1, wide).T for name, found in rows.items()}
    return {
        name: Series(dict(zip(AXES, over, strict=True)), values)
        for name, (values, *over) in columns.items()
    }
