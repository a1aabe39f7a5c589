"""β-TCVAE on the grid of dSprites."""

from __future__ import annotations

from vae_core.reproduce.measures import mig_of_samples
from vae_core.reproduce.reproduction import Figure, Reproduction, reproductions

reproductions.add(
    Reproduction(
        name="tcvae-sprites",
        label="β-TCVAE on sprites",
        blurb="The mutual information gap at β = 6, of drawn codes and without the shape.",
        paper="Chen et al., Isolating Sources of Disentanglement in VAEs (2018), dSprites, β = 6",
        order=30,
        figures=(Figure("mig", "MIG", 0.50, "gap, 0 to 1"),),
        preset="tcvae-sprites",
        protocol=(
            "All 737 280 images of dSprites; β = 6 on the total correlation, Adam at 0.001, "
            "batches of 2048; MIG of draws from q(z|x), without the factor shape."
        ),
        departs=(
            "40 000 sprites drawn by this product on the same grid of factors, batches of 64, 30 "
            "passes, stratified sampling; MIG of held-out images."
        ),
        measure=mig_of_samples("shape"),
    )
)
