"""Does it look like the prior? Every dimension beside it, and how dimensions go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from latent_workbench.components.svg import drawing
from latent_workbench.encodings.charts import heat_html, histograms_html
from latent_workbench.encodings.shown import Shown
from latent_workbench.live.loaded import model_of, prior_of
from latent_workbench.shared.numbers import number

if TYPE_CHECKING:
    from vae_core.metrics.aggregated import Dimensions, Histogram

MOST_HISTOGRAMS = 24
MOST_CORRELATED = 64


@dataclass(frozen=True)
class Look:
    """Moments of all dimensions, their order (the most KL first), histograms of the first ones,
    and correlations [K, K] of as many as can be drawn."""

    found: Dimensions
    order: np.ndarray
    histograms: list[Histogram]
    correlations: np.ndarray
    verdict: str


def draw(shown: Shown) -> None:
    """The sentence, the histograms, the table and the heat map."""
    look = _look(shown.key, shown)
    st.markdown(look.verdict)
    _told(shown, look)
    drawing("encodings-histograms", histograms_html(look.histograms, *names_and_notes(look)))
    table, beside = st.columns([1.3, 1], gap="medium")
    with table:
        st.dataframe(rows(look), hide_index=True, height=380, column_config=_columns())
    with beside:
        st.caption("Correlation of the posterior means, in the order of the table")
        drawn = len(look.correlations)
        heat = heat_html(look.correlations, [f"z{k}" for k in look.order[:drawn]])
        drawing("encodings-correlations", heat)


@st.cache_resource(max_entries=4, show_spinner="Comparing with the prior")
def _look(key: str, _shown: Shown) -> Look:
    from vae_core.metrics.aggregated import (
        aggregated_histogram,
        correlations,
        describe_dimensions,
        verdict,
    )

    mu, logvar = _shown.survey.mu, _shown.survey.logvar
    density = prior_of(_shown.run)
    found = describe_dimensions(mu, logvar, density)
    order = np.argsort(-(found.variance if found.kl is None else found.kl), kind="stable")
    reach = 4.0 if found.kl is not None else max(4.0, float(np.abs(mu).max()))
    parts = None if density is None else (density.mu.numpy(), density.logvar.numpy())
    histograms = [
        aggregated_histogram(
            mu[:, k],
            None if logvar is None else logvar[:, k],
            reach,
            prior=None if parts is None else (parts[0][:, k], parts[1][:, k]),
        )
        for k in order[:MOST_HISTOGRAMS]
    ]
    drawn = order[:MOST_CORRELATED]
    return Look(found, order, histograms, correlations(mu[:, drawn]), verdict(found))


def _told(shown: Shown, look: Look) -> None:
    count, total = len(look.histograms), len(look.order)
    first = f"The {count} of {total} dimensions with the most KL" if count < total else "Dimensions"
    if look.found.kl is None:
        first = first.replace("the most KL", "the most variance")
    st.caption(
        f"{first}, over {shown.told}. Filled: where the images are encoded, "
        f"the width of each posterior included. {_line(shown, look)}"
    )


def _line(shown: Shown, look: Look) -> str:
    """What the line over each histogram is."""
    if look.found.prior is None:
        return f"{model_of(shown.run).no_density} Line: N(0, 1), to compare sizes."
    return f"Line: the prior{' N(0, 1)' if look.found.prior.standard else ', as it was learned'}."


def names_and_notes(look: Look) -> tuple[list[str], list[str]]:
    """What each histogram is called, and what it says when it is pointed at."""
    found, names, notes = look.found, [], []
    for k, histogram in zip(look.order, look.histograms, strict=False):
        names.append(f"z{k}" if found.active[k] else f"z{k}, not active")
        beyond = 100 * max(0.0, histogram.outside)
        notes.append(
            f"z{k}: mean {number(float(found.mean[k]))}, variance "
            f"{number(float(found.aggregated_variance[k]))}; {beyond:.1f} % lie beyond the edges"
        )
    return names, notes


def rows(look: Look) -> dict[str, list[object]]:
    """The table: a row for each dimension, the most KL first."""
    found = look.found
    columns: dict[str, np.ndarray | None] = {
        "mean of μ": found.mean,
        "variance of μ": found.variance,
        "mean σ": found.sigma if found.sigma.any() else None,
        "KL, nats": found.kl,
        "active": found.active,
    }
    shown: dict[str, list[object]] = {"dimension": [f"z{k}" for k in look.order]}
    return shown | {
        name: values[look.order].tolist() for name, values in columns.items() if values is not None
    }


def _columns() -> Any:
    help_texts = {
        "mean of μ": "0 in the prior N(0, 1)",
        "variance of μ": "Above 0.01 a dimension is active (Burda et al., 2016)",
        "mean σ": "Mean deviation of a posterior: 1 where it says nothing, near 0 where it is sure",
        "KL, nats": "What the dimension costs, mean over the images",
    }
    return {
        name: st.column_config.NumberColumn(format="%.3f", help=text)
        for name, text in help_texts.items()
    }
