"""What β does: rate against distortion over your runs, and β in the conventions of tutorials."""

from __future__ import annotations

import streamlit as st

from ui.catalog import RunFacts, catalog
from ui.empty import no_runs
from ui.figures import rate_distortion_figure
from ui.state import current_run
from ui.theme import is_dark
from ui.units import converter
from vae_core.errors import UserError
from vae_core.runs import Run

EXPLANATION = """
A VAE minimises **distortion + β · rate**, both in nats per image. The distortion is −log p(x|z):
how badly the picture is drawn. The rate is the KL: how much of the image passes through the latent
space. At β = 1 the sum is −ELBO. A larger β buys order and costs sharpness; a smaller one draws
better and leaves holes from which the prior draws nonsense.
"""


def comparable(runs: list[RunFacts], current: RunFacts) -> list[RunFacts]:
    """Measured runs whose nats mean the same: equal data, image size and likelihood."""
    same = (current.dataset, current.image_shape, current.likelihood)
    return [
        run
        for run in runs
        if (run.dataset, run.image_shape, run.likelihood) == same
        and None not in (run.kl, run.recon)
    ]


def curve(runs: list[RunFacts], current: RunFacts) -> None:
    """Rate and distortion of every comparable run, as a chart and as a table."""
    if not runs:
        st.info("No run on this data has been measured yet. A run is measured when it finishes.")
        return
    st.plotly_chart(rate_distortion_figure(runs, current.id, is_dark()), key="rate-distortion")
    st.caption(
        f"Runs on {current.dataset} with the same image size and likelihood. "
        "Points on one dotted line have the same ELBO: they differ only in how it is spent."
    )
    rows = [
        {
            "run": run.id,
            "β": run.beta,
            "distortion (recon)": run.recon,
            "rate (KL)": run.kl,
            "ELBO": run.elbo,
            "active dims": run.active_units,
            "dims": run.latent_dim,
            "measured on": run.split,
        }
        for run in sorted(runs, key=lambda run: run.beta or 0.0)
    ]
    columns = {
        name: st.column_config.NumberColumn(format="%.2f", help="nats per image")
        for name in ("distortion (recon)", "rate (KL)", "ELBO")
    }
    st.dataframe(rows, hide_index=True, column_config=columns)


def page(run: Run) -> None:
    """Draw the explanation and the two tabs."""
    st.title("Tune β")
    st.markdown(EXPLANATION)
    facts = catalog()
    current = next(each for each in facts if each.id == run.id)
    runs, units = st.tabs(["Rate and distortion", "Units"])
    with runs:
        curve(comparable(facts, current), current)
    with units:
        converter(run)


current_one = current_run()
if current_one is None:
    no_runs("compare what β does to it")
else:
    try:
        page(current_one)
    except UserError as error:
        st.warning(str(error))
