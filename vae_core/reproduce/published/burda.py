"""Table 1 of the paper on importance weighted autoencoders: MNIST, binarised anew each time."""

from __future__ import annotations

from typing import Any

from vae_core.reproduce.measures import PARTIAL_DRAWS, BoundOfDraws
from vae_core.reproduce.reproduction import Figure, Reproduction, reproductions

DRAWS = 5000
PASSES = 3280
"""3⁰ + 3¹ + … + 3⁷, at learning rates that fall from 0.001 to 0.0001."""

PRINTED = {
    (1, "burda-vae", 1): 86.76,
    (1, "burda-vae", 5): 86.47,
    (1, "burda-vae", 50): 86.35,
    (1, "burda-iwae", 5): 85.54,
    (1, "burda-iwae", 50): 84.78,
    (2, "burda-vae", 1): 85.33,
    (2, "burda-vae", 5): 85.01,
    (2, "burda-vae", 50): 84.78,
    (2, "burda-iwae", 5): 83.89,
    (2, "burda-iwae", 50): 82.90,
}
"""By stochastic layers, recipe and draws; of one draw the two recipes are the same."""

LAYERS = {1: "two tanh layers of 200, 50 latents", 2: "two tanh layers of 200, 100 latents, two "
          "of 100, 50 latents"}  # fmt: skip
NAMES = {1: "{recipe}-{k}", 2: "{recipe}-two-layers-{k}"}


def changes(layers: int, recipe: str, k: int) -> dict[str, Any]:
    """What differs from the recipe."""
    if layers == 1:
        return {"objective": {"samples": k}}
    upper = {"upper_dim": 50, "upper_hidden": (100, 100)}
    return {
        "family": "two-layers",
        "model": {"latent_dim": 100},
        "objective": {"samples": k, "compete": recipe == "burda-iwae", **upper},
    }


def by_its_protocol(
    name: str, label: str, paper: str, printed: float, order: int, *,
    recipe: str, layers: int = 1, settings: dict[str, Any],
) -> None:  # fmt: skip
    """A row of the table, or of another that goes by its protocol."""
    reproductions.add(
        Reproduction(
            name=name,
            label=label,
            blurb="The likelihood of MNIST's test images, binarised anew each time.",
            paper=paper,
            order=order,
            figures=(Figure("nll", "−log p(x)", printed, "nats per image"),),
            preset=recipe,
            settings={"data": {"binarise": "dynamic"}, "train": {"epochs": PASSES}, **settings},
            protocol=(
                f"MNIST, pixels drawn as black or white anew each time; {LAYERS[layers]}; Adam "
                f"(ε = 0.0001) at 0.001 falling to 0.0001 over {PASSES} passes, batches of 20; "
                f"−log p(x) of the test images from {DRAWS} draws."
            ),
            departs=(
                "The learning rate falls along a cosine to 0; PyTorch's first weights. A partial "
                f"run is measured from {PARTIAL_DRAWS} draws."
            ),
            measure=BoundOfDraws(DRAWS),
        )
    )


for _order, ((_layers, _recipe, _k), _printed) in enumerate(PRINTED.items(), 40):
    _kind = _recipe.removeprefix("burda-").upper() + (", two layers" if _layers == 2 else "")
    _plural = "one stochastic layer" if _layers == 1 else "two stochastic layers"
    by_its_protocol(
        NAMES[_layers].format(recipe=_recipe, k=_k),
        f"Burda et al.'s {_kind}, k = {_k}",
        "Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders (2016), table 1, "
        f"{_plural}, k = {_k}",
        _printed,
        _order,
        recipe=_recipe,
        layers=_layers,
        settings=changes(_layers, _recipe, _k),
    )

by_its_protocol(
    "dreg-5",
    "Doubly reparameterised IWAE, k = 5",
    "Tucker, Lawson, Gu and Maddison (2019), MNIST, k = 5",
    84.90,
    50,
    recipe="burda-iwae",
    settings={"objective": {"samples": 5, "gradient": "doubly reparameterised"}},
)
