"""β in every convention, with the numbers of one run filled in."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from latent_workbench.live.resources import model_of
from latent_workbench.shared.formatting import number
from latent_workbench.shared.inputs import bounded
from vae_core.config import RunConfig
from vae_core.families import meta_model
from vae_core.in_force import beta_in_force
from vae_core.losses.conventions import BERNOULLI, CONVENTIONS, GAUSSIAN, Scale
from vae_core.models.latent_model import LatentModel
from vae_core.runs import WEIGHTS, Run

MOST = 1e9
NO_SQUARES = (
    "Its pixels are no Gaussians of one σ: the lines of cross-entropies are its own where they are "
    "Bernoulli. Those of squared errors tell what its β would be with a Gaussian of the σ that you "
    "enter; the pictures answer differently."
)
NOT_LEARNED = (
    "It learns σ, which is not known before it is trained; the table takes the σ that you enter."
)
LEARNED = (
    "σ = {} is what the saved weights have learned; it falls while pictures get sharper, and the "
    "same β then means another weight elsewhere."
)
OF_SETTING = "σ is the one that is set for this run."

EXPLANATION = """
Libraries and tutorials weigh the same two things, but some take means and some take sums, so that
the same number means different prices. Enter a weight as you found it; the table says what it is
here and everywhere else. σ is the pixel noise of the Gaussian that a squared error stands for, and
s is what the tutorial divides its pixels by: 1 if it does not, 0.5 if it brings them to [−1, 1].
A binary cross-entropy has neither.
"""


def converter(run: Run) -> None:
    """A weight in one convention, and what it is in all of them."""
    config, (c, h, w) = run.config(), run.data_card().image_shape
    st.markdown(EXPLANATION)
    first, second, third, fourth = st.columns([2, 1, 1, 1])
    model, beta, known_sigma, about_sigma = _known(run, config)
    gaussian = model.likelihood.error == GAUSSIAN  # to which cross-entropies do not apply
    offered = [e for e in CONVENTIONS.values() if not (gaussian and e.pixels == BERNOULLI)]
    name = first.selectbox(
        "Convention",
        [each.name for each in offered],
        key="units-convention",
        format_func=lambda name: CONVENTIONS[name].label,
        help="Whose weight you enter.",
    )
    step = run.summary().get("step", 0)

    def field(
        place: DeltaGenerator, label: str, name: str, low: float, start: float, format: str = "%g"
    ) -> tuple[float, str]:
        key = f"units-{name}-{run.id}-{step}"
        return bounded(place, label, key, low, MOST, start, format=format)

    weight, no_weight = field(second, "Weight", "weight", 0.0, beta, "%.6g")
    sigma, no_sigma = field(third, "Pixel noise σ", "sigma", 1e-4, known_sigma)
    std, no_std = field(fourth, "Pixel deviation s", "s", 1e-4, config.model.pixel_std)
    if no_weight or no_sigma or no_std:
        return
    scale = Scale(c * h * w, model.latent_size, sigma, std)
    nats = CONVENTIONS[name].beta(weight, scale)
    table = "| convention | loss | β here | weight |\n|---|---|---|---|\n"
    for each in offered:
        loss = each.loss.replace("|", "\\|")  # a bar would end the cell
        shown = number(each.weight(nats, scale))
        table += f"| {each.label} | `{loss}` | {each.formula} | **{shown}** |\n"
    st.markdown(table)
    st.caption(
        f"{run.id} has P = {c}·{h}·{w} = {number(scale.values)} values an image and "
        f"L = {scale.latent_dim} latent dimensions."
    )
    st.caption(about_sigma)


def _known(run: Run, config: RunConfig) -> tuple[LatentModel[Any], float, float, str]:
    """The model, β and σ of the weights that lie here, and which σ that is in a sentence; what is
    planned before there are any weights."""
    beta, card = float(config.objective.get("beta", 1.0)), run.data_card()
    trained = run.has(WEIGHTS)
    if trained and (now := beta_in_force(run)) is not None:
        beta = now
    model = model_of(run) if trained else meta_model(config, card)
    likelihood, sigma, about_sigma = model.likelihood, config.model.sigma, OF_SETTING
    if likelihood.error != GAUSSIAN:
        about_sigma = NO_SQUARES
    elif likelihood.learns_noise and not trained:
        about_sigma = NOT_LEARNED
    elif likelihood.learns_noise:
        sigma = float(f"{likelihood.noise:.4g}")
        about_sigma = LEARNED.format(number(sigma))
    return model, beta, sigma, about_sigma
