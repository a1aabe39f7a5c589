"""Does it check like the prior? Every dimension beside it, and how dimensions go together."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from plotly.colors import sample_colorscale

from latent_workbench.components.svg import drawing
from latent_workbench.encodings.encoded_images import BY_KEY, EncodedImages
from latent_workbench.live.resources import model_of, prior_of
from latent_workbench.shared.formatting import number
from latent_workbench.shared.theme import KL
from vae_core.sweeps.results import to_csv

if TYPE_CHECKING:
    from vae_core.metrics.aggregated import Dimensions, Histogram

MOST_HISTOGRAMS = 24
MOST_CORRELATED = 64
WIDTH, HEIGHT = 160, 76
MOST_NAMES = 24
HELP = {
    "mean of μ": "0 in the prior N(0, 1)",
    "variance of μ": "Above 0.01 a dimension is active (Burda et al., 2016)",
    "mean σ": "Mean deviation of a posterior: 1 where it says nothing, near 0 where it is sure",
    "KL, nats": "What the dimension costs, mean over the images",
}
RED_TO_BLUE = sample_colorscale("RdBu", np.linspace(0, 1, 201).tolist())


@dataclass(frozen=True)
class PriorCheck:
    """Moments of all dimensions, their order (the most KL first), histograms of the first ones,
    and correlations [K, K] of as many as can be drawn."""

    found: Dimensions
    order: np.ndarray
    histograms: list[Histogram]
    correlations: np.ndarray
    verdict: str


def draw(encoded: EncodedImages) -> None:
    """The sentence, the histograms, the table and the heat map."""
    check = _check_prior(encoded)
    st.markdown(check.verdict)
    _caption(encoded, check)
    drawing(
        "encodings-histograms",
        histograms_html(check.histograms, *names_and_notes(check)),
        to_csv(histogram_rows(check)),
    )
    left, right = st.columns([1.3, 1], gap="medium")
    config: Any = {
        name: st.column_config.NumberColumn(format="%.3f", help=text) for name, text in HELP.items()
    }
    with left:
        st.dataframe(table(check), hide_index=True, height=380, column_config=config)
    with right:
        st.caption("Correlation of the posterior means, in the order of the table")
        drawn = len(check.correlations)
        names = [f"z{k}" for k in check.order[:drawn]]
        drawing(
            "encodings-correlations",
            heat_html(check.correlations, names),
            to_csv(
                {"dimension": name} | dict(zip(names, row.tolist(), strict=True))
                for name, row in zip(names, check.correlations, strict=True)
            ),
        )


@st.cache_resource(max_entries=4, show_spinner="Comparing with the prior", hash_funcs=BY_KEY)
def _check_prior(encoded: EncodedImages) -> PriorCheck:
    from vae_core.metrics.aggregated import (
        aggregated_histogram,
        correlations,
        describe_dimensions,
        verdict,
    )

    mu, logvar = encoded.survey.mu, encoded.survey.logvar
    density = prior_of(encoded.run)
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
    return PriorCheck(found, order, histograms, correlations(mu[:, drawn]), verdict(found))


def _caption(encoded: EncodedImages, check: PriorCheck) -> None:
    count, total, prior = len(check.histograms), len(check.order), check.found.prior
    most = "variance" if check.found.kl is None else "KL"
    first = f"The {count} of {total} dimensions with the most {most}"
    if prior is None:
        line = f"{model_of(encoded.run).no_density} Line: N(0, 1), to compare sizes."
    else:
        line = f"Line: the prior{' N(0, 1)' if prior.standard else ', as it was learned'}."
    st.caption(
        f"{first if count < total else 'Dimensions'}, over {encoded.description}. Filled: where "
        f"the images are encoded, the width of each posterior included. {line}"
    )


def names_and_notes(check: PriorCheck) -> tuple[list[str], list[str]]:
    """What each histogram is called, and what it says when it is pointed at."""
    found, names, notes = check.found, [], []
    for k, histogram in zip(check.order, check.histograms, strict=False):
        names.append(f"z{k}" if found.active[k] else f"z{k}, not active")
        beyond = 100 * max(0.0, histogram.outside)
        notes.append(
            f"z{k}: mean {number(float(found.mean[k]))}, variance "
            f"{number(float(found.aggregated_variance[k]))}; {beyond:.1f} % lie beyond the edges"
        )
    return names, notes


def histogram_rows(check: PriorCheck) -> Iterator[dict[str, object]]:
    """The densities of the histograms, a row for each bin of each dimension."""
    for k, each in zip(check.order, check.histograms, strict=False):
        middles = (each.edges[:-1] + each.edges[1:]) / 2
        for z, posterior, prior in zip(middles, each.posterior, each.prior, strict=True):
            yield {"dimension": f"z{k}", "z": z, "aggregated posterior": posterior, "prior": prior}


def table(check: PriorCheck) -> dict[str, list[object]]:
    """The table: a row for each dimension, the most KL first."""
    found = check.found
    columns: dict[str, np.ndarray | None] = {
        "mean of μ": found.mean,
        "variance of μ": found.variance,
        "mean σ": found.sigma if found.sigma.any() else None,
        "KL, nats": found.kl,
        "active": found.active,
    }
    first: dict[str, list[object]] = {"dimension": [f"z{k}" for k in check.order]}
    return first | {
        name: values[check.order].tolist() for name, values in columns.items() if values is not None
    }


# --- charts as SVG: Plotly would hold the page up for a second ------------------------


def histograms_html(found: Sequence[Histogram], names: Sequence[str], notes: Sequence[str]) -> str:
    """A small histogram for each dimension, the prior as a line over it, on one scale for all; each
    says its note when it is pointed at."""
    # Up to three times the prior: what has collapsed to a point is cut.
    highest = max(float(each.posterior.max()) for each in found)
    prior = max(float(each.prior.max()) for each in found)
    top = 1.05 * min(3 * prior, max(highest, prior))
    figures = "".join(
        f"<figure><figcaption>{html.escape(name)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img">'
        f"<title>{html.escape(note)}</title>"
        f'<path d="{_path(each.posterior / top)}V{HEIGHT}H0Z" fill="{KL}" fill-opacity="0.45"/>'
        f'<path d="{_path(each.prior / top)}" fill="none" stroke="currentColor"'
        f' stroke-opacity="0.8" vector-effect="non-scaling-stroke"/></svg>'
        f'<div class="ends"><span>{_signed(each.edges[0])}</span><span>0</span>'
        f"<span>{_signed(each.edges[-1])}</span></div></figure>"
        for each, name, note in zip(found, names, notes, strict=True)
    )
    return f'<div class="histograms">{figures}</div>'


def heat_html(values: np.ndarray, names: Sequence[str]) -> str:
    """Values [K, K] in [−1, 1] as coloured cells; each names its row and column when pointed at."""
    count = len(values)
    every = -(-count // MOST_NAMES)
    cells = "".join(
        f'<rect x="{j}" y="{i}" width="1.01" height="1.01" fill="{_color(value)}">'
        f"<title>{names[i]}, {names[j]}: {_signed(value, 2)}</title></rect>"
        for i, row in enumerate(values)
        for j, value in enumerate(row)
    )
    # One name takes a cell of `every`: letters as high as half of it.
    size = 0.45 * every
    marks = "".join(
        f'<text x="-0.2" y="{i + 0.5 + size / 3}" text-anchor="end">{names[i]}</text>'
        f'<text x="{i + 0.5}" y="-0.25" text-anchor="middle">{names[i]}</text>'
        for i in range(0, count, every)
    )
    room = 4 * size
    steps = RED_TO_BLUE[::10]
    scale = "".join(
        f'<path d="M{i} 0h1.01v1h-1.01z" fill="{color}"/>' for i, color in enumerate(steps)
    )
    box = f"{-room} {-room / 2} {count + room} {count + room / 2}"
    return (
        f'<figure class="heat"><svg viewBox="{box}" font-size="{size}"'
        f' fill="currentColor" role="img">{cells}{marks}</svg>'
        f'<div class="ends">−1<svg class="bar" viewBox="0 0 {len(steps)} 1"'
        f' preserveAspectRatio="none">{scale}</svg>+1</div></figure>'
    )


def _path(shares: np.ndarray) -> str:
    """A path through shares [B] of the height, over the middles of B bins."""
    across = WIDTH * (np.arange(len(shares)) + 0.5) / len(shares)
    down = HEIGHT * (1 - np.minimum(shares, 1.0))
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(across, down, strict=True))


def _color(value: float) -> str:
    return RED_TO_BLUE[round(100 * (float(value) + 1))]


def _signed(value: float, digits: int = 0) -> str:
    return f"{value:.{digits}f}".replace("-", "−")
