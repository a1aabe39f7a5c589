"""MNIST with one fixed binarisation, as two libraries and papers have it."""

from __future__ import annotations

from typing import Any

from vae_core.reproduce.measures import BoundOfDraws
from vae_core.reproduce.reproduction import Figure, Reproduction, reproductions

TRAIN: dict[str, Any] = {"epochs": 100, "batch_size": 100}
PROTOCOL = (
    "MNIST, one fixed binarisation; {network}; −log p(x) of the test images from {draws} draws."
)
DEPARTS = (
    "The network of the preset burda-vae: two tanh layers of 200 and 50 latents; binarised once "
    "with a fixed seed, and not by Larochelle's files; Adam at 0.001 falling to 0 in 100 passes."
)
LIBRARY = "the network and settings of pythae's script, batches of 100, 100 passes"


def static(
    name: str, label: str, paper: str, preset: str, printed: float, draws: int, order: int,
    **more: Any,
) -> None:  # fmt: skip
    """A row of the library's table of what it reproduces."""
    settings = {"data": {"binarise": "static"}, "train": TRAIN, **more.pop("settings", {})}
    reproductions.add(
        Reproduction(
            name=name,
            label=label,
            blurb="The likelihood of MNIST's test images under one fixed binarisation.",
            paper=paper,
            order=order,
            figures=(Figure("nll", "−log p(x)", printed, "nats per image"),),
            preset=preset,
            settings=settings,
            protocol=PROTOCOL.format(network=LIBRARY, draws=draws),
            departs=DEPARTS,
            measure=BoundOfDraws(draws),
            **more,
        )
    )


static(
    "static-vae",
    "VAE, static MNIST",
    "pythae's reproduction of the VAE in Rezende and Mohamed (2015), table 1, which prints 89.9",
    "burda-vae",
    89.78,
    200,
    60,
)
static(
    "static-iwae",
    "IWAE, static MNIST",
    "pythae's reproduction of an IWAE with 50 draws",
    "burda-iwae",
    86.82,
    5000,
    61,
    settings={"objective": {"samples": 50}},
)
static(
    "vamp-prior",
    "VampPrior, static MNIST",
    "Tomczak and Welling, VAE with a VampPrior (2018), table 1, one stochastic layer",
    "burda-vae",
    85.57,
    5000,
    62,
    settings={"family": "vamp", "objective": {"components": 500}},
    lacks="the likelihood under a prior that is learned cannot be measured from draws yet.",
)
