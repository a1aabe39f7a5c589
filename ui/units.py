"""β in every convention, with the numbers of one run filled in."""

from __future__ import annotations

import streamlit as st

from ui.numbers import number
from vae_core.losses.conventions import CONVENTIONS, Scale
from vae_core.models.likelihoods import resolve_likelihood
from vae_core.runs import Run

BERNOULLI = "bernoulli"

EXPLANATION = """
Libraries and tutorials weigh the same two things, but some take means and some take sums, so that
the same number means different prices. Enter a weight as you found it; the table says what it is
here and everywhere else. σ is the pixel noise of the Gaussian that a squared error stands for, and
s is what the tutorial divides its pixels by: 1 if it does not, 0.5 if it brings them to [−1, 1].
"""


def converter(run: Run) -> None:
    """A weight in one convention, and what it is in all of them."""
    config, (c, h, w) = run.config(), run.data_card().image_shape
    st.markdown(EXPLANATION)
    first, second, third, fourth = st.columns([2, 1, 1, 1])
    name = first.selectbox(
        "Convention",
        list(CONVENTIONS),
        key="units-convention",
        format_func=lambda name: CONVENTIONS[name].label,
        help="Whose weight you enter.",
    )
    beta = config.objective.get("beta", 1.0)
    weight = second.number_input(
        "Weight", 0.0, None, float(beta), format="%.6g", key=f"units-weight-{run.id}"
    )
    sigma = third.number_input(
        "Pixel noise σ", 1e-4, None, config.model.sigma, format="%g", key=f"units-sigma-{run.id}"
    )
    std = fourth.number_input(
        "Pixel deviation s",
        1e-4,
        None,
        config.model.pixel_std,
        format="%g",
        key=f"units-s-{run.id}",
    )
    scale = Scale(c * h * w, config.model.latent_dim, sigma, std)
    nats = CONVENTIONS[name].beta(weight, scale)
    st.markdown("| convention | loss | β here | weight |\n|---|---|---|---|\n" + _rows(nats, scale))
    st.caption(
        f"{run.id} has P = {c}·{h}·{w} = {number(scale.values)} values an image and "
        f"L = {scale.latent_dim} latent dimensions."
    )
    if resolve_likelihood(config.model.likelihood, c) == BERNOULLI:
        st.caption(
            "Its pixels are Bernoulli, with no σ. The table tells what its β would be with a "
            "Gaussian of the σ that you enter; the pictures answer differently."
        )


def _rows(beta: float, scale: Scale) -> str:
    """The lines of the table: β in nats as every convention's weight."""
    lines = []
    for each in CONVENTIONS.values():
        loss = each.loss.replace("|", "\\|")  # a bar would end the cell
        weight = number(each.weight(beta, scale))
        lines.append(f"| {each.label} | `{loss}` | {each.formula} | **{weight}** |")
    return "\n".join(lines)
