"""MNIST with one fixed binarisation, as two libraries and papers have it."""

from __future__ import annotations

from typing import Any

from vae_core.data.sets import binarized_mnist
from vae_core.errors import UserError
from vae_core.locations import data_folder
from vae_core.reproduce.measures import PARTIAL_DRAWS, BoundOfDraws
from vae_core.reproduce.reproduction import Figure, Reproduction, reproductions

PROTOCOL = (
    "MNIST, Larochelle's fixed binarisation; {network}; −log p(x) of the test images from {draws} "
    "draws."
)
DEPARTS = (
    "Where Larochelle's files are not in the data folder, MNIST's own grey images are binarised "
    f"once with a fixed seed. {{other}} A partial run is measured from {PARTIAL_DRAWS} draws."
)
COSINE = "The learning rate falls along a cosine to 0."


def has_files() -> bool:
    """Whether Larochelle's files lie on this machine."""
    try:
        binarized_mnist.folder_in(data_folder(None))
    except UserError:
        return False
    return True


def static(
    name: str, label: str, paper: str, printed: float, draws: int, order: int, *,
    preset: str = "burda-vae", network: str, other: str, settings: dict[str, Any],
) -> None:  # fmt: skip
    """A published likelihood of them."""
    reproductions.add(
        Reproduction(
            name=name,
            label=label,
            blurb="The likelihood of MNIST's test images under one fixed binarisation.",
            paper=paper,
            order=order,
            figures=(Figure("nll", "−log p(x)", printed, "nats per image"),),
            preset=preset,
            settings={"data": {"binarise": "static"}, **settings},
            better={"data": {"dataset": binarized_mnist.NAME, "binarise": "none"}},
            has_better=has_files,
            protocol=PROTOCOL.format(network=network, draws=draws),
            departs=DEPARTS.format(other=other),
            measure=BoundOfDraws(draws),
        )
    )


static(
    "static-vae",
    "VAE, static MNIST",
    "pythae's table of what it reproduces: the VAE of Rezende and Mohamed (2015), who print 89.9",
    89.78,
    200,
    60,
    network="one ReLU layer of 400, 40 latents; Adam at 0.0001, times 0.63 after passes 200, 350 "
    "and 500, batches of 100, 500 passes",
    other=COSINE,
    settings={
        "model": {"latent_dim": 40, "options": {"hidden": (400,), "activation": "relu"}},
        "train": {
            "epochs": 500,
            "batch_size": 100,
            "learning_rate": 1e-4,
            "adam_epsilon": 1e-8,
        },
    },
)
static(
    "static-iwae",
    "IWAE, static MNIST, k = 50",
    "pythae's table of what it reproduces: the IWAE of Burda et al. (2016), who print 87.1",
    86.82,
    5000,
    61,
    preset="burda-iwae",
    network="two tanh layers of 200, 50 latents; Adam (ε = 0.0001) at 0.001 falling over 3280 "
    "passes, batches of 20",
    other=f"{COSINE} PyTorch's first weights.",
    settings={"objective": {"samples": 50}, "train": {"epochs": 3280}},
)
static(
    "vamp-prior",
    "VampPrior, static MNIST",
    "Tomczak and Welling, VAE with a VampPrior (2018), table 1, one stochastic layer; pythae's "
    "table has 85.79 for it",
    85.57,
    5000,
    62,
    network="two gated layers of 300, 40 latents, 500 learned pictures; Adam at 0.0005, batches of "
    "100, β warmed up over 100 of 2000 passes, stopped after 50 without a gain",
    other=f"ReLU layers in place of gated ones; all passes are run. {COSINE}",
    settings={
        "family": "vamp",
        "objective": {"components": 500, "schedule": "linear", "schedule_steps": 50_000},
        "model": {"latent_dim": 40, "options": {"hidden": (300, 300), "activation": "relu"}},
        "train": {
            "epochs": 2000,
            "batch_size": 100,
            "learning_rate": 5e-4,
            "adam_epsilon": 1e-8,
        },
    },
)
