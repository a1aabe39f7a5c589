"""One stochastic layer of 50 latents on MNIST, with and without importance weights."""

from __future__ import annotations

from typing import Any

from vae_core.presets.preset import preset

SOURCE = "Burda, Grosse and Salakhutdinov (2016), section 5 and appendix C"
NETWORK: dict[str, Any] = {
    "backbone": "mlp",
    "latent_dim": 50,
    "likelihood": "bernoulli",
    "options": {"hidden": (200, 200), "activation": "tanh"},
}


def burda(name: str, label: str, blurb: str, family: str, objective: dict[str, Any]) -> None:
    """The paper's network and batches, minimising what `family` does."""
    preset(
        name,
        label,
        blurb,
        (1, 28, 28),
        source=SOURCE,
        published=(
            "Batches of 20, Adam (ε = 0.0001) at 0.001 falling to 0.0001 over 3280 passes; here 20 "
            "passes with a cosine. The paper draws black and white pixels anew "
            "and begins with Glorot's weights; here grey is the chance of white, and PyTorch's "
            "weights. The last 10 000 training images are kept aside to choose by."
        ),
        order=50,
        family=family,
        data={"dataset": "mnist", "validation_fraction": 1 / 6, "validation": "last"},
        model=NETWORK,
        objective=objective,
        train={
            "epochs": 20,
            "batch_size": 20,
            "learning_rate": 1e-3,
            "decay": "cosine",
            "adam_epsilon": 1e-4,
        },
    )


burda("burda-vae", "Burda VAE", "Two tanh layers of 200 and 50 latents.", "vae", {})
burda(
    "burda-iwae",
    "Burda IWAE",
    "The same with five draws that compete: a tighter bound.",
    "iwae",
    {"samples": 5},
)
