"""The plain autoencoder: nothing but reconstruction."""

from __future__ import annotations

from vae_core.objectives.objective import Objective


class AutoencoderObjective(Objective):
    """−log p(x | encode(x)).

    Source: Hinton and Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks
    (2006).
    """
