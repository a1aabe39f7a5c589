"""β in the conventions of tutorials, with the numbers of one run filled in."""

from __future__ import annotations

import streamlit as st

from ui.numbers import number
from vae_core.losses.conventions import (
    beta_from_mse_mean_kl_mean,
    beta_from_mse_mean_kl_sum,
    mse_mean_kl_mean_weight,
    mse_mean_kl_sum_weight,
)
from vae_core.runs import Run


def converter(run: Run) -> None:
    """β of this app from the weight that a tutorial puts on the KL, and back."""
    config, (c, h, w) = run.config(), run.data_card().image_shape
    values, dims = c * h * w, config.model.latent_dim
    st.write(
        f"Tutorials weigh a mean squared error against a KL. This run has P = {c}·{h}·{w} = "
        f"{number(values)} values an image and L = {dims} latent dimensions. Enter the weight w of "
        "the tutorial, the σ of the Gaussian that you compare with, and the deviation s by which "
        "the tutorial divides its pixels (1 if it does not)."
    )
    first, second, third = st.columns(3)
    weight = first.number_input("Weight w on the KL", 0.0, None, 0.1, format="%g", key="units-w")
    sigma = second.number_input(
        "Pixel noise σ", 1e-4, None, config.model.sigma, format="%g", key=f"units-sigma-{run.id}"
    )
    std = third.number_input(
        "Pixel deviation s",
        1e-4,
        None,
        config.model.pixel_std,
        format="%g",
        key=f"units-s-{run.id}",
    )
    mean = beta_from_mse_mean_kl_mean(weight, values, dims, sigma=sigma, pixel_std=std)
    total = beta_from_mse_mean_kl_sum(weight, values, sigma=sigma, pixel_std=std)
    st.markdown(
        "| a tutorial's loss | formula | β here |\n|---|---|---|\n"
        f"| `mse.mean() + w · kl.mean()` | w·P·s² / (2σ²·L) | **{number(mean)}** |\n"
        f"| `mse.mean() + w · kl.sum(dim).mean()` | w·P·s² / (2σ²) | **{number(total)}** |"
    )
    beta = config.objective.get("beta")
    if beta is not None:
        back = {"sigma": sigma, "pixel_std": std}
        st.write(
            f"The other way round: β = {number(beta)} of this run is "
            f"w = {number(mse_mean_kl_mean_weight(beta, values, dims, **back))} "
            f"with `kl.mean()` and w = {number(mse_mean_kl_sum_weight(beta, values, **back))} "
            "with `kl.sum(dim).mean()`."
        )
