"""Table 1 of the paper on importance weighted autoencoders: MNIST, binarised anew each time."""

from __future__ import annotations

from typing import Any

from vae_core.reproduce.measures import BoundOfDraws
from vae_core.reproduce.reproduction import Figure, Reproduction, reproductions

SOURCE = "Burda, Grosse and Salakhutdinov (2016), table 1, one stochastic layer, k = {k}"
DRAWS = 5000
PASSES = 3280
"""3⁰ + 3¹ + … + 3⁷, at learning rates that fall from 0.001 to 0.0001."""

PRINTED = {
    ("burda-vae", 1): 86.76,
    ("burda-vae", 5): 86.47,
    ("burda-vae", 50): 86.35,
    ("burda-iwae", 50): 84.78,
}


def table_1(
    preset: str,
    k: int,
    printed: float,
    order: int,
    *,
    name: str = "",
    label: str = "",
    paper: str = "",
    **objective: Any,
) -> None:
    """A row of it, or of a table that goes by its protocol."""
    kind = preset.removeprefix("burda-").upper()
    settings: dict[str, Any] = {
        "data": {"binarise": "dynamic"},
        "objective": {"samples": k, **objective},
        "train": {"epochs": PASSES},
    }
    reproductions.add(
        Reproduction(
            name=name or f"{preset}-{k}",
            label=label or f"Burda et al.'s {kind}, k = {k}",
            blurb="The likelihood of MNIST's test images, binarised anew each time.",
            paper=paper or SOURCE.format(k=k),
            order=order,
            figures=(Figure("nll", "−log p(x)", printed, "nats per image"),),
            preset=preset,
            settings=settings,
            protocol=(
                "MNIST, pixels drawn as black or white anew each time; two tanh layers of 200, 50 "
                "latents; Adam (ε = 0.0001) at 0.001 falling to 0.0001 over 3280 passes, batches "
                f"of 20; −log p(x) of the test images from {DRAWS} draws."
            ),
            departs="The learning rate falls along a cosine to 0; PyTorch's first weights.",
            measure=BoundOfDraws(DRAWS),
        )
    )


for _order, ((_preset, _k), _printed) in enumerate(PRINTED.items(), 40):
    table_1(_preset, _k, _printed, _order)

table_1(
    "burda-iwae",
    5,
    84.90,
    50,
    name="dreg-5",
    label="Doubly reparameterised IWAE, k = 5",
    paper="Tucker, Lawson, Gu and Maddison (2019), MNIST, k = 5",
    gradient="doubly reparameterised",
)
