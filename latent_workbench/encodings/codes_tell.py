"""What do the codes tell? Of the images, of each other, of labels and of known factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.shared.formatting import escape_markdown, image_count, number
from latent_workbench.shared.glossary import explained
from latent_workbench.shared.tasks import job_button, job_shown
from latent_workbench.shared.theme import KL, MARGIN, RECONSTRUCTION, chart, total_color
from vae_core.representation import representation
from vae_core.runs import Run
from vae_core.units import plus_minus

HEIGHT = 260
MOST_BARS = 32
"""Dimensions that are drawn, those that tell the most."""

PARTS = {
    "rate": ("Rate", "KL(q(z|x) ‖ p(z)), what a code costs: the sum of the two below"),
    "mutual_information": ("Mutual information I(x; z)", "What a code tells of which image it is"),
    "marginal_kl": ("KL(q(z) ‖ p(z))", "How far all codes together are from the prior"),
    "total_correlation": ("Total correlation", "What dimensions tell of each other"),
    "dimension_wise_kl": ("Dimension-wise KL", "How far each dimension is from its prior, summed"),
}
"""What the parts of the rate are called, and what they are."""

READERS = {"linear": "a line between classes", "neighbours": "the nearest images"}

SCORES = {
    "mig": ("MIG", "mig_means"),
    "sap": ("SAP", "sap"),
    "dci_disentanglement": ("DCI disentanglement", "dci_disentanglement"),
    "dci_completeness": ("DCI completeness", "dci_completeness"),
    "dci_informativeness": ("DCI informativeness", "dci_informativeness"),
    "factor_vae": ("FactorVAE", "factor_vae"),
    "beta_vae": ("β-VAE", "beta_vae"),
    "mig_samples": ("MIG of draws, by densities", "mig_samples"),
    "modularity": ("Modularity", "modularity"),
}
"""The scores by their quick name: what they are called, and the published protocol's name."""


def draw(encoded: EncodedImages) -> None:
    """The figures of the run's validation images, or the button that has them measured."""
    run = encoded.run
    found = representation(run)
    key = f"codes-tell-{run.id}"
    if job_shown(key):
        return
    if not found:
        st.markdown(
            "Takes the KL apart into what codes tell of the images, what dimensions tell of each "
            "other and how far each is from the prior; reads labels from codes, pixels and "
            "principal components; and scores dimensions against known factors. Of images that "
            "were held out; up to a minute."
        )
        job_button(key, "Measure", ":material/query_stats:", run, "represent", run.id)
        return
    st.caption(f"Of {image_count(found['images'], found['split'])}; ± is a standard error.")
    _rate(found)
    _labels(found)
    _factors(run, found, key)
    for sentence in found["remarks"]:
        st.caption(escape_markdown(sentence))


# --- the parts of the rate ------------------------------------------------------------------------


def _rate(found: Mapping[str, Any]) -> None:
    aggregate = found["aggregate"]
    if aggregate is None:
        return
    left, right = st.columns([1, 1.1], gap="medium")
    with left:
        parts = parts_table(aggregate)
        heads = explained(parts)
        st.dataframe(parts, hide_index=True, key="codes-tell-parts", column_config=heads)
        gaussian = found["gaussian_total_correlation"]
        told = ", ".join(f"of {name} {number(value)}" for name, value in gaussian.items())
        st.caption(f"Total correlation of a Gaussian with the same covariance: {told} nats.")
    if aggregate["information_per_dim"] is not None:
        with right:
            figure = dimensions_figure(aggregate["information_per_dim"], aggregate["kl_per_dim"])
            chart(figure, "codes-tell-dimensions")


def parts_table(aggregate: Mapping[str, Any]) -> dict[str, list[str]]:
    """A row for each part that is known, as texts."""
    known = {name: aggregate[name] for name in PARTS if aggregate[name] is not None}
    return {
        "part of the rate": [PARTS[name][0] for name in known],
        "nats": [plus_minus(p["value"], p["se"]) for p in known.values()],
        "of all images that could be": [_between(part) for part in known.values()],
        "": [PARTS[name][1] for name in known],
    }


def _between(part: Mapping[str, Any]) -> str:
    if part["low"] is None or part["high"] is None:
        return ""
    low, high = number(part["low"]), number(part["high"])
    return low if low == high else f"{low} to {high}"


def dimensions_figure(information: Sequence[float], kl: Sequence[float]) -> go.Figure:
    """What each dimension tells and how far it is from its prior, stacked: their sum is the mean
    KL that it costs. Those that cost the most first."""
    both = np.array([information, kl], float)
    order = np.argsort(-both.sum(axis=0), kind="stable")[:MOST_BARS]
    names = [f"z{k}" for k in order]
    figure = go.Figure()
    for values, name, hue in (
        (both[0], "I(x; z_d)", RECONSTRUCTION),
        (both[1], "KL(q(z_d) ‖ p(z_d))", KL),
    ):
        figure.add_bar(
            x=names,
            y=values[order],
            name=name,
            marker={"color": hue},
            hovertemplate=f"%{{x}}: {name} %{{y:.3g}} nats<extra></extra>",
        )
    figure.update_xaxes(title="dimension", type="category")
    figure.update_yaxes(title="nats")
    figure.update_layout(
        barmode="relative", height=HEIGHT, margin=MARGIN | {"t": 28},
        legend={"orientation": "h", "y": 1.16, "x": 1, "xanchor": "right"},
    )  # fmt: skip
    return figure


# --- labels ---------------------------------------------------------------------------------------


def _labels(found: Mapping[str, Any]) -> None:
    probes = found["probes"]
    if probes is None:
        return
    left, right = st.columns([1.1, 1], gap="medium")
    with left:
        chart(accuracy_figure(probes), "codes-tell-labels")
    with right:
        st.markdown("**Labels read from codes**")
        st.caption(
            f"Learned from {number(probes['learned'])} training images of {probes['classes']} "
            f"labels, asked of {number(probes['asked'])} others; bars are 95 % intervals. Dotted: "
            "always the commonest label. Penalty and number of neighbours are chosen on a fifth of "
            "the training images."
        )
        rows = [
            {
                "read from": each["features"],
                "dimensions": each["dims"],
                "line": f"{100 * each['linear']['value']:.1f} %",
                "C": each["linear"]["setting"],
                "neighbours": f"{100 * each['neighbours']['value']:.1f} %",
                "k": int(each["neighbours"]["setting"]),
            }
            for each in probes["of"]
        ]
        heads = explained(rows[0])
        st.dataframe(rows, hide_index=True, key="codes-tell-probes", column_config=heads)


def accuracy_figure(probes: Mapping[str, Any]) -> go.Figure:
    """Accuracy with its interval, by what was read and how."""
    figure = go.Figure()
    names = [each["features"] for each in probes["of"]]
    for (kind, label), hue in zip(READERS.items(), (RECONSTRUCTION, KL), strict=True):
        told = [each[kind] for each in probes["of"]]
        figure.add_bar(
            x=[100 * each["value"] for each in told],
            y=names,
            name=label,
            orientation="h",
            marker={"color": hue},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [100 * (each["high"] - each["value"]) for each in told],
                "arrayminus": [100 * (each["value"] - each["low"]) for each in told],
                "thickness": 1.5,
                "width": 4,
            },
            hovertemplate=f"%{{y}}, {label}: %{{x:.1f}} %<extra></extra>",
        )
    line = {"color": total_color(), "width": 1, "dash": "dot"}
    figure.add_vline(100 * probes["chance"], line=line)
    figure.update_xaxes(title="labels told right, %", range=[0, 103])
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(
        height=HEIGHT, margin=MARGIN | {"t": 28, "l": 140}, barmode="group", bargap=0.3,
        legend={"orientation": "h", "y": 1.16, "x": 1, "xanchor": "right"},
    )  # fmt: skip
    return figure


# --- factors --------------------------------------------------------------------------------------


def _factors(run: Run, found: Mapping[str, Any], key: str) -> None:
    quick, published = found.get("quick"), found["locatello"]
    if quick or published:
        st.markdown("**Dimensions against known factors**")
        st.dataframe(scores_table(quick, published), hide_index=True, key="codes-tell-scores")
    if published is None and run.data_card().factor_names:
        job_button(
            key, "Score by the protocol of Locatello et al. (2019)", ":material/score:", run,
            "represent", run.id, "--protocol", "locatello",
            help="15 000 images, gradient-boosted trees: five to fifteen minutes.",
        )  # fmt: skip


def scores_table(
    quick: Mapping[str, Any] | None, published: Mapping[str, Any] | None
) -> list[dict[str, str]]:
    """A row for each score: the quick ones with their standard errors, beside the published
    protocol's."""
    rows = []
    for name, (label, other) in SCORES.items():
        row = {"score": label}
        for kind in ("means", "samples"):
            if quick and name in quick.get(kind, {}):
                error = quick["spread"][kind][name]
                row[f"quick, {kind}"] = f"{quick[kind][name]:.3f} ± {error:.3f}"
        if published and other in published["scores"]:
            row["Locatello et al."] = f"{published['scores'][other]:.3f}"
        if len(row) > 1:
            rows.append(row)
    every = dict.fromkeys(column for row in rows for column in row)
    return [{column: row.get(column, "") for column in every} for row in rows]
