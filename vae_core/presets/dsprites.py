"""The networks and weights with which papers on disentangling learn the sprites."""

from __future__ import annotations

from typing import Any

from vae_core.presets.preset import preset

# Deep enough for the factors to show.
DATA = {"dataset": "sprites", "limit": 40_000}
SHORTER = "Here 40 000 of the 737 280 images, drawn by this product, and 30 passes over them."
MLP: dict[str, Any] = {
    "backbone": "mlp",
    "options": {
        "hidden": (1200, 1200),
        "decoder_hidden": (1200, 1200, 1200),
        "decoder_activation": "tanh",
    },
}


def sprites(
    name: str,
    label: str,
    blurb: str,
    source: str,
    published: str,
    family: str,
    model: dict[str, Any],
    objective: dict[str, Any],
    learning_rate: float,
) -> None:
    """Ten latents, Bernoulli pixels, batches of 64."""
    preset(
        name,
        label,
        blurb,
        (1, 64, 64),
        source=source,
        published=f"{published} {SHORTER}",
        order=60,
        family=family,
        data=DATA,
        model={"latent_dim": 10, "likelihood": "bernoulli", **model},
        objective=objective,
        train={"epochs": 30, "batch_size": 64, "learning_rate": learning_rate},
    )


def convolutions(*channels: int, hidden: int, layers: int = 1) -> dict[str, Any]:
    """Convolutions of kernel 4 and fully connected layers between."""
    options = {"channels": channels, "hidden": hidden, "hidden_layers": layers}
    return {"backbone": "conv", "options": options}


sprites(
    "higgins-sprites",
    "Higgins β-VAE",
    "Fully connected, β = 4: order bought with sharpness.",
    "Higgins et al., β-VAE (2017), table 1, 2D shapes",
    "Already in nats: β = 4. The paper's Adagrad at 0.01 is Adam at 0.0005 here.",
    "vae",
    MLP,
    {"beta": 4.0},
    5e-4,
)
sprites(
    "burgess-sprites",
    "Burgess capacity VAE",
    "The rate is held to a capacity that grows, so that factors come one by one.",
    "Burgess et al., Understanding disentangling in β-VAE (2018), appendix A",
    "Already in nats: γ = 1000, capacity up to 25 in 100 000 steps; here within 15 000.",
    "capacity",
    convolutions(32, 32, 32, 32, hidden=256, layers=2),
    {"gamma": 1000.0, "capacity": 25.0, "capacity_steps": 15_000},
    5e-4,
)
sprites(
    "tcvae-sprites",
    "Chen β-TCVAE",
    "Total correlation weighs six times, the rest of the KL once.",
    "Chen et al., Isolating Sources of Disentanglement in VAEs (2018); network of Locatello et "
    "al. (2019), table 1",
    "Already in nats: β = 6 on the total correlation, Adam at 0.001. The authors' code takes "
    "batches of 2048 and weighted sampling; here 64 and the paper's stratified sampling, "
    "which is unbiased.",
    "beta-tcvae",
    convolutions(32, 32, 64, 64, hidden=256),
    {"beta": 6.0},
    1e-3,
)
sprites(
    "factor-sprites",
    "Kim FactorVAE",
    "A critic finds out whether latents hang together, and they learn not to.",
    "Kim and Mnih, Disentangling by Factorising (2018), appendix A",
    "Already in nats: γ = 35, Adam at 0.0001 for both players.",
    "factor-vae",
    convolutions(32, 32, 64, 64, hidden=128),
    {"gamma": 35.0},
    1e-4,
)
