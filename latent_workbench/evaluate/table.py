"""The table of figures with their intervals, a picture of one measure, and both to take home."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from latent_workbench.evaluate.figures import Asked, refusals
from latent_workbench.evaluate.tradeoff import tradeoff
from latent_workbench.shared.formatting import escape_markdown
from latent_workbench.shared.glossary import explained
from latent_workbench.shared.theme import MARGIN, chart, label_color
from vae_core.evaluation import Estimate, measures
from vae_core.evaluation.table import Table, cautions, latex_of, remarks, rounded, rows
from vae_core.sweeps.results import to_csv

ARROWS = {"lower": "↓", "higher": "↑", "neither": ""}
ROW_PX = 34
RUN = "run"

FEW = 4
"""Measures whose names have room beside each other."""


def results(asked: Asked, table: Table) -> None:
    """Draw what is known; where nothing is, what will stand here."""
    if not any(table.values()):
        st.info(
            "A table appears here: a line a run, a column a measure, each figure with its 95 % "
            "interval over images. It is kept, so that what was measured is not measured again."
        )
    else:
        names = [name for name in asked.names if any(name in each for each in table.values())]
        st.dataframe(
            [_line(run, table, names) for run in table], hide_index=True, key="evaluate-table",
            column_config={RUN: st.column_config.TextColumn(pinned=True)}
            | explained(map(heading, names)),
        )  # fmt: skip
        _downloads(table)
        _pictured(names, table)
        if any(measures[name].of == "Reconstructions" for name in names):
            tradeoff(asked.runs)
        for sentence in cautions(table):
            st.caption(f":orange[:material/info: {escape_markdown(sentence)}]")
        st.caption("± is half of the 95 % interval.")
        with st.expander("What they were measured on", icon=":material/rule:"):
            about = (f"- **{escape_markdown(head)}**: {escape_markdown(text)}"
                     for head, text in remarks(table).items())  # fmt: skip
            st.caption("\n".join(about))
    for sentence in refusals(asked):
        st.caption(f":orange[:material/info: {escape_markdown(sentence)}]")


def heading(name: str) -> str:
    """A measure as the head of a column has it: "−log p(x) (nats) ↓"."""
    entry = measures[name]
    unit = f" ({entry.unit})" if entry.unit else ""
    return f"{entry.label}{unit} {ARROWS[entry.better]}".strip()


def _line(run: str, table: Table, names: list[str]) -> dict[str, str]:
    each = table[run]
    figures = {heading(name): rounded(each[name]) if name in each else "–" for name in names}
    return {RUN: run, **figures}


def _downloads(table: Table) -> None:
    with st.container(horizontal=True):
        st.download_button(
            "Table as CSV", to_csv(rows(table)), "evaluation.csv", "text/csv",
            icon=":material/download:", key="evaluate-csv",
        )  # fmt: skip
        st.download_button(
            "Table as LaTeX", latex_of(table), "evaluation.tex", "text/x-tex",
            icon=":material/download:", key="evaluate-latex",
        )  # fmt: skip


def _pictured(names: list[str], table: Table) -> None:
    """One measure of all runs, with its intervals."""
    name, key = names[0], f"evaluate-shown-{'-'.join(names)}"
    if len(names) > FEW:
        name = st.selectbox(
            "Shown", names, key=key, format_func=_label, label_visibility="collapsed"
        )
    elif len(names) > 1:
        name = st.segmented_control(
            "Shown", names, default=name, key=key, format_func=_label, label_visibility="collapsed"
        ) or name  # fmt: skip
    chart(intervals_figure(name, {run: e[name] for run, e in table.items() if name in e}),
          "evaluate-intervals")  # fmt: skip


def _label(name: str) -> str:
    return measures[name].label


def intervals_figure(name: str, found: dict[str, Estimate]) -> go.Figure:
    """A dot a run with its 95 % interval, in the order of the table."""
    figure = go.Figure()
    figure.add_scatter(
        x=[each.value for each in found.values()],
        y=list(found),
        mode="markers",
        marker={"color": label_color(0), "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [(e.high or e.value) - e.value for e in found.values()],
            "arrayminus": [e.value - (e.low or e.value) for e in found.values()],
            "thickness": 1.5,
            "width": 5,
        },
        text=[rounded(each) for each in found.values()],
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.update_xaxes(title=heading(name))
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_layout(height=90 + ROW_PX * len(found), margin=MARGIN, showlegend=False)
    return figure
