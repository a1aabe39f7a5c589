"""Any runs beside each other: what they differ in, curves, samples, and all of it as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from latent_workbench.live.models import ready_torch, weights_version
from latent_workbench.shared import access
from latent_workbench.shared.errors import errors_shown, redact
from latent_workbench.shared.inputs import draw_again, page_of
from latent_workbench.shared.pictures import wide_picture
from latent_workbench.shared.tasks import job_shown, start_job
from latent_workbench.tune.curves import curves_chart
from vae_core.child import in_process
from vae_core.data import Progress
from vae_core.errors import UserError
from vae_core.imaging.png import tile, to_png
from vae_core.runs import Run
from vae_core.scoring import remarks, scores
from vae_core.sweeps.results import curves, table, to_csv

SAMPLES = 10
"""Of each run: 56 px and more a side at 1280 px."""

PAGE = 8
"""Runs in sight: a moment each to load and decode, when they are first shown."""

SCORING = "scoring"


def comparison(runs: Sequence[Run]) -> None:
    """Draw the table, the curves, the samples and the buttons that take the numbers home."""
    if not runs:
        st.info("Choose runs to compare.")
        return
    with errors_shown(st.warning):
        rows = table(runs)
        floats = {key for row in rows for key, value in row.items() if isinstance(value, float)}
        short = {key: st.column_config.NumberColumn(format="%.4g") for key in floats}
        st.dataframe(rows, hide_index=True, key="comparison-table", column_config=short)
        for run in runs:
            if said := remarks(scores(run)):
                st.caption(f"{run.id}: {' '.join(said)}")
        _score_button(runs)
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
        start_job(SCORING, lambda progress: _score_all(unscored, progress))


def _score_all(runs: Sequence[Run], progress: Progress) -> None:
    """Score one run after the other, each in a process of its own.

    Raises:
        UserError: when all have had their turn, of those that cannot be scored.
    """
    problems = []
    for done, run in enumerate(runs):

        def of_run(message: str, share: float | None, done: int = done, run: Run = run) -> None:
            progress(f"{run.id}: {message}", (done + (share or 0.0)) / len(runs))

        try:
            in_process(["score", run.id], run, of_run)
        except UserError as error:
            problems.append(redact(error))
    if problems:
        raise UserError(" ".join(problems))


def _has_factors(run: Run) -> bool:
    try:
        return bool(run.data_card().factor_names)
    except UserError:  # it has not seen its data yet, or is damaged
        return False


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
