"""Any runs beside each other: what they differ in, curves, samples, and all of it as CSV."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.without_paths import without_paths
from latent_workbench.tune.curves import curves_chart
from latent_workbench.tune.same_z import same_z
from vae_core.errors import UserError
from vae_core.runs import Run
from vae_core.scoring import remarks, score, scores
from vae_core.sweeps.results import curves, table, to_csv


def comparison(runs: Sequence[Run]) -> None:
    """Draw the table, the curves, the samples and the buttons that take the numbers home."""
    if not runs:
        st.info("Choose runs to compare.")
        return
    try:
        rows = table(runs)
    except UserError as error:
        st.warning(without_paths(error))
        return
    floats = {key for row in rows for key, value in row.items() if isinstance(value, float)}
    short = {key: st.column_config.NumberColumn(format="%.4g") for key in floats}
    st.dataframe(rows, hide_index=True, key="comparison-table", column_config=short)
    for run in runs:
        if said := remarks(scores(run)):
            st.caption(f"{run.id}: {' '.join(said)}")
    _score_button(runs)
    curves_chart(runs)
    same_z(runs)
    with st.container(horizontal=True):
        st.download_button(
            "Table as CSV", to_csv(rows), "runs.csv", "text/csv", icon=":material/download:",
            key="table-csv",
        )  # fmt: skip
        st.download_button(
            "Curves as CSV",
            lambda: to_csv(row for run in runs for row in curves(run)),
            "curves.csv",
            "text/csv",
            icon=":material/download:",
            key="curves-csv",
        )


def _has_factors(run: Run) -> bool:
    try:
        return bool(run.data_card().factor_names)
    except UserError:  # it has not seen its data yet, or is damaged
        return False


def _score_button(runs: Sequence[Run]) -> None:
    """Offered where a data set knows what its pictures were drawn from."""
    unscored = [run for run in runs if _has_factors(run)]
    unscored = [run for run in unscored if not scores(run)]
    if unscored and st.button(
        f"Score {len(unscored)} runs against the known factors",
        key="score-runs",
        icon=":material/score:",
        **access.control(
            "MIG, SAP, DCI, FactorVAE and β-VAE scores of their means and samples, on images that "
            "were held out; about ten seconds each."
        ),
    ):
        bar = st.progress(0.0, "Scoring")
        for done, run in enumerate(unscored):
            bar.progress(done / len(unscored), f"Scoring {run.id}")
            try:
                access.acting(score)(run)
            except UserError as error:
                st.warning(without_paths(error))
        st.rerun()
