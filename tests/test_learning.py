"""What families are for, seen on handwritten digits after a short training."""

from __future__ import annotations

import numpy as np
import torch

from tests.engine import make_loop, tiny
from vae_core.data.batches import as_floats
from vae_core.metrics import Measurement
from vae_core.training.events import Validated
from vae_core.training.loop import Loop

QUICKLY = {"learning_rate": 2e-3, "log_every": 1000, "preview_every": 10**6}


def trained(
    family: str, objective: dict[str, object], latents: int, epochs: int
) -> tuple[Loop, Measurement]:
    """All 1797 digits through one hidden layer; what was measured at the end."""
    loop = make_loop(
        tiny(
            family=family,
            data={"limit": None},
            model={"backbone": "mlp", "latent_dim": latents, "options": {"hidden": [256]}},
            objective=objective,
            train={**QUICKLY, "epochs": epochs},
        )
    )
    *_, last = (event for event in loop.run() if isinstance(event, Validated))
    loop.model.eval()
    return loop, last.measurement


def test_a_denoising_autoencoder_removes_noise_that_a_plain_one_keeps() -> None:
    plain, denoising = (
        trained(family, options, latents=128, epochs=20)[0]
        for family, options in (("autoencoder", {}), ("denoising", {"level": 0.4}))
    )
    part = plain.dataset.validation
    x = as_floats(part.images.gather(np.arange(len(part))), torch.device("cpu"))
    noise = 0.4 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))

    @torch.no_grad()
    def error(loop: Loop, shown: torch.Tensor) -> float:
        rebuilt = loop.model.picture(loop.model.decode(loop.model.encode(shown).mode()))
        return float((rebuilt - x).square().mean())

    assert error(plain, x) < error(denoising, x)  # whole images it copies best
    assert error(denoising, x + noise) < 0.75 * error(plain, x + noise)


def test_posteriors_collapse_at_a_hundred_and_not_at_one() -> None:
    free, crushed = (trained("vae", {"beta": beta}, 8, epochs=12)[1] for beta in (1.0, 100.0))
    assert free.terms["kl"] > 3.0
    assert free.active_units >= 3
    assert crushed.terms["kl"] < 0.1
    assert crushed.active_units == 0
