"""Any runs beside each other: what they differ in, curves, samples, and all of it as CSV."""

from __future__ import annotations

import functools
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from latent_workbench.live.columns import decimate
from latent_workbench.live.models import ready_torch, weights_version
from latent_workbench.shared import access
from latent_workbench.shared.errors import errors_shown, redact
from latent_workbench.shared.glossary import explained
from latent_workbench.shared.inputs import draw_again, page_of
from latent_workbench.shared.pictures import wide_picture
from latent_workbench.shared.tasks import job_shown, start_job
from latent_workbench.shared.theme import MARGIN, chart, label_color
from vae_core.child import in_process
from vae_core.data import Progress
from vae_core.errors import UserError
from vae_core.families import families
from vae_core.families.family import NATS
from vae_core.imaging.png import tile, to_png
from vae_core.representation import representation
from vae_core.runs import Run, layout
from vae_core.scoring import remarks, scores
from vae_core.sweeps.results import curves, table, to_csv

SAMPLES = 10
"""Of each run: 56 px and more a side at 1280 px."""

PAGE = 8
"""Runs in sight: a moment each to load and decode, when they are first shown."""

SCORING, REPRESENTING = "scoring", "representing"

AXES = {"step": "step", "epoch": "epoch", "time": "training time (s)"}
POINTS = 600
"""Of one curve: a browser draws fifty of them in a moment."""

SPLITS = {"train": "solid", "validation": "dash"}


def comparison(runs: Sequence[Run]) -> None:
    """Draw the table, the curves, the samples and the buttons that take the numbers home."""
    if not runs:
        st.info("Choose runs to compare.")
        return
    with errors_shown(st.warning):
        rows = table(runs)
        floats = {key for row in rows for key, value in row.items() if isinstance(value, float)}
        short = {key: st.column_config.NumberColumn(format="%.4g") for key in floats}
        heads = explained([key for row in rows for key in row], short)
        st.dataframe(rows, hide_index=True, key="comparison-table", column_config=heads)
        for run in runs:
            if said := remarks(scores(run)):
                st.caption(f"{run.id}: {' '.join(said)}")
        _score_button(runs)
        _represent_button(runs)
        curves_chart(runs)
        _samples_of_same_z(runs)
        with st.container(horizontal=True):
            st.download_button(
                "Table as CSV", to_csv(rows), "runs.csv", "text/csv", icon=":material/download:",
                key="table-csv",
            )  # fmt: skip
            st.download_button(
                "Curves as CSV", lambda: to_csv(row for run in runs for row in curves(run)),
                "curves.csv", "text/csv", icon=":material/download:", key="curves-csv",
            )  # fmt: skip


# --- scores ---------------------------------------------------------------------------------------


def _score_button(runs: Sequence[Run]) -> None:
    """Offered where a data set knows what its pictures were drawn from."""
    if job_shown(SCORING):
        return
    unscored = [run for run in runs if _has_factors(run) and not scores(run)]
    if unscored and st.button(
        f"Score {len(unscored)} runs against the known factors",
        key="score-runs",
        icon=":material/score:",
        **access.widget_options(
            "MIG, SAP, DCI, FactorVAE and β-VAE scores of their means and samples, on images that "
            "were held out; about ten seconds each."
        ),
    ):
        start_job(SCORING, lambda progress: _of_all(unscored, "score", progress))


def _represent_button(runs: Sequence[Run]) -> None:
    if job_shown(REPRESENTING):
        return
    unmeasured = [run for run in runs if run.has(layout.WEIGHTS) and not representation(run)]
    if unmeasured and st.button(
        f"Measure what the codes of {len(unmeasured)} runs tell",
        key="represent-runs",
        icon=":material/query_stats:",
        **access.widget_options(
            "Mutual information, total correlation and dimension-wise KL, and how well labels are "
            "read from codes, on images that were held out; up to a minute each."
        ),
    ):
        start_job(REPRESENTING, lambda progress: _of_all(unmeasured, "represent", progress))


def _of_all(runs: Sequence[Run], command: str, progress: Progress) -> None:
    """Measure one run after the other, each in a process of its own. Raises UserError when all have
    had their turn, of those that cannot be measured."""
    problems = []
    for done, run in enumerate(runs):

        def of_run(message: str, share: float | None, done: int = done, run: Run = run) -> None:
            progress(f"{run.id}: {message}", (done + (share or 0.0)) / len(runs))

        try:
            in_process([command, run.id], run, of_run)
        except UserError as error:
            problems.append(redact(error))
    if problems:
        raise UserError(" ".join(problems))


def _has_factors(run: Run) -> bool:
    try:
        return bool(run.data_card().factor_names)
    except UserError:  # it has not seen its data yet, or is damaged
        return False


# --- curves ---------------------------------------------------------------------------------------


RunCurves = Mapping[tuple[str, str], Mapping[str, np.ndarray]]
"""{(split, term): its values [n] as `value`, and where they are by axis} of one run."""


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
            shown = decimate(series[axis], series["value"], points=POINTS)
            figure.add_scatter(
                x=series[axis][shown],
                y=series["value"][shown],
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
    names = ("value", *AXES)
    return {
        name: dict(zip(names, np.array(found).reshape(-1, len(names)).T, strict=True))
        for name, found in rows.items()
    }


# --- samples --------------------------------------------------------------------------------------


def _samples_of_same_z(runs: Sequence[Run]) -> None:
    """Draw `SAMPLES` of each run's own prior, from the same random numbers in all."""
    words, pages, again = st.columns([2.2, 1, 1.1], vertical_alignment="center")
    words.markdown(
        "**Samples of the same z**",
        help="Each run draws from its own prior with the same random numbers: runs with the same "
        "prior and latent size decode the very same z, column by column.",
    )
    seed = draw_again(again, "same-z")
    with pages:
        shown = page_of(runs, PAGE, "same-z-page")
    with st.container(key="same-z", gap="xsmall"):
        for run in shown:
            name, strip = st.columns([1, 4.2], vertical_alignment="center")
            name.markdown(f":small[{run.id}]")
            version = weights_version(run)
            with strip, errors_shown(st.caption):
                if version is None:
                    st.caption("No weights yet.")
                else:
                    png = _samples(run.path, version, seed)
                    wide_picture(png, "same-z-picture", f"Samples of {run.id}")


@st.cache_data(max_entries=400, show_spinner=False)
def _samples(path: Path, version: int, seed: int) -> bytes:
    ready_torch()
    from vae_core.latent.grids import prior_pictures
    from vae_core.loading import load_run

    return to_png(tile(prior_pictures(load_run(Run(path)).sound().model, SAMPLES, seed), SAMPLES))
