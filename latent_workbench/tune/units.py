"""β in every convention, with the numbers of one run filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from latent_workbench.live.resources import model_of
from latent_workbench.shared.formatting import number
from latent_workbench.shared.inputs import bounded
from vae_core.config import RunConfig
from vae_core.families import meta_model
from vae_core.in_force import beta_in_force
from vae_core.losses.conventions import BERNOULLI, CONVENTIONS, Convention, Scale
from vae_core.runs import WEIGHTS, Run

MOST = 1e9
OF_BERNOULLI = (
    "Its pixels are Bernoulli, with no σ: the lines of cross-entropies are its own. Those of "
    "squared errors tell what its β would be with a Gaussian of the σ that you enter; the pictures "
    "answer differently."
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
    known = _known(run, config)
    offered = [each for each in CONVENTIONS.values() if known.fits(each)]
    name = first.selectbox(
        "Convention",
        [each.name for each in offered],
        key="units-convention",
        format_func=lambda name: CONVENTIONS[name].label,
        help="Whose weight you enter.",
    )
    step = run.summary().get("step", 0)
    weight, no_weight = bounded(
        second, "Weight", f"units-weight-{run.id}-{step}", 0.0, MOST, known.beta, format="%.6g"
    )
    sigma, no_sigma = bounded(
        third, "Pixel noise σ", f"units-sigma-{run.id}-{step}", 1e-4, MOST, known.sigma, format="%g"
    )
    std, no_std = bounded(
        fourth,
        "Pixel deviation s",
        f"units-s-{run.id}-{step}",
        1e-4,
        MOST,
        config.model.pixel_std,
        format="%g",
    )
    if no_weight or no_sigma or no_std:
        return
    scale = Scale(c * h * w, known.latent_size, sigma, std)
    nats = CONVENTIONS[name].beta(weight, scale)
    st.markdown(
        "| convention | loss | β here | weight |\n|---|---|---|---|\n" + _rows(offered, nats, scale)
    )
    st.caption(
        f"{run.id} has P = {c}·{h}·{w} = {number(scale.values)} values an image and "
        f"L = {scale.latent_dim} latent dimensions."
    )
    st.caption(known.about_sigma)


@dataclass(frozen=True)
class _Known:
    """What the table begins with, and a sentence that says which σ it is."""

    beta: float
    sigma: float
    latent_size: int
    is_density: bool
    about_sigma: str

    def fits(self, convention: Convention) -> bool:
        """False for the cross-entropies, where pixels are Gaussian."""
        return not (self.is_density and convention.pixels == BERNOULLI)


def _known(run: Run, config: RunConfig) -> _Known:
    """β and σ of the weights that lie here; what is planned before there are any."""
    beta, card = float(config.objective.get("beta", 1.0)), run.data_card()
    trained = run.has(WEIGHTS)
    if trained and (now := beta_in_force(run)) is not None:
        beta = now
    model = model_of(run) if trained else meta_model(config, card)
    likelihood, size = model.likelihood, model.latent_size
    if not likelihood.is_density:
        return _Known(beta, config.model.sigma, size, False, OF_BERNOULLI)
    if not likelihood.learns_noise:
        return _Known(beta, config.model.sigma, size, True, OF_SETTING)
    if not trained:
        return _Known(beta, config.model.sigma, size, True, NOT_LEARNED)
    sigma = float(f"{likelihood.noise:.4g}")
    return _Known(beta, sigma, size, True, LEARNED.format(number(sigma)))


def _rows(offered: Sequence[Convention], beta: float, scale: Scale) -> str:
    """The lines of the table: β in nats as every convention's weight."""
    lines = []
    for each in offered:
        loss = each.loss.replace("|", "\\|")  # a bar would end the cell
        weight = number(each.weight(beta, scale))
        lines.append(f"| {each.label} | `{loss}` | {each.formula} | **{weight}** |")
    return "\n".join(lines)
